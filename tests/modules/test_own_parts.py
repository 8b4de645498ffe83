"""A user's own head, loss, schedule and module, defined outside of this library and registered nowhere."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from lightning_clf import LabelSpace, SingleLabelClassifier, load_classifier
from lightning_clf.counts import ClassCounts
from lightning_clf.encoding import Collator
from lightning_clf.errors import InputError
from lightning_clf.finetuning import Schedule
from lightning_clf.heads import Head
from lightning_clf.inference import Classifier
from lightning_clf.losses import CrossEntropyLoss, FocalLoss, LDAMLoss, LogitAdjustedLoss, Loss, LossTerms, WeightedSum
from tests.training import ROWS, make_data, make_module, make_trainer


class CosineHead(Head):
    """The cosine between the mean of the hidden states and a vector for each class."""

    def __init__(self, temperature=1.0):
        super().__init__()
        self.temperature = temperature

    def build(self, hidden_size, labels):
        self.vectors = nn.Parameter(torch.randn(len(labels), hidden_size))

    def forward(self, hidden, batch):
        return nn.functional.cosine_similarity(hidden.mean(1)[:, None], self.vectors, dim=-1) / self.temperature


class HingeLoss(Loss):
    """The margin by which the right class must lead."""

    kinds = frozenset({"single"})

    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, scores, targets):
        total = nn.functional.multi_margin_loss(scores.float(), targets, margin=self.margin, reduction="sum")
        return LossTerms(total, torch.tensor(float(len(targets))))


class Halving(Schedule):
    """Half as much after half the way."""

    def after_warmup(self, progress):
        return 1.0 if progress < 0.5 else 0.5


class Confident(SingleLabelClassifier):
    """Cross-entropy and a reward for being sure."""

    def __init__(self, encoder, reward, **options):
        super().__init__(encoder, **options)
        self.reward = reward

    def compute_loss(self, scores, batch):
        terms = super().compute_loss(scores, batch)
        entropy = torch.distributions.Categorical(logits=scores).entropy().sum()
        return LossTerms(terms.total + self.reward * entropy, terms.weight)


@pytest.fixture(scope="module")
def fitted(encoders, tmp_path_factory):
    """A module all of whose parts are the user's, and its checkpoint."""
    folder = tmp_path_factory.mktemp("own")
    module = Confident(
        str(encoders("bert")), 0.25, head=CosineHead(temperature=0.5), loss=HingeLoss(margin=0.7), schedule=Halving()
    )
    trainer = make_trainer(folder, max_epochs=2)
    trainer.fit(module, make_data("single"))
    trainer.save_checkpoint(folder / "own.ckpt")
    return module, folder / "own.ckpt", trainer


def test_they_are_what_trains(fitted):
    module, _, trainer = fitted
    batch = next(iter(trainer.datamodule.val_dataloader()))
    scores = module.eval()(batch)
    hidden = module.network.encoder(**batch.inputs).last_hidden_state.mean(1)
    torch.testing.assert_close(
        scores, torch.cosine_similarity(hidden[:, None], module.network.head.vectors, dim=-1) * 2, atol=1e-5, rtol=0
    )
    right = scores.gather(1, batch.targets[:, None])
    margins = (0.7 - right + scores).clamp(min=0).sum(1) - 0.7  # the right class itself is at the margin
    log_p = scores.log_softmax(-1)
    expected = margins.sum() / 3 - 0.25 * (log_p.exp() * log_p).sum()
    torch.testing.assert_close(module.score(batch)[1].total, expected, atol=1e-5, rtol=0)
    assert [group["lr"] for group in trainer.optimizers[0].param_groups] == [2.5e-5, 2.5e-5]


def test_a_checkpoint_makes_them_again(fitted):
    module, path, _ = fitted
    restored = SingleLabelClassifier.load_from_checkpoint(str(path))
    assert type(restored) is Confident
    assert (restored.reward, restored.loss.margin, restored.network.head.temperature) == (0.25, 0.7, 0.5)
    assert isinstance(restored.schedule, Halving)
    torch.testing.assert_close(restored.state_dict(), module.state_dict(), atol=0, rtol=0)
    texts = [row["text"] for row in ROWS["single"]]
    assert load_classifier(path).predict(texts) == Classifier(module.artefact).predict(texts)


