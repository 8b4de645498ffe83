"""Ordered labels: the loss and the probabilities against the paper's formulas, and a module without another."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from lightning_clf import SingleLabelClassifier, TokenClassifier
from lightning_clf.batch import IGNORE, Batch
from lightning_clf.heads import OrdinalHead
from lightning_clf.heads.ordinal import corn_loss
from lightning_clf.inference import Classifier
from lightning_clf.labels import LabelSpace
from lightning_clf.losses import CrossEntropyLoss
from tests.training import ROWS, complaint, make_data, make_module, make_trainer

LABELS = LabelSpace.of(["1", "2", "3", "4"], "single")


def expected_loss(rows: list[list[float]], targets: list[int]) -> tuple[float, int]:
    """−Σ_k Σ_{y ≥ k} [1{y > k} log σ + 1{y ≤ k} log(1−σ)] and Σ_k |S_k| (Shi et al. 2021, equation 5)."""
    total, count = 0.0, 0
    for k in range(len(rows[0])):
        for row, y in zip(rows, targets, strict=True):
            if y >= k:
                p = 1 / (1 + math.exp(-row[k]))
                total -= math.log(p) if y > k else math.log(1 - p)
                count += 1
    return total, count


def logits() -> torch.Tensor:
    """`[6,3]`, of both signs."""
    return 2 * torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def head_of(config: Any) -> OrdinalHead:
    head = OrdinalHead()
    head.attach(config, LABELS)
    return head


TARGETS = torch.tensor([0, 1, 2, 3, IGNORE, 3])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_loss_is_that_of_the_paper(dtype: torch.dtype, tolerance: float) -> None:
    terms = corn_loss(logits().to(dtype), TARGETS)
    total, count = expected_loss(logits().tolist(), TARGETS.tolist())
    assert terms.total.item() == pytest.approx(total, rel=tolerance)
    assert terms.weight.item() == count == 1 + 2 + 3 + 3 + 0 + 3
    assert torch.autograd.gradcheck(lambda s: corn_loss(s, TARGETS).total, logits().requires_grad_())
    parts = [corn_loss(logits()[cut].to(dtype), TARGETS[cut]) for cut in (slice(0, 2), slice(2, 6))]
    assert sum(part.total.item() for part in parts) == pytest.approx(total, rel=tolerance)
    assert sum(part.weight.item() for part in parts) == count


def test_the_loss_at_the_edges() -> None:
    scores = torch.tensor([[1e4, -1e4, 1e4], [-1e4, 1e4, 1e4]], requires_grad=True)
    right = corn_loss(scores, torch.tensor([1, 0]))
    assert right.total.item() == 0
    wrong = corn_loss(scores, torch.tensor([3, 3]))
    wrong.mean.backward()
    assert wrong.total.item() == 2e4
    assert scores.grad.tolist() == [[0, pytest.approx(-1 / 6), 0], [pytest.approx(-1 / 6), 0, 0]]
    none = corn_loss(torch.randn(2, 3), torch.full((2,), IGNORE))
    assert (none.total.item(), none.weight.item(), none.mean.item()) == (0, 0, 0)
    low = corn_loss(logits().bfloat16(), TARGETS)
    assert low.total.dtype == low.weight.dtype == torch.float32
    assert low.total.item() == pytest.approx(corn_loss(logits().bfloat16().double(), TARGETS).total.item(), rel=1e-6)


def test_probabilities_are_differences_of_products(config: Any, batch: Batch) -> None:
    prediction = head_of(config).decode(logits().float(), batch)
    for row, index, probabilities in zip(logits().tolist(), prediction.indices, prediction.probabilities, strict=True):
        beyond = [1.0]
        for z in row:
            beyond.append(beyond[-1] / (1 + math.exp(-z)))
        differences = [high - low for high, low in zip(beyond, [*beyond[1:], 0.0], strict=True)]
        assert probabilities.tolist() == pytest.approx(differences, abs=1e-6)
        assert index.item() == sum(p > 0.5 for p in beyond[1:])


def test_probabilities_of_extreme_scores(config: Any, batch: Batch) -> None:
    generator = torch.Generator().manual_seed(1)
    many = torch.cat([logits().float(), 1e4 * torch.randn(100, 3, generator=generator), 9 * torch.randn(100, 3)])
    prediction = head_of(config).decode(many.bfloat16(), batch)
    assert prediction.probabilities.dtype == torch.float32
    assert (prediction.probabilities >= 0).all()
    torch.testing.assert_close(prediction.probabilities.sum(1), torch.ones(206))
    sure = torch.tensor([[-1e4, 1e4, 1e4], [1e4, -1e4, 1e4], [1e4, 1e4, -1e4], [1e4, 1e4, 1e4]])
    certain = head_of(config).decode(sure, batch)
    assert certain.indices.tolist() == [0, 1, 2, 3]
    assert torch.equal(certain.probabilities, torch.eye(4))


def test_the_answer_is_the_median(config: Any, batch: Batch) -> None:
    p = torch.tensor([[0.6, 0.5, 0.999]])  # P(y > k): 0.6, 0.3, 0.2997
    prediction = head_of(config).decode(p.logit(), batch)
    assert prediction.indices.tolist() == [1]
    assert prediction.probabilities[0].tolist() == pytest.approx([0.4, 0.3, 0.0003, 0.2997], abs=1e-6)


def test_one_score_less_than_classes(config: Any, hidden: torch.Tensor, batch: Batch) -> None:
    head = head_of(config)
    assert head.reads_first_token
    scores = head(hidden, batch)
    assert scores.shape == (3, 3)
    batch.targets = torch.tensor([0, 3, 2])
    assert head.structural_loss(scores, batch) == corn_loss(scores, batch.targets)
    two = OrdinalHead()
    two.attach(config, LabelSpace.of(["no", "yes"], "single"))
    assert two.decode(torch.tensor([[0.7], [-0.7]]), batch).indices.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("options", "key"),
    [({"loss": CrossEntropyLoss()}, "model.loss"), ({"class_weights": "inverse"}, "model.class_weights")],
)
def test_another_loss_beside_it_is_refused(options: Any, key: str) -> None:
    message = complaint(lambda: SingleLabelClassifier("encoder", head=OrdinalHead(), **options))
    assert message == f"{key} is given, but OrdinalHead brings its own loss: leave {key} out"


def test_other_kinds_and_r_drop_are_refused() -> None:
    message = complaint(lambda: TokenClassifier("encoder", head=OrdinalHead()))
    assert message.startswith("model.head OrdinalHead fits labels of kind single, but TokenClassifier has kind tags")
    message = complaint(lambda: SingleLabelClassifier("encoder", head=OrdinalHead(), r_drop=1.0))
    assert message.startswith("model.r_drop compares scores, but those of OrdinalHead are none to compare")


def test_a_module_learns_and_comes_back_from_its_checkpoint(encoders: Any, tmp_path: Any) -> None:
    head = OrdinalHead(pooling="mean", dropout=0.0)
    module = make_module("single", encoders("bert"), head=head, learning_rate=0.01)
    data = make_data("single", labels=["bad", "fine", "good"])
    trainer = make_trainer(tmp_path, max_epochs=3)
    trainer.fit(module, data)
    assert module.loss is None
    trainer.save_checkpoint(tmp_path / "ordinal.ckpt")
    restored = SingleLabelClassifier.load_from_checkpoint(str(tmp_path / "ordinal.ckpt"))
    assert isinstance(restored.network.head, OrdinalHead)
    torch.testing.assert_close(restored.state_dict(), module.state_dict(), atol=0, rtol=0)
    texts = [row["text"] for row in ROWS["single"]]
    answers = Classifier(restored.artefact).predict(texts)
    assert answers == Classifier(module.artefact).predict(texts)
    assert all(sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-4) for answer in answers)
    (numbers,) = make_trainer(tmp_path).test(restored, data, verbose=False)
    restored.eval()
    batches = list(data.test_dataloader())
    with torch.no_grad():
        parts = [corn_loss(restored(each), each.targets) for each in batches]
    expected = sum(part.total for part in parts) / sum(part.weight for part in parts)
    assert numbers["test/loss"] == pytest.approx(expected.item(), rel=1e-5)
