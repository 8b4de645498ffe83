"""What is made of a text's windows, against each window computed alone and a formula."""

from __future__ import annotations

import pytest
import torch

from lightning_clf import InputError, load_classifier
from lightning_clf.heads import CRFHead, LabelAttentionHead, LinearHead, MLPHead
from lightning_clf.heads.windows import AttentionWindows, MaxWindows, MeanWindows, mean_of_windows
from lightning_clf.inference import Classifier
from tests.tiny import CORPUS
from tests.training import LABELS, make_data, make_module, make_trainer

LONG, SHORT = " ".join(CORPUS * 3), CORPUS[0]
WINDOW, STRIDE = 12, 3


def build(encoder, kind, head=None, stride=STRIDE):
    torch.manual_seed(0)
    module = make_module(kind, encoder, head=head, labels=LABELS[kind].to_dict())
    module.max_length, module.stride = WINDOW, stride
    module.build()
    for weight in module.network.parameters():
        weight.data.mul_(5)
    module.network.eval()
    return Classifier(module.artefact)


def collated(classifier, *rows):
    read = [classifier.inputs.read(row, "") for row in rows]
    return classifier.collate(classifier.inputs.encode(read))


def alone(classifier, batch, window):
    """Hidden states of one window of a batch."""
    mask = batch.inputs["attention_mask"][window].bool()
    inputs = {name: values[window][mask][None] for name, values in batch.inputs.items()}
    return classifier.network.head.hidden(classifier.network.encoder(**inputs, return_dict=True))[0]