def test_an_export_makes_the_head_again(fitted, tmp_path):
    module = fitted[0]
    module.artefact.save(tmp_path / "export")
    texts = [row["text"] for row in ROWS["single"]]
    assert load_classifier(tmp_path / "export").predict(texts) == Classifier(module.artefact).predict(texts)


def test_batches_without_a_datamodule_of_ours(encoders, tmp_path):
    labels = LabelSpace.of(["bad", "good"], "single")
    module = make_module("single", encoders("bert"), labels=labels.to_dict())
    encoded = module.tokenizer([row["text"] for row in ROWS["single"]])["input_ids"]
    rows = [{"input_ids": ids, "example_id": place, "target": place % 2} for place, ids in enumerate(encoded)]
    loader = torch.utils.data.DataLoader(rows, batch_size=4, collate_fn=Collator(module.tokenizer, labels))
    trainer = make_trainer(tmp_path)
    trainer.fit(module, loader)
    (numbers,) = trainer.test(module, loader, verbose=False)
    module.artefact.save(tmp_path / "export")
    answers = load_classifier(tmp_path / "export").predict([row["text"] for row in ROWS["single"]])
    right = [answer["label"] == ("bad", "good")[place % 2] for place, answer in enumerate(answers)]
    assert numbers["test/accuracy"] == sum(right) / 8
    long = load_classifier(tmp_path / "export").predict(["a film " * 200])  # cut at what the encoder has positions for
    assert len(long) == 1


COUNTED = [
    CrossEntropyLoss(class_weights="inverse"),
    LDAMLoss(),
    LogitAdjustedLoss(),
    WeightedSum([CrossEntropyLoss(), FocalLoss(class_weights="effective")], [1.0, 1.0]),
]


@pytest.mark.parametrize("loss", COUNTED, ids=lambda loss: type(loss).__name__)
def test_a_loss_of_counts_that_nobody_tells_is_refused(loss, encoders, tmp_path):
    labels = LabelSpace.of(["bad", "good"], "single")
    module = make_module("single", encoders("bert"), labels=labels.to_dict(), loss=loss)
    rows = [{"input_ids": [2, 5, 3], "example_id": place, "target": place % 2} for place in range(4)]
    loader = torch.utils.data.DataLoader(rows, batch_size=2, collate_fn=Collator(module.tokenizer, labels))
    with pytest.raises(InputError, match=rf"^{type(loss).__name__} follows from how often train has each label"):
        make_trainer(tmp_path).fit(module, loader)
    module.loss.fit_counts(ClassCounts(labels, (2, 2), 4))
    make_trainer(tmp_path).fit(module, loader)


class Halved(SingleLabelClassifier):
    """Scores that no head knows of."""

    def forward(self, batch):
        return super().forward(batch) / 2


class HalvedInScore(SingleLabelClassifier):
    """The same, elsewhere."""

    def score(self, batch):
        scores, terms = super().score(batch)
        return scores / 2, terms


class Dearer(SingleLabelClassifier):
    """A loss that counts twice, of the scores there are."""

    def score(self, batch):
        scores, terms = super().score(batch)
        return scores, LossTerms(2 * terms.total, terms.weight)


@pytest.mark.parametrize(("own", "warnings_said"), [
    (Halved, 1), (HalvedInScore, 1), (Dearer, 0), (SingleLabelClassifier, 0),
])  # fmt: skip
def test_scores_that_an_export_would_not_hold_are_warned_of_once(own, warnings_said, encoders, tmp_path):
    module, data = own(str(encoders("bert"))), make_data("single", batch_size=2)
    trainer = make_trainer(tmp_path, max_epochs=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(module, data)
        trainer.test(module, data, verbose=False)
    said = [str(one.message) for one in caught if "is judged by scores" in str(one.message)]
    assert said == warnings_said * [
        f"{own.__name__} is judged by scores of its own forward or score, which are not those of its network: the "
        "network alone is exported, and answers in load_classifier and Classifier(module.artefact); change scores in a "
        "head, a subclass of lightning_clf.heads.Head"
    ]
