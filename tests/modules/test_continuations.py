"""Training the later subwords of a word: their targets, their loss, and that scores stay those of words."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from lightning_clf import LabelSpace, MultiTaskClassifier
from lightning_clf.batch import IGNORE, Batch
from lightning_clf.heads import LinearHead
from lightning_clf.modules.token import continuation_table, subword_batch
from lightning_clf.network import Network
from tests.several_tasks import make_tasks
from tests.training import NO_DROPOUT, ROWS, complaint, make_data, make_module, make_trainer

LABELS = LabelSpace.tags(["LOC", "PER"], "IOB2")  # O, B-LOC, I-LOC, B-PER, I-PER
# two sentences: [CLS] An ##na Ber ##g sleeps [SEP], and [CLS] Os ##lo [SEP] with a word that has no subword
BATCH = Batch(
    inputs={},
    example_ids=torch.tensor([5, 3]),
    window_to_example=torch.tensor([0, 1]),
    targets=torch.tensor([[3, 4, 0], [1, 0, IGNORE]]),
    word_ids=torch.tensor([[-1, 0, 0, 1, 1, 2, -1], [-1, 0, 0, -1, -1, -1, -1]]),
    first_subword=torch.tensor([[1, 3, 5], [8, -1, -1]]),
    word_counts=torch.tensor([3, 2]),
)


def test_a_later_subword_of_b_is_trained_on_i():
    pieces = subword_batch(BATCH, continuation_table(LABELS))
    none = IGNORE
    assert pieces.targets.tolist() == [[none, 3, 4, 4, 4, 0, none], [none, 1, 2, none, none, none, none]]
    assert pieces.first_subword.tolist() == [[-1, 1, 2, 3, 4, 5, -1], [-1, 8, 9, -1, -1, -1, -1]]
    assert pieces.word_ids.tolist() == [[-1, 1, 2, 3, 4, 5, -1], [-1, 1, 2, -1, -1, -1, -1]]
    assert pieces.word_counts.tolist() == [7, 7]


@pytest.mark.parametrize(("scheme", "names", "continued"), [
    ("IOB2", ["O", "B-X", "I-X"], ["O", "I-X", "I-X"]),
    ("IOB1", ["O", "B-X", "I-X"], ["O", "I-X", "I-X"]),
    ("BIOES", ["O", "B-X", "I-X", "E-X", "S-X"], ["O", "I-X", "I-X", "E-X", "I-X"]),
    ("none", ["B-X", "I-X", "NN"], ["B-X", "I-X", "NN"]),
])  # fmt: skip
def test_the_tag_that_continues_a_tag(scheme, names, continued):
    labels = LabelSpace(tuple(names), "tags", scheme)
    assert [labels.names[index] for index in continuation_table(labels)] == continued


@pytest.fixture
def pair(encoders, tmp_path):
    """A fitted module that trains continuations, one that does not with the same weights, and a batch."""
    encoder = encoders("xlm-roberta")  # whose tokenizer cuts words into many subwords
    trained = make_module("tags", encoder, train_continuations=True, encoder_options=NO_DROPOUT)
    data = make_data("tags", max_length=60)
    make_trainer(tmp_path).fit(trained, data)
    plain = make_module("tags", encoder, labels=trained.labels.to_dict(), encoder_options=NO_DROPOUT)
    plain.build()
    plain.load_state_dict(trained.state_dict())
    return trained.eval(), plain.eval(), next(iter(data.val_dataloader()))


def test_the_loss_is_over_every_subword(pair):
    trained, plain, batch = pair
    _, terms = trained.train().score(batch)
    logits = trained.network.encoder(**batch.inputs).logits
    total, count = 0.0, 0
    for row, words in enumerate(batch.word_ids.tolist()):
        for place, word in enumerate(words):
            if word < 0:
                continue
            tag = ROWS["tags"][batch.example_ids[row]]["tags"][word]
            later = place > 0 and words[place - 1] == word
            target = trained.labels.index(tag.replace("B-", "I-") if later else tag)
            total += functional.cross_entropy(logits[row, place], torch.tensor(target)).item()
            count += 1
    assert terms.total.item() == pytest.approx(total, rel=1e-5)
    assert terms.weight.item() == count
    assert plain.score(batch)[1].weight.item() == sum(len(row["tokens"]) for row in ROWS["tags"]) < count


def test_scores_are_those_of_words(pair):
    trained, plain, batch = pair
    scores, expected = trained.score(batch)[0], plain.score(batch)[0]
    known = batch.first_subword >= 0
    torch.testing.assert_close(scores[known], expected[known], atol=0, rtol=0)
    one, other = (
        module.network.head.decode(values, batch) for module, values in ((trained, scores), (plain, expected))
    )
    assert torch.equal(one.indices, other.indices)


class ScaledByWords(LinearHead):
    """A head whose score of a word depends on what other words its batch has, as no pooling by name says."""

    kinds = frozenset({"tags"})

    def forward(self, hidden, batch):
        return super().forward(hidden, batch) * len(batch) / batch.first_subword.shape[1]


def test_what_is_judged_is_what_is_predicted(encoders, tmp_path):
    module = make_module("tags", encoders("bert"), head=ScaledByWords(), train_continuations=True)
    data = make_data("tags", max_length=60)
    make_trainer(tmp_path).fit(module, data)
    batch = next(iter(data.val_dataloader()))
    scores, terms = module.eval().score(batch)
    torch.testing.assert_close(scores, module(batch), atol=0, rtol=0)
    assert terms.weight.item() == (batch.first_subword >= 0).sum().item()


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_head_that_pools_the_subwords_of_a_word_is_refused(pooling, encoders, tmp_path):
    own = {"head": LinearHead(pooling=pooling), "train_continuations": True}
    said = (
        f"model.train_continuations trains each subword alone, but model.head pools them ({pooling}): set "
        "pooling to first, or leave model.train_continuations out"
    )
    assert complaint(lambda: make_module("tags", "encoder", **own)) == said
    several = MultiTaskClassifier(str(encoders("bert")), tasks={"tags": own})
    trainer = make_trainer(tmp_path)
    assert complaint(lambda: trainer.fit(several, make_tasks("single", "tags"))) == said.replace(
        "model.", "model.tasks.tags."
    )
    make_module("tags", "encoder", head=LinearHead(pooling="first"), train_continuations=True)


def test_words_outside_the_window_cost_nothing_but_count_as_missed(encoders, tmp_path):
    rows = [{"tokens": ["Anna"] * 9, "tags": ["B-PER"] * 9}, *ROWS["tags"]]
    module, data = make_module("tags", encoders("bert")), make_data("tags", rows, max_length=6)
    trainer = make_trainer(tmp_path)
    trainer.fit(module, data)
    (numbers,) = trainer.test(module, data, verbose=False)
    batch = next(iter(data.test_dataloader()))
    assert module.score(batch)[1].weight.item() == (batch.first_subword >= 0).sum().item()
    report = {row.label: row for row in module.stage_scores("test").metrics.per_class()}
    assert report["PER"].support == sum(tag == "B-PER" for row in rows for tag in row["tags"])
    assert numbers["test/recall/PER"] < 0.6


def test_decoding_needs_no_gradients(encoders, tmp_path, monkeypatch):
    modes = []
    predict = Network.forward
    monkeypatch.setattr(
        Network, "forward", lambda self, batch: modes.append(torch.is_grad_enabled()) or predict(self, batch)
    )
    make_trainer(tmp_path, limit_val_batches=0).fit(make_module("tags", encoders("bert")), make_data("tags"))
    assert modes == [True, True]
