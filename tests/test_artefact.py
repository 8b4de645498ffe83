"""Export folders: whole or not there, without code in them, and the same classifier when read back."""

from __future__ import annotations

import contextlib
import json
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, load_file, save_file
from transformers import AutoModel, AutoTokenizer

from lightning_clf import load_classifier
from lightning_clf.artefact import load_artefact
from lightning_clf.encoding import Collator
from lightning_clf.heads import LinearHead, MLPHead
from lightning_clf.inference import Classifier
from tests.training import LABELS, ROWS, assert_same_answers, complaint, make_module, make_trainer


@pytest.fixture
def artefact(encoders):
    """A tagger whose tokenizer takes more room than its weights, and whose description more than both."""
    module = make_module("tags", encoders("bert"), labels=LABELS["tags"].to_dict())
    module.build()
    module.tokenizer.add_tokens([f"token{number}" for number in range(2000)])
    return replace(module.artefact, columns={"tokens": "t" * 500_000})


@contextlib.contextmanager
def room_for_files_of(size: int) -> Iterator[None]:
    """A disk on which the file that grows beyond a size finds no room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


FULL = {"config.json": 100, "model.safetensors": 10_000, "tokenizer.json": 60_000, "lightning_clf.json": 400_000}


@pytest.mark.parametrize(("name", "size"), FULL.items())
def test_a_disk_that_fills_leaves_what_stood_there(name, size, artefact, tmp_path):
    folder = tmp_path / "best"
    artefact.save(folder)
    sizes = {file: len(content) for file, content in contents(folder).items()}
    assert min((file for file in FULL if sizes[file] > size), key=sizes.get) == name
    before = contents(tmp_path)
    with room_for_files_of(size):
        message = complaint(lambda: artefact.save(folder))
        new = complaint(lambda: artefact.save(tmp_path / "new"))
    assert message.startswith(f"export folder {folder} cannot be written (")
    assert "too large" in message.lower()  # as a limit says it; a full disk says "No space left on device"
    assert new.startswith(f"export folder {tmp_path / 'new'} cannot be written (")
    assert contents(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_folder_that_cannot_be_made(artefact, tmp_path):
    (tmp_path / "file").write_text("")
    message = complaint(lambda: artefact.save(tmp_path / "file" / "best"))
    assert message.startswith(f"export folder {tmp_path / 'file' / 'best'} cannot be written")


def test_an_export_that_cannot_take_its_name_leaves_what_stood_there(artefact, tmp_path, monkeypatch):
    artefact.save(tmp_path / "best")
    before = contents(tmp_path)
    rename = Path.rename

    def refuse_the_new(path: Path, target: Path) -> Path:
        if path.name.endswith(".writing"):
            raise OSError("no such device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_the_new)
    assert "cannot be written (no such device)" in complaint(lambda: artefact.save(tmp_path / "best"))
    assert contents(tmp_path) == before


def test_a_new_export_replaces_the_old_one_whole(artefact, tmp_path):
    artefact.save(tmp_path / "best")
    (tmp_path / "best" / "left-over").write_text("x")
    with torch.no_grad():
        artefact.network.encoder.classifier.bias.fill_(2.5)
    artefact.save(str(tmp_path / "best"))
    assert [path.name for path in tmp_path.iterdir()] == ["best"]
    assert not (tmp_path / "best" / "left-over").exists()
    assert load_artefact(tmp_path / "best").network.encoder.classifier.bias.tolist() == [2.5] * 5


OF_TEXTS, OF_WORDS = ("cls", "mean", "max", "attention", "last"), ("first", "mean", "max")
POOLINGS = [(kind, pooling) for kind in LABELS for pooling in (OF_WORDS if kind == "tags" else OF_TEXTS)]


@pytest.mark.parametrize(
    ("head", "kind", "pooling"),
    [*[(LinearHead, *pair) for pair in POOLINGS], *[(MLPHead, kind, None) for kind in LABELS]],
)
def test_our_own_heads_come_back_with_the_same_scores(head, kind, pooling, encoders, tmp_path):
    options = {"hidden_features": 7} if head is MLPHead else {}
    made = head(pooling=pooling, dropout=0.3, **options)
    module = make_module(kind, encoders("bert"), head=made, labels=LABELS[kind].to_dict())
    module.columns = {"text_pair": "text_pair"} if kind == "score" else {}
    module.build()
    trainer = make_trainer(tmp_path)
    trainer.strategy.connect(module)
    module.artefact.save(tmp_path / "best")
    trainer.save_checkpoint(tmp_path / "one.ckpt", weights_only=True)
    classifier = Classifier(module.artefact)
    read = [classifier.inputs.read(row, "") for row in ROWS[kind]]
    batch = Collator(module.tokenizer, module.labels)(classifier.inputs.encode(read))
    with torch.inference_mode():
        expected = module.network.eval()(batch)
        for path in ("best", "one.ckpt"):
            restored = load_artefact(tmp_path / path)
            assert type(restored.network.head) is head
            assert restored.network.head.dropout.p == 0.3
            torch.testing.assert_close(restored.network(batch), expected, atol=1e-6, rtol=0)
            answers = Classifier(restored).predict(ROWS[kind])
            assert_same_answers(answers, classifier.predict(ROWS[kind]))


def test_stock_transformers_load_the_encoder_under_our_own_head(encoders, tmp_path):
    module = make_module("single", encoders("bert"), head=MLPHead("mean"), labels=LABELS["single"].to_dict())
    module.build()
    module.artefact.save(tmp_path / "best")
    batch = AutoTokenizer.from_pretrained(tmp_path / "best" / "encoder")("a great joy", return_tensors="pt")
    stock = AutoModel.from_pretrained(tmp_path / "best" / "encoder", add_pooling_layer=False)
    with torch.inference_mode():
        hidden = module.network.eval().encoder(**batch).last_hidden_state
        torch.testing.assert_close(stock(**batch).last_hidden_state, hidden, atol=1e-6, rtol=0)


@pytest.mark.parametrize("head", [None, MLPHead("mean")])
def test_an_export_holds_no_code(head, encoders, tmp_path):
    module = make_module("single", encoders("deberta-v2"), head=head, labels=LABELS["single"].to_dict())
    module.build()
    module.artefact.save(tmp_path / "best")
    files = contents(tmp_path / "best")
    assert {Path(name).suffix for name in files} <= {".json", ".safetensors", ".txt", ".model"}
    for name, content in files.items():  # what it says it is: neither a pickle nor an archive of pickles
        assert load(content) if name.endswith(".safetensors") else json.loads(content)
    described = json.loads(files["lightning_clf.json"])
    assert described["labels"]["names"] == ["bad", "fine", "good"]
    assert str(tmp_path).encode() not in b"".join(files.values())
    assert str(encoders("deberta-v2")).encode() not in b"".join(files.values())


@pytest.mark.parametrize("damage", ["no description", "not JSON", "other weights", "no weights", "cut weights"])
def test_a_damaged_folder(damage, encoders, tmp_path):
    module = make_module("single", encoders("bert"), head=LinearHead(), labels=LABELS["single"].to_dict())
    module.build()
    folder = tmp_path / "best"
    module.artefact.save(folder)
    sidecar, weights, head = (
        folder / name for name in ("lightning_clf.json", "encoder/model.safetensors", "head.safetensors")
    )
    match damage:
        case "no description":
            sidecar.unlink()
        case "not JSON":
            sidecar.write_text("{")
        case "other weights":
            save_file({"other": torch.zeros(1)}, head)
        case "no weights":
            head.unlink()
        case "cut weights":
            weights.write_bytes(weights.read_bytes()[:-100])
    assert str(folder) in complaint(lambda: load_classifier(folder))


@pytest.fixture
def export(encoders, tmp_path):
    """An export folder that a test may spoil."""
    module = make_module("single", encoders("bert"), labels=LABELS["single"].to_dict())
    module.build()
    module.artefact.save(tmp_path / "best")
    return tmp_path / "best"


def refused(folder: Path) -> str:
    """What is said to be damaged about a folder."""
    message = complaint(lambda: load_artefact(folder))
    assert message.startswith(f"export folder {folder} is damaged (")
    assert message.endswith("): export it again")
    return message.removeprefix(f"export folder {folder} is damaged (").removesuffix("): export it again")


ONE_MORE = {"names": ["bad", "fine", "good", "ugly"], "kind": "single"}
SPOILT = [
    ("lightning_clf.json", {"max_length": "32"}, "max_length is '32', not a whole number from 1 up"),
    ("lightning_clf.json", {"max_length": True}, "max_length is True, not a whole number from 1 up"),
    ("lightning_clf.json", {"max_length": 65}, "max_length is 65, and the encoder has 64 positions"),
    ("lightning_clf.json", {"columns": ["text"]}, "columns is ['text'], not a mapping from roles to columns"),
    ("lightning_clf.json", {"head": {"class_path": "x"}}, "head has no 'init_args'"),
    ("lightning_clf.json", {"labels": ["bad", "good"]}, "labels is ['bad', 'good'], not a mapping"),
    ("lightning_clf.json", {"labels": {**ONE_MORE, "names": "bad"}}, "labels.names is 'bad', not a list of strings"),
    ("lightning_clf.json", {"labels": {**ONE_MORE, "names": ["a", "a"]}}, "duplicate label name 'a'"),
    ("lightning_clf.json", {"labels": ONE_MORE}, "label 3 is None in the encoder's configuration, and 'ugly' in the"),
    ("config.json", {"id2label": {0: "bad", 1: "good", 2: "fine"}}, "label 1 is 'good' in the encoder's configurat"),
    ("config.json", {"id2label": ["bad", "fine", "good"]}, "AttributeError: "),
    ("config.json", {"problem_type": "regression"}, "labels of kind single stand with the problem_type 'regression'"),
    ("config.json", {"model_type": "nonesuch"}, "Unrecognized model identifier: nonesuch"),
    ("config.json", {"model_type": ["bert"]}, "model_type is ['bert'], not a string"),
    ("config.json", {"hidden_size": "big"}, "StrictDataclassFieldValidationError: Validation error for field 'hidden"),
    ("config.json", {"hidden_act": "nope"}, "KeyError: 'nope'"),
]


@pytest.mark.parametrize(("name", "change", "said"), SPOILT)
def test_a_folder_whose_description_is_spoilt(name, change, said, export):
    (export / name).write_text(json.dumps(json.loads((export / name).read_text()) | change))
    assert refused(export).startswith(said)


@pytest.mark.parametrize("name", ["lightning_clf.json", "config.json"])
@pytest.mark.parametrize(
    ("content", "said"),
    [(b"[]", "is [], not a mapping"), (b"null", "is None, not a mapping"), (b"{", "is no JSON: "),
     (b"\xff\xfe", "is no JSON: 'utf-8' codec"), (b"[" * 100_000, "is no JSON: maximum recursion")],
    ids=["list", "null", "cut off", "not UTF-8", "deep"],
)  # fmt: skip
def test_a_folder_whose_description_is_something_else(name, content, said, export):
    (export / name).write_bytes(content)
    assert refused(export).startswith(f"{name} {said}")


@pytest.mark.parametrize("key", ["head", "labels", "max_length", "columns"])
def test_a_folder_whose_description_lacks_something(key, export):
    content = json.loads((export / "lightning_clf.json").read_text())
    del content[key]
    (export / "lightning_clf.json").write_text(json.dumps(content))
    assert refused(export) == f"lightning_clf.json has no {key!r}"


@pytest.mark.parametrize("architecture", ["bert", "roberta", "deberta-v2", "xlm-roberta", "modernbert"])
@pytest.mark.parametrize("files", ["tokenizer.json", "tokenizer*"])
def test_a_folder_without_the_vocabulary_of_its_tokenizer(files, architecture, encoders, tmp_path):
    module = make_module("single", encoders(architecture), labels=LABELS["single"].to_dict())
    module.build()
    module.artefact.save(tmp_path / "best")
    for file in (tmp_path / "best").glob(files):
        file.unlink()
    refused(tmp_path / "best")


def test_weights_keep_float32_whatever_the_encoder_was_saved_in(encoders, tmp_path):
    half = AutoModel.from_pretrained(encoders("bert"), dtype=torch.bfloat16)
    half.save_pretrained(tmp_path / "half")
    AutoTokenizer.from_pretrained(encoders("bert")).save_pretrained(tmp_path / "half")
    module = make_module("single", tmp_path / "half", labels=LABELS["single"].to_dict())
    module.build()
    module.artefact.save(tmp_path / "best")
    assert {tensor.dtype for tensor in load_file(tmp_path / "best" / "model.safetensors").values()} == {torch.float32}
    assert {weight.dtype for weight in load_artefact(tmp_path / "best").network.parameters()} == {torch.float32}


@pytest.mark.parametrize("damage", ["nothing of it", "a layer gone", "another shape"])
def test_weights_that_are_not_all_there_are_refused_rather_than_made_up(damage, encoders, tmp_path):
    module = make_module("single", encoders("bert"), labels=LABELS["single"].to_dict())
    module.build()
    module.artefact.save(tmp_path / "best")
    file = tmp_path / "best" / "model.safetensors"
    weights = load(file.read_bytes())
    name = next(name for name in weights if "layer.1" in name and "dense.weight" in name)
    if damage == "nothing of it":
        weights = {"other": torch.zeros(1)}
    elif damage == "a layer gone":
        weights = {name: tensor for name, tensor in weights.items() if "layer.1" not in name}
    else:
        weights[name] = torch.zeros(3, 3)
    save_file(weights, file, metadata={"format": "pt"})
    message = complaint(lambda: load_artefact(tmp_path / "best"))
    assert message.startswith(f"export folder {tmp_path / 'best'} is damaged (")
    assert "tensors are missing or of another shape, such as " in message


def test_an_export_without_the_folder_of_its_encoder(encoders, tmp_path):
    module = make_module("single", encoders("bert"), labels=LABELS["single"].to_dict(), head=LinearHead())
    module.build()
    module.artefact.save(tmp_path / "best")
    (tmp_path / "best" / "encoder").rename(tmp_path / "encoder")
    assert refused(tmp_path / "best") == "it holds no folder encoder"


def test_an_export_may_be_read_by_whom_new_files_may_be(artefact, tmp_path):
    artefact.save(tmp_path / "best")
    (tmp_path / "new").touch()
    allowed = (tmp_path / "new").stat().st_mode
    assert {path.stat().st_mode for path in (tmp_path / "best").iterdir()} == {allowed}
