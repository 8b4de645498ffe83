"""Pairs whose order says nothing: each is learned in one of both orders, and answered by the mean of both."""

from __future__ import annotations

import contextlib
import json

import pytest
import torch
from lightning.pytorch import Callback, seed_everything

from lightning_clf import SimilarityRegressor, SingleLabelClassifier, load_classifier
from lightning_clf.artefact import load_artefact
from lightning_clf.callbacks import BestCheckpoint
from lightning_clf.distillation.answers import Answers
from lightning_clf.distillation.asking import Machine, ask
from lightning_clf.distillation.teacher import Teacher
from lightning_clf.encoding import Collator, encode_texts
from lightning_clf.exporting import export
from lightning_clf.inference import Classifier, answer_labelled
from tests.tiny import CORPUS
from tests.training import complaint, make_data, make_trainer

ROWS = [{"text": text, "text_pair": CORPUS[-place], "label": "ab"[place % 2]} for place, text in enumerate(CORPUS)]
PAIRED = {"text_pair_column": "text_pair", "symmetric_pairs": True}


def fit(encoder, folder, **options):
    """A module trained on symmetric pairs, and the batches it saw."""
    trainer = make_trainer(folder, enable_checkpointing=True, callbacks=[BestCheckpoint()], max_epochs=2)
    module = SingleLabelClassifier(str(encoder), learning_rate=1e-2)
    data = make_data("single", ROWS, **PAIRED, **options)
    trainer.fit(module, data)
    return module, data


