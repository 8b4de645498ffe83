"""The datamodules in a Trainer and on the command line's parser."""

import io
from contextlib import redirect_stderr
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonargparse
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from lightning_clf.batch import Batch
from lightning_clf.data import BaseDataModule, SequenceDataModule, TokenDataModule
from lightning_clf.labels import LabelSpace

from .conftest import complaint, make_tokenizer, texts, write


class Recorder(LightningModule):
    """Writes down which examples it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.tokenizer = make_tokenizer()
        self.labels: LabelSpace | None = None
        self.seen: dict[str, list[list[int]]] = {"train": [], "val": [], "test": []}

    def training_step(self, batch: Batch, index: int) -> torch.Tensor:
        self.seen["train"].append(batch.example_ids.tolist())
        return self.weight.sum()

    def validation_step(self, batch: Batch, index: int) -> None:
        self.seen["val"].append(batch.example_ids.tolist())

    def test_step(self, batch: Batch, index: int) -> None:
        self.seen["test"].append(batch.example_ids.tolist())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(**options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def fit(**options: Any) -> Recorder:
    module = Recorder()
    trainer(max_epochs=2).fit(module, datamodule=SequenceDataModule(texts(20), batch_size=4, **options))
    return module


def test_two_fits_see_the_same_batches_and_two_epochs_do_not() -> None:
    first, second = fit(), fit()
    assert first.seen == second.seen
    epochs = first.seen["train"][:5], first.seen["train"][5:]
    assert epochs[0] != epochs[1]
    assert sorted(chain(*epochs[0])) == sorted(chain(*epochs[1]))
    assert sorted(len(batch) for batch in epochs[0]) == [2, 4, 4, 4, 4]
    assert first.seen["val"][0] == first.seen["val"][1]
    assert set(first.seen["val"][0]).isdisjoint(chain(*epochs[0]))


def test_seed_everything_changes_the_order_but_not_the_split(monkeypatch: pytest.MonkeyPatch) -> None:
    first = fit()
    monkeypatch.setenv("PL_GLOBAL_SEED", "5")
    second = fit()
    assert first.seen["val"] == second.seen["val"]
    assert first.seen["train"] != second.seen["train"]


def test_workers(tmp_path: Path) -> None:
    assert fit(num_workers=1).seen == fit().seen


def test_overfitting_a_few_batches() -> None:
    module = Recorder()
    trainer(max_epochs=2, overfit_batches=1).fit(module, datamodule=SequenceDataModule(texts(20), batch_size=4))
    assert module.seen["train"][0] == module.seen["train"][1]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_share_the_rows(ranks: int) -> None:
    class Place:
        lightning_module = Recorder()
        world_size = ranks
        global_rank = 0
        strategy = SimpleNamespace(root_device=torch.device("cpu"))

    seen = []
    for rank in range(ranks):
        datamodule = SequenceDataModule({"train": texts(20), "dev": texts(11), "test": texts(7)}, eval_batch_size=2)
        datamodule.trainer = Place()
        datamodule.trainer.global_rank = rank
        datamodule.prepare_data()
        datamodule.setup()
        loaders = (datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader())
        seen.append([[row for batch in loader for row in batch.example_ids.tolist()] for loader in loaders])
    for index, count in ((1, 11), (2, 7)):
        assert sorted(row for rank in seen for row in rank[index]) == list(range(count))
    assert {row for rank in seen for row in rank[0]} == set(range(20))


def test_batches_by_tokens() -> None:
    rows = {"train": [*texts(12), *texts(4, text=" ".join(["good"] * 12))], "dev": texts(9)}
    module, datamodule = Recorder(), SequenceDataModule(rows, batch_tokens=32, max_length=16)
    trainer(max_epochs=2).fit(module, datamodule=datamodule)
    lengths = {row["example_id"]: len(row["input_ids"]) for row in datamodule._rows_of("train")}
    for epoch in (module.seen["train"][:4], module.seen["train"][4:]):
        assert sorted(chain(*epoch)) == list(range(16))
        assert sorted(len(batch) for batch in epoch) == [2, 2, 6, 6]
    assert all(len(batch) * max(lengths[row] for row in batch) <= 32 for batch in module.seen["train"])
    assert [len(batch) for batch in module.seen["val"]] == [9, 9]  # room for 12 in evaluation, of which there are two


def test_a_batch_has_room_for_a_whole_window() -> None:
    datamodule = SequenceDataModule(texts(8), batch_tokens=100)
    message = complaint(lambda: trainer(max_epochs=1).fit(Recorder(), datamodule=datamodule))
    assert message.startswith("data.batch_tokens 100 has no room for one text of data.max_length 128: set it to 128 or")


def test_padding_to_a_multiple_ends_at_the_window() -> None:
    module = Recorder()
    datamodule = SequenceDataModule({"train": texts(8), "dev": texts(3)}, max_length=9, pad_to_multiple_of=8)
    trainer(max_epochs=1).fit(module, datamodule=datamodule)
    assert {batch.inputs["input_ids"].shape[1] for batch in datamodule.train_dataloader()} == {8}
    datamodule = SequenceDataModule({"train": texts(8), "dev": texts(3)}, max_length=9, pad_to_multiple_of=16)
    trainer(max_epochs=1).fit(module, datamodule=datamodule)
    assert {batch.inputs["input_ids"].shape[1] for batch in datamodule.train_dataloader()} == {9}


def test_a_missing_test_split() -> None:
    message = complaint(lambda: trainer().test(Recorder(), datamodule=SequenceDataModule(texts(20))))
    assert message == "data.source has no test split (train only): add data.source.test"


def test_without_train_the_labels_are_the_models() -> None:
    module = Recorder()
    module.labels = LabelSpace.of(["good", "bad"], "single")
    datamodule = SequenceDataModule({"test": texts(3)})
    trainer().test(module, datamodule=datamodule, verbose=False)
    assert module.seen["test"] == [[0, 1, 2]]
    assert datamodule.labels is module.labels


def test_another_model_another_encoding() -> None:
    datamodule = SequenceDataModule({"train": texts(4), "dev": texts(4, text="word")})
    module = Recorder()
    lengths = []
    for extra in ((), ("word",)):
        module.tokenizer = make_tokenizer(extra)
        trainer(max_epochs=1).fit(module, datamodule=datamodule)
        lengths.append(len(datamodule._rows_of("val")[0]["input_ids"]))
    assert lengths == [7, 4]


class TestParser:
    """The keys in YAML."""

    def parse(self, *args: str) -> BaseDataModule[Any]:
        parser = jsonargparse.ArgumentParser(exit_on_error=False)
        parser.add_subclass_arguments(BaseDataModule, "data")
        datamodule: BaseDataModule[Any] = parser.instantiate(parser.parse_args(args)).data
        return datamodule

    def test_short_class_name_and_a_mapping(self, tmp_path: Path) -> None:
        write(tmp_path, a__jsonl=texts(4))
        datamodule = self.parse(
            "--data=SequenceDataModule",
            f"--data.source={{train: {tmp_path}/a.jsonl}}",
            "--data.labels=[good, bad]",
            "--data.splits=null",
        )
        assert list(datamodule.splits) == ["train"]
        assert datamodule.labels.names == ("good", "bad")

    def test_column_numbers(self) -> None:
        datamodule = self.parse("--data=TokenDataModule", "--data.source=x", "--data.tags_column=2")
        assert isinstance(datamodule, TokenDataModule)
        assert datamodule.tags_column == "2"

    @pytest.mark.parametrize("name", ["SST2DataModule", "CoNLL2003DataModule", "NLIDataModule", "MultiLabelDataModule"])
    def test_corpora_need_no_source(self, name: str) -> None:
        assert type(self.parse(f"--data={name}")).__name__ == name

    def test_unknown_key(self) -> None:
        with redirect_stderr(io.StringIO()), pytest.raises(jsonargparse.ArgumentError, match="max_lenght"):
            self.parse("--data=SST2DataModule", "--data.max_lenght=5")