@pytest.mark.parametrize("architecture", ["bert", "roberta", "modernbert", "deberta-v2"])
@pytest.mark.parametrize("head", [None, LinearHead("mean"), LabelAttentionHead()], ids=["own", "linear", "attention"])
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_scores_are_the_mean_of_the_windows(kind, head, architecture, encoders):
    classifier = build(encoders(architecture), kind, head)
    batch = collated(classifier, LONG, SHORT)
    assert batch.window_to_example.bincount().tolist()[0] > 3
    with torch.inference_mode():
        found = classifier.network(batch)
        expected = []
        for row in range(2):
            windows = (batch.window_to_example == row).nonzero().flatten().tolist()
            parts = [collated(classifier, SHORT) for _ in windows]
            for part, window in zip(parts, windows, strict=True):
                mask = batch.inputs["attention_mask"][window].bool()
                part.inputs = {name: values[window][mask][None] for name, values in batch.inputs.items()}
            expected.append(torch.stack([classifier.network(part)[0] for part in parts]).mean(0))
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("windows", ["mean", "max", "attention"])
def test_features_of_windows_are_pooled_before_the_last_layer(windows, encoders):
    classifier = build(encoders("bert"), "single", LinearHead("mean", windows=windows))
    head = classifier.network.head
    batch = collated(classifier, LONG, SHORT)
    with torch.inference_mode():
        found = classifier.network(batch)
        for row in range(2):
            places = (batch.window_to_example == row).nonzero().flatten().tolist()
            features = torch.stack([alone(classifier, batch, place).mean(0) for place in places])
            if windows == "attention":
                weights = (features @ head.windows.score.weight[0] + head.windows.score.bias).softmax(0)
                pooled = (weights[:, None] * features).sum(0)
            else:
                pooled = features.mean(0) if windows == "mean" else features.amax(0)
            torch.testing.assert_close(found[row], head.output(pooled), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("head", [None, LinearHead("mean"), LinearHead("max")], ids=["own", "mean", "max"])
def test_a_word_is_scored_in_its_own_window(head, encoders):
    classifier = build(encoders("bert"), "tags", head)
    words = LONG.split()
    batch = collated(classifier, {"tokens": words})
    with torch.inference_mode():
        found = classifier.network(batch)
        hidden = torch.stack([torch.nn.functional.pad(alone(classifier, batch, window), (0, 0, 0, WINDOW))[:WINDOW]
                              for window in range(len(batch.window_to_example))])  # fmt: skip
    assert found.shape[:2] == (1, len(words))
    for word in range(len(words)):
        own = hidden[batch.word_ids[:, :WINDOW] == word]
        assert len(own)
        expected = own[0]
        if head is not None:
            expected = classifier.network.head.output(own.mean(0) if head.pooling_name == "mean" else own.amax(0))
        torch.testing.assert_close(found[0, word], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["single", "tags"])
def test_a_text_of_one_window_is_answered_as_ever(kind, encoders):
    row = {"tokens": SHORT.split()} if kind == "tags" else SHORT
    answers = [build(encoders("bert"), kind, stride=stride).predict([row]) for stride in (None, STRIDE)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("head", [None, CRFHead()], ids=["own", "crf"])
def test_memory_is_that_of_some_windows_however_long_a_text_is(head, encoders, monkeypatch):
    classifier = build(encoders("bert"), "tags", head)
    seen = []
    forward = classifier.network.encoder.forward

    def watched(**inputs):
        seen.append(inputs["input_ids"].shape)
        return forward(**inputs)

    monkeypatch.setattr(classifier.network.encoder, "forward", watched)
    words = [f"word{number}" for number in range(5000)]
    (answer,) = classifier.predict([{"tokens": words}])
    assert answer["tokens"] == words
    assert len(answer["tags"]) == 5000
    assert None not in answer["probabilities"]
    assert max(shape[0] for shape in seen) == 64
    assert sum(shape[0] for shape in seen) > 400


def test_rows_share_a_pass_by_their_windows(encoders, monkeypatch):
    classifier = build(encoders("bert"), "single")
    sizes = []
    answer_batch = classifier.answer_batch
    monkeypatch.setattr(
        classifier, "answer_batch", lambda encoded, read: sizes.append(len(encoded)) or answer_batch(encoded, read)
    )
    texts = [LONG, SHORT, LONG, *[SHORT] * 5]
    together = classifier.predict(texts, batch_size=4)
    assert sizes == [4, 2, 1, 1]
    assert [one["label"] for one in together] == [classifier.predict([text])[0]["label"] for text in texts]


ROWS = [{"text": " ".join(CORPUS[: 1 + index]), "label": ("bad", "good")[index % 2]} for index in range(8)]


@pytest.mark.parametrize("head", [None, MLPHead("mean", windows="attention")], ids=["own", "pooled"])
def test_from_a_fit_to_its_export(head, encoders, tmp_path):
    module = make_module("single", encoders("bert"), head=head)
    data = make_data("single", ROWS, max_length=10, stride=2, max_windows=2)
    trainer = make_trainer(tmp_path)
    trainer.fit(module, data)
    batch = next(iter(data.train_dataloader()))
    assert batch.window_to_example.bincount().max() == 2
    assert next(iter(data.val_dataloader())).window_to_example.bincount().max() > 2
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    module.artefact.save(tmp_path / "best")
    texts = [row["text"] for row in ROWS]
    expected = Classifier(module.artefact).predict(texts)
    for path in ("best", "one.ckpt"):
        read = load_classifier(tmp_path / path)
        assert read.artefact.stride == 2
        assert read.predict(texts) == expected
    (numbers,) = trainer.test(module, data, verbose=False)
    assert (
        numbers["test/accuracy"] == sum(a["label"] == row["label"] for a, row in zip(expected, ROWS, strict=True)) / 8
    )


def test_windows_of_words_are_not_pooled(encoders):
    with pytest.raises(InputError, match=r"^windows 'max' pools the windows of a text, and a word is read in one"):
        build(encoders("bert"), "tags", LinearHead(windows="max"))


POOLED = {"mean": MeanWindows(), "max": MaxWindows(), "attention": AttentionWindows(3)}


@pytest.mark.parametrize("name", POOLED)
def test_gradients(name, encoders):
    batch = collated(build(encoders("bert"), "single"), LONG, SHORT)
    features = torch.randn(len(batch.window_to_example), 3, dtype=torch.float64, requires_grad=True)
    pool = POOLED[name].double()
    if name == "attention":
        assert pool(features, batch).dtype == torch.float64
        return
    assert torch.autograd.gradcheck(lambda values: pool(values, batch), features)


def test_scores_of_texts_are_left_alone(encoders):
    batch = collated(build(encoders("bert"), "single"), LONG, SHORT)
    scores = torch.randn(2, 3)
    assert mean_of_windows(scores, batch) is scores