@pytest.fixture(scope="module")
def run(encoders, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    fit(encoders("bert"), folder)
    return folder


def turned(rows):
    return [{"text": row["text_pair"], "text_pair": row["text"]} for row in rows]


@pytest.mark.parametrize("name", ["best", "best.ckpt"])
def test_answers_are_of_the_mean_of_both_orders_and_do_not_depend_on_the_order(run, name):
    model = load_classifier(run / name)
    for weight in model.network.parameters():
        weight.data.mul_(15)  # so that an answer depends on the text
    answers = model.predict(ROWS)
    for answer, other in zip(answers, model.predict(turned(ROWS)), strict=True):
        assert answer["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)
    texts, pairs = [row["text"] for row in ROWS], [row["text_pair"] for row in ROWS]
    logits = []
    for first, second in ((texts, pairs), (pairs, texts)):
        columns = encode_texts(model.artefact.tokenizer, first, second, 32)
        columns["example_id"] = range(len(ROWS))
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        with torch.inference_mode():
            logits.append(model.network(Collator(model.artefact.tokenizer, model.labels)(rows)))
    assert not torch.allclose(*logits, atol=1e-4)
    expected = torch.stack(logits).mean(0).softmax(1)
    for answer, shares in zip(answers, expected.tolist(), strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(shares, abs=2e-6)


def test_a_training_step_sees_one_order_and_each_in_turn(encoders, tmp_path):
    module, data = fit(encoders("bert"), tmp_path)
    first = encode_texts(module.tokenizer, [row["text"] for row in ROWS], [row["text_pair"] for row in ROWS], 32)
    other = encode_texts(module.tokenizer, [row["text_pair"] for row in ROWS], [row["text"] for row in ROWS], 32)
    seen = set()
    loader = data.train_dataloader()
    for epoch in range(4):
        loader.sampler.set_epoch(epoch)
        for batch in loader:
            assert len(batch.window_to_example) == len(batch)
            for row, ids, mask in zip(
                batch.example_ids.tolist(), batch.inputs["input_ids"], batch.inputs["attention_mask"], strict=True
            ):
                found = ids[mask.bool()].tolist()
                assert found in (first["input_ids"][row], other["input_ids"][row])
                seen.add((row, found == first["input_ids"][row]))
    assert len(seen) > len(ROWS)
    again = [batch.inputs["input_ids"].tolist() for batch in loader]
    assert again == [batch.inputs["input_ids"].tolist() for batch in loader]
    assert all(len(batch.window_to_example) == 2 * len(batch) for batch in data.val_dataloader())


class Seen(Callback):
    """The inputs of each step, and a checkpoint after some."""

    def __init__(self, folder, after=()):
        self.folder, self.after, self.inputs = folder, after, []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        assert len(batch.window_to_example) == len(batch) == 1
        self.inputs.append((int(batch.example_ids), batch.inputs["input_ids"].tolist()))
        if trainer.global_step in self.after:
            trainer.save_checkpoint(self.folder / f"step{trainer.global_step}.ckpt")


def fit_one_by_one(encoder, folder, seed, checkpoint=None, **options):
    """A fit of batches of one row; what it saw, and the weights."""
    seed_everything(seed, verbose=False)
    seen, module = Seen(folder, **options), SingleLabelClassifier(str(encoder), learning_rate=1e-3)
    trainer = make_trainer(folder, callbacks=[seen], max_epochs=6)
    trainer.fit(module, make_data("single", ROWS, **PAIRED, batch_size=1), ckpt_path=checkpoint)
    return seen.inputs, module.state_dict()


def test_the_order_of_a_row_alone_in_its_batch_is_drawn_too(encoders, tmp_path):
    inputs, weights = fit_one_by_one(encoders("bert"), tmp_path, 0, after=(3, 8, 21))
    orders = [{str(ids) for number, ids in inputs if number == row} for row in range(len(ROWS))]
    assert all(1 <= len(each) <= 2 for each in orders)
    assert sum(len(each) for each in orders) >= 2 * len(ROWS) - 2  # of six epochs one row in 32 has one order
    for step in (3, 8, 21):
        # another seed: nothing but the checkpoint decides
        rest, ended = fit_one_by_one(encoders("bert"), tmp_path, 5, tmp_path / f"step{step}.ckpt")
        assert rest == inputs[step:]
        assert [name for name, weight in weights.items() if not torch.equal(ended[name], weight)] == []
    assert fit_one_by_one(encoders("bert"), tmp_path, 0)[0] == inputs
    other, _ = fit_one_by_one(encoders("bert"), tmp_path, 1)
    assert dict(other[: len(ROWS)]) != dict(inputs[: len(ROWS)])  # the orders of an epoch follow from the seed


def test_both_orders_may_be_learned_in_one_step(encoders, tmp_path):
    _, data = fit(encoders("bert"), tmp_path, max_windows=2)
    assert all(len(batch.window_to_example) == 2 * len(batch) for batch in data.train_dataloader())


def test_what_is_evaluated_is_what_is_predicted(run):
    module = SingleLabelClassifier.load_from_checkpoint(run / "best.ckpt")
    metrics = make_trainer(run).validate(module, make_data("single", ROWS, **PAIRED), verbose=False)[0]
    answers = load_classifier(run / "best").predict(ROWS)
    right = [answer["label"] == row["label"] for answer, row in zip(answers, ROWS, strict=True)]
    assert metrics["val/accuracy"] == pytest.approx(sum(right) / len(right))


def test_the_export_says_so(run):
    assert json.loads((run / "best" / "lightning_clf.json").read_text())["symmetric"] is True
    assert load_artefact(run / "best").symmetric


def test_a_score_is_symmetric_too(encoders, tmp_path):
    rows = [{"text": row["text"], "text_pair": row["text_pair"], "score": place / 2} for place, row in enumerate(ROWS)]
    trainer = make_trainer(tmp_path, enable_checkpointing=True, callbacks=[BestCheckpoint()])
    trainer.fit(SimilarityRegressor(str(encoders("distilbert"))), make_data("score", rows, symmetric_pairs=True))
    model = load_classifier(tmp_path / "best")
    for answer, other in zip(model.predict(rows), model.predict(turned(rows)), strict=True):
        assert answer["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (True, False, "is false, but the model answers pairs by both orders, which is what is to be evaluated: set it"),
        (False, True, "is true, but the model answers pairs by one order, which is what is to be evaluated: leave it"),
    ],
)
def test_another_way_of_reading_is_not_evaluated(model, data, said, encoders, tmp_path):
    module = SingleLabelClassifier(str(encoders("bert")))
    pairs = {"text_pair_column": "text_pair"}
    trainer = make_trainer(tmp_path)
    trainer.fit(module, make_data("single", ROWS, symmetric_pairs=model, **pairs))
    other = make_data("single", ROWS, symmetric_pairs=data, **pairs)
    assert complaint(lambda: trainer.validate(module, other)).startswith(f"data.symmetric_pairs {said}")
    assert module.symmetric is model
    untrained = SingleLabelClassifier(str(encoders("bert")))
    make_trainer(tmp_path).validate(untrained, other, verbose=False)
    assert untrained.symmetric is data


def test_a_graph_reads_both_orders_too(run, tmp_path):
    pytest.importorskip("onnxruntime")
    made = export(str(run / "best"), "onnx", str(tmp_path / "graph"))
    assert made.comparison.difference < 1e-4
    graph, model = load_classifier(tmp_path / "graph"), load_classifier(run / "best")
    assert graph.artefact.symmetric
    for answer, expected in zip(graph.predict(turned(ROWS)), model.predict(ROWS), strict=True):
        assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)


def test_a_report_is_of_what_predict_answers(run, tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    model = load_classifier(run / "best")
    for weight in model.network.parameters():
        weight.data.mul_(15)
    answered = answer_labelled(model, str(tmp_path / "rows.jsonl"), {}, 3)
    for shares, answer in zip(answered.probabilities.tolist(), model.predict(ROWS), strict=True):
        assert shares == pytest.approx(list(answer["probabilities"].values()), abs=2e-6)


def test_pairs_in_windows_are_refused_in_both_orders_as_in_one(encoders, tmp_path):
    data = make_data("single", ROWS, stride=2, **PAIRED)
    message = complaint(lambda: make_trainer(tmp_path).fit(SingleLabelClassifier(str(encoders("bert"))), data))
    assert message == "data.stride reads single texts in windows, and these are pairs: leave it out"


@pytest.mark.parametrize("both", [False, True])
def test_a_teacher_answers_as_it_answers_anyone(both, run, encoders, tmp_path):
    teacher = Teacher.load(str(run / "best"), load_classifier(run / "best").labels)
    for weight in teacher.artefact.network.parameters():
        weight.data.mul_(15)
    data = make_data("single", ROWS, cache_dir=tmp_path, text_pair_column="text_pair", symmetric_pairs=both)
    data.tokenizer = teacher.artefact.tokenizer
    key = ask(teacher, data, Machine(torch.device("cpu"), "32-true", contextlib.nullcontext))
    said = Answers(tmp_path / key).of(torch.arange(len(ROWS)))
    expected = [list(answer["probabilities"].values()) for answer in Classifier(teacher.artefact).predict(ROWS)]
    for logits, shares in zip(said, expected, strict=True):
        assert logits.softmax(-1).tolist() == pytest.approx(shares, abs=2e-6)


def test_single_texts_have_no_two_orders(encoders, tmp_path):
    data = make_data("single", symmetric_pairs=True)
    message = complaint(lambda: make_trainer(tmp_path).fit(SingleLabelClassifier(str(encoders("bert"))), data))
    assert message == "data.symmetric_pairs reads pairs in both orders, but these are single texts: remove it"
