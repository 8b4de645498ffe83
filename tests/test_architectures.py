"""Every architecture on every task that fits it: fit, test, export, predict; and what others make of the export."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from safetensors.torch import load_file, save_file

from lightning_clf import LabelSpace, load_classifier
from lightning_clf.encoding import Collator
from lightning_clf.inference import Classifier
from lightning_clf.network import Network
from tests.tiny import ARCHITECTURES, CORPUS
from tests.training import ROWS, make_data, make_module, make_trainer

CASES = [(name, kind) for name in ARCHITECTURES for kind in ROWS if (name, kind) != ("qwen3", "tags")]
DROPOUT = {"albert": {"hidden_dropout_prob": 0.1}}  # whose own is 0
LABELS = {
    "single": LabelSpace.of(["bad", "fine", "good"], "single"),
    "multi": LabelSpace.of(["fear", "joy"], "multi"),
    "tags": LabelSpace.tags(["LOC", "PER"], "IOB2"),
    "score": LabelSpace.score(0, 5),
}


class Modes(Callback):
    """Notes whether every part of the network is in training mode when a batch comes."""

    def __init__(self):
        self.training = set()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.training |= {module.training for module in pl_module.network.modules()}


def by_hand(kind: str, answers: list[dict]) -> tuple[str, float]:
    """One of the numbers of `test`, from the answers of `predict`."""
    pairs = list(zip(answers, ROWS[kind], strict=True))
    if kind == "single":
        return "accuracy", sum(answer["label"] == row["label"] for answer, row in pairs) / len(pairs)
    if kind == "multi":
        wrong = sum(len(set(answer["labels"]) ^ set(row["labels"])) for answer, row in pairs)
        return "hamming_loss", wrong / len(pairs) / 2
    if kind == "score":
        return "mse", sum((answer["score"] - row["score"]) ** 2 for answer, row in pairs) / len(pairs)
    words = [hit for answer, row in pairs for hit in map(str.__eq__, answer["tags"], row["tags"])]
    return "accuracy", sum(words) / len(words)


@pytest.mark.parametrize(("architecture", "kind"), CASES)
def test_fit_test_export_predict(architecture, kind, encoders, tmp_path):
    module = make_module(kind, encoders(architecture), learning_rate=1e-3, warmup_ratio=0.0)
    modes = Modes()
    trainer = make_trainer(tmp_path, callbacks=[modes])
    module.labels = LABELS[kind]
    module.build()
    before = {name: weight.detach().clone() for name, weight in module.network.named_parameters()}
    trainer.fit(module, make_data(kind))
    assert modes.training == {True}
    unmoved = {name for name, weight in module.network.named_parameters() if torch.equal(weight, before[name])}
    assert unmoved == set()

    (scores,) = trainer.test(module, make_data(kind), verbose=False)
    assert module.monitor.replace("val", "test") in scores
    module.artefact.save(tmp_path / "export")
    answers = load_classifier(tmp_path / "export").predict(ROWS[kind])
    assert answers == Classifier(module.artefact).predict(ROWS[kind])
    metric, value = by_hand(kind, answers)
    assert scores[f"test/{metric}"] == pytest.approx(value, abs=1e-5)


def differs_in_training(module, inputs) -> bool:
    """Whether two forward passes of a module as it was built differ."""
    first, second = (module.network.encoder(**inputs).logits for _ in range(2))
    return not torch.equal(first, second)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dropout_is_on_once_built_and_would_not_be_without_train(architecture, encoders, monkeypatch):
    def build():
        torch.manual_seed(0)
        options = {"encoder_options": DROPOUT.get(architecture), "labels": LABELS["single"].to_dict()}
        module = make_module("single", encoders(architecture), **options)
        module.build()
        return module

    module = build()
    inputs = {"input_ids": torch.arange(5, 29).view(2, 12), "attention_mask": torch.ones(2, 12, dtype=torch.int64)}
    assert module.network.encoder.training
    assert differs_in_training(module, inputs)
    monkeypatch.setattr(Network, "train", lambda self, mode=True: self)
    module = build()
    assert not module.network.encoder.training
    assert not differs_in_training(module, inputs)


def plain_words(tokenizer) -> list[str]:
    """Words whose first subword is more than the space before it, which stock pipelines take for a word of its own."""
    words = dict.fromkeys(" ".join(CORPUS).split())
    pieces = {word: tokenizer.tokenize([word], is_split_into_words=True) for word in words}
    return [word for word in words if pieces[word][0].strip("▁Ġ")][:9]


@pytest.fixture(scope="module")
def stock(encoders, tmp_path_factory):
    """Untrained exports of every case, what this library says of them, and what a process without it says."""
    root = tmp_path_factory.mktemp("stock")
    cases, tensors, ours = {}, {}, {}
    for architecture, kind in CASES:
        torch.manual_seed(1)
        module = make_module(kind, encoders(architecture), labels=LABELS[kind].to_dict())
        module.columns = {"text": "text", "text_pair": "text_pair"} if kind == "score" else {}
        module.max_length = 60
        module.build()
        for weight in module.network.parameters():
            weight.data.mul_(10)  # new weights are so small that every input is answered alike
        name = f"{architecture}-{kind}"
        module.artefact.save(root / name)
        classifier = load_classifier(root / name)
        rows = [classifier.inputs.read(row, "") for row in ROWS[kind]]
        batch = Collator(module.tokenizer, module.labels)(classifier.inputs.encode(rows))
        with torch.inference_mode():
            logits = module.network.eval().encoder(**batch.inputs).logits
        row = {"text": "a great joy", "text_pair": "a dull story", "tokens": plain_words(module.tokenizer)}
        ours[name] = (logits, classifier.predict([row])[0])
        cases[name] = {"folder": str(root / name), "kind": kind, "inputs": list(batch.inputs), "row": row}
        tensors |= {f"{name}/{key}": value for key, value in batch.inputs.items()}
    save_file(tensors, root / "inputs.safetensors")
    (root / "cases.json").write_text(json.dumps(cases))
    script = Path(__file__).with_name("stock.py")
    done = subprocess.run([sys.executable, "-I", str(script), str(root)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ours, load_file(root / "logits.safetensors"), json.loads((root / "answers.json").read_text())


def of_words(entities: list[dict], words: list[str]) -> dict[int, str]:
    """The type that stock `transformers` gives to each word that is in an entity."""
    starts = [sum(len(word) + 1 for word in words[:index]) for index in range(len(words))]
    return {
        index: entity["entity_group"]
        for entity in entities
        for index, start in enumerate(starts)
        if start < entity["end"] and entity["start"] < start + len(words[index])
    }


def test_stock_transformers_give_the_same_answers(stock):  # one test for all, since the process takes its time
    ours, logits, answers = stock
    for name, (expected, answer) in ours.items():
        kind = name.rpartition("-")[2]
        torch.testing.assert_close(logits[name], expected, atol=1e-5, rtol=0, msg=name)
        assert logits[name].flatten(1).std(0).max() > 1e-2, name  # inputs matter
        assert [*answers[name]["labels"].values()] == list(LABELS[kind].names), name
        found = answers[name]["pipeline"]
        if kind == "tags":
            types = {index: tag[2:] for index, tag in enumerate(answer["tags"]) if tag != "O"}
            assert of_words(found, answer["tokens"]) == types, name
        elif kind == "score":
            assert min(max(found[0]["score"], 0), 5) == pytest.approx(answer["score"], abs=1e-5), name
        else:
            probabilities = {item["label"]: item["score"] for item in found}
            assert probabilities == pytest.approx(answer["probabilities"], abs=2e-6), name
    assert len(logits) == len(answers) == 39
