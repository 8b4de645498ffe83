"""Several tasks answered at once: as each task's own export answers, with one pass of the encoder for what is alike."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from lightning_clf import MultiTaskClassifier, MultiTaskDataModule, load_classifier, load_predictor
from lightning_clf.inference import Classifier, TaskClassifiers, draft, files, predict_file
from tests.inference.test_classifier import assert_alike
from tests.several_tasks import JOINT, fit, intent_and_slots, make_tasks
from tests.tiny import CORPUS
from tests.training import complaint, make_data


@pytest.fixture(scope="module")
def joint(encoders, tmp_path_factory):
    """The run of intent and slots of one sentence."""
    folder = tmp_path_factory.mktemp("joint")
    fit(encoders("bert"), folder, intent_and_slots(), max_epochs=2)
    return folder


@pytest.fixture(scope="module")
def every(encoders, tmp_path_factory):
    """The run of a task of every kind."""
    folder = tmp_path_factory.mktemp("every")
    fit(encoders("bert"), folder, make_tasks("single", "multi", "tags", "score"))
    return folder


def count_passes(model: TaskClassifiers) -> list[int]:
    """The sizes of the batches that the encoder computes from now on."""
    sizes: list[int] = []
    model.artefacts.trunk.encoder.register_forward_pre_hook(
        lambda module, args, inputs: sizes.append(len(args[0] if args else inputs["input_ids"])), with_kwargs=True
    )
    return sizes


@pytest.mark.parametrize("name", ["best", "best.ckpt"])
def test_all_at_once_answer_as_each_alone(joint, name):
    model = load_predictor(joint / name)
    given = [{"tokens": text.split()} for text in CORPUS]
    together = model.predict(given, batch_size=3)
    assert [list(answer) for answer in together] == [["slots", "intent"]] * len(CORPUS)
    for task in ("slots", "intent"):
        alone = load_classifier(joint / "best" / task).predict(given)
        assert_alike([answer[task] for answer in together], alone)


@pytest.mark.parametrize("given", [[{"tokens": text.split()} for text in CORPUS], CORPUS], ids=["words", "texts"])
def test_the_encoder_is_called_once_for_what_tasks_read_alike(joint, given):
    model = load_predictor(joint / "best")
    sizes = count_passes(model)
    model.predict(given, batch_size=3)
    assert sorted(sizes) == [2, 3, 3]


def test_rows_of_which_tasks_read_different_texts_are_encoded_apart(joint):
    model = load_predictor(joint / "best", {"text": "line"})
    sizes = count_passes(model)
    rows = [{"line": CORPUS[0], "tokens": CORPUS[1].split()}, {"line": CORPUS[2]}, {"line": "", "tokens": []}]
    answers = model.predict(rows)
    assert sorted(sizes) == [1, 1, 2]  # the last two, and of the first each text by itself
    slots, intent = (load_classifier(joint / "best" / task, {"text": "line"}) for task in ("slots", "intent"))
    assert_alike([answer["slots"] for answer in answers], slots.predict(rows))
    assert_alike([answer["intent"] for answer in answers], intent.predict(rows))


def test_a_task_is_left_out_of_rows_that_lack_its_columns(every):
    model = load_predictor(every / "best")
    rows = [
        {"text": CORPUS[0], "text_pair": CORPUS[1]},
        CORPUS[2],
        {"text": CORPUS[3], "text_pair": None},
        {"tokens": CORPUS[4].split()},
    ]
    answers = model.predict(rows)
    assert [list(answer) for answer in answers] == [
        ["single", "multi", "tags", "score"],
        ["single", "multi", "tags"],
        ["single", "multi", "tags"],
        ["tags"],
    ]
    for task in ("single", "multi", "tags", "score"):
        has = [place for place, answer in enumerate(answers) if task in answer]
        alone = load_classifier(every / "best" / task).predict([rows[place] for place in has])
        assert_alike([answers[place][task] for place in has], alone)


def test_a_pair_is_encoded_apart_from_its_first_text(every):
    model = load_predictor(every / "best")
    sizes = count_passes(model)
    model.predict([{"text": CORPUS[0], "text_pair": CORPUS[1]}, {"text": CORPUS[2], "text_pair": ""}])
    assert sizes == [2, 2]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"words": ["a"]}, "row 1 has the columns of no task, as single reads 'text'; multi reads 'text'; tags reads"),
        ({"text": 3}, "task single: column 'text' of row 1 is an int, not text"),
        ({"tokens": "a b"}, "task tags: row 1: column 'tokens' must hold a list of words"),
    ],
)
def test_a_row_that_cannot_be_read(every, row, message):
    model = load_predictor(every / "best")
    assert complaint(lambda: model.predict([row])).startswith(message)


def test_files_have_the_answers_under_the_names_of_the_tasks(every, tmp_path):
    model = load_predictor(every / "best")
    rows = [{"text": text, "single": "mine", "text_pair": CORPUS[0]} for text in CORPUS[:3]]
    rows[1].pop("text_pair")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = model.predict(rows)
    with pytest.warns(UserWarning, match="1 of 3 rows lack the columns of task score, which is left out"):
        predict_file(model, str(tmp_path / "rows.jsonl"), str(tmp_path / "answers.jsonl"))
    found = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [row.pop("input/single") for row in found] == ["mine"] * 3
    for row, given, answer in zip(found, rows, expected, strict=True):
        assert row == {"text": given["text"], **{k: v for k, v in given.items() if k == "text_pair"}, **answer}
    with pytest.warns(UserWarning, match="score"):
        predict_file(model, str(tmp_path / "rows.jsonl"), str(tmp_path / "answers.parquet"))
    table = pq.read_table(tmp_path / "answers.parquet").to_pylist()
    for row, answer in zip(table, expected, strict=True):
        assert row["single/label"] == answer["single"]["label"]
        assert row["tags/tags"] == answer["tags"]["tags"]
        name, share = next(iter(answer["multi"]["probabilities"].items()))
        assert row[f"multi/probability/{name}"] == share
        assert row["score/score"] == answer.get("score", {"score": None})["score"]
        assert row["input/single"] == "mine"


def test_a_column_of_second_texts_is_for_tasks_of_pairs(every, joint):
    model = load_predictor(every / "best", {"text_pair": "other"})
    assert list(model.predict([{"text": CORPUS[0], "other": CORPUS[1]}])[0]) == ["single", "multi", "tags", "score"]
    message = complaint(lambda: load_predictor(joint / "best", {"text_pair": "other"}))
    assert message == "column 'other' is named for second texts, and no task (slots, intent) reads pairs: leave it out"
    assert "tokens" not in load_predictor(joint / "best", {"tokens": "w"}).tasks["intent"].inputs.columns


def test_a_run_of_several_tasks_goes_on_and_counts_what_is_left_out(every, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CHUNK", 2)
    monkeypatch.setattr(draft, "_SECONDS", 0)
    model = load_predictor(every / "best")
    rows = [{"text": text, **({"text_pair": text} if place % 3 else {})} for place, text in enumerate(CORPUS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source, whole, target = (str(tmp_path / name) for name in ("rows.jsonl", "whole.parquet", "answers.parquet"))
    said = "3 of 8 rows lack the columns of task score, which is left out of their answers"
    with pytest.warns(UserWarning, match=said):
        predict_file(model, source, whole)
    answer, calls = model.predict_read, iter(range(9))

    def stopping(*given):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return answer(*given)

    monkeypatch.setattr(model, "predict_read", stopping)
    with pytest.raises(KeyboardInterrupt):
        predict_file(model, source, target)
    with pytest.warns(UserWarning, match=said):
        assert predict_file(model, source, target, resume=True) == len(CORPUS)
    assert pq.read_table(target).equals(pq.read_table(whole))
    assert next(calls) == 5  # two chunks, the one that was stopped, and the two that were left


def test_a_table_must_have_the_columns_of_a_task(every, tmp_path):
    (tmp_path / "rows.csv").write_text("line,text_pair\na,b\n")
    message = complaint(lambda: predict_file(load_predictor(every / "best"), str(tmp_path / "rows.csv"), None))
    assert message.startswith(f"file {tmp_path / 'rows.csv'} has the columns of no task, as single reads 'text'")


def test_the_folder_needs_none_of_those_in_it_nor_they_it(every, tmp_path):
    for name in ("encoder", "heads.safetensors", "lightning_clf.json"):
        copy = shutil.copytree if (every / "best" / name).is_dir() else shutil.copy
        copy(every / "best" / name, tmp_path / name)
    assert load_predictor(tmp_path).predict(CORPUS) == load_predictor(every / "best").predict(CORPUS)
    state = load_file(every / "best" / "encoder" / "model.safetensors")
    assert not [name for name in load_file(tmp_path / "heads.safetensors") if "embeddings" in name]
    stock = AutoModel.from_pretrained(tmp_path / "encoder")
    assert all(torch.equal(value, state[name]) for name, value in stock.state_dict().items())
    assert set(stock.config.id2label.values()) == {"LABEL_0", "LABEL_1"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("lightning_clf.json", '{"tasks": {"single": {}}}', "is damaged (single has no 'head')"),
        ("lightning_clf.json", '{"tasks": {"../single": {}}}', "is damaged ('../single' is no name of a task)"),
        ("lightning_clf.json", '{"tasks": {"Encoder": {}}}', "is damaged ('Encoder' is no name of a task)"),
        ("heads.safetensors", "", "is damaged"),
        ("encoder/model.safetensors", "", "is damaged"),
        ("encoder/tokenizer.json", "{", "is damaged"),
    ],
)
def test_a_damaged_folder_is_named(every, tmp_path, name, content, message):
    shutil.copytree(every / "best", tmp_path / "best")
    (tmp_path / "best" / name).write_text(content)
    found = complaint(lambda: load_predictor(tmp_path / "best"))
    assert found.startswith(f"export folder {tmp_path / 'best'} ")
    assert message in found


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "", "encoder", 3])
def test_a_checkpoint_names_no_folder_elsewhere(name, every, tmp_path):
    checkpoint = torch.load(every / "best.ckpt", weights_only=True)
    tasks = checkpoint["lightning_clf"]["tasks"]
    tasks[name] = tasks.pop("tags")
    torch.save(checkpoint, tmp_path / "one.ckpt")
    for load in (load_predictor, MultiTaskClassifier.load_from_checkpoint):
        assert complaint(lambda load=load: load(tmp_path / "one.ckpt")).startswith(
            f"checkpoint {tmp_path / 'one.ckpt'} is damaged ("
        )


@pytest.mark.parametrize("name", ["best", "best/single"])
def test_weights_are_not_read_from_a_pickle(name, every, tmp_path):
    shutil.copytree(every / "best", tmp_path / "best")
    folder = tmp_path / "best" / "encoder" if name == "best" else tmp_path / name
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    found = complaint(lambda: load_predictor(tmp_path / name))
    assert found.startswith(f"export folder {tmp_path / name} is damaged (")
    assert "model.safetensors" in found


def test_what_a_task_lacks_is_named(every, tmp_path):
    shutil.copytree(every / "best", tmp_path / "best")
    state = load_file(tmp_path / "best" / "heads.safetensors")
    first = next(name for name in state if name.startswith("tags."))
    save_file({name: value for name, value in state.items() if name != first}, tmp_path / "best" / "heads.safetensors")
    assert "does not hold the weights its own description asks for" in complaint(
        lambda: load_predictor(tmp_path / "best")
    )


def test_one_classifier_is_not_taken_for_several(every):
    message = f"folder {every / 'best'} is of several tasks (single, multi, tags, score): give the export of one, such"
    assert complaint(lambda: load_classifier(every / "best")).startswith(message)
    assert isinstance(load_predictor(every / "best" / "single"), Classifier)
    assert load_predictor(every / "best" / "single").predict(CORPUS) == load_classifier(
        every / "best" / "single"
    ).predict(CORPUS)


def test_the_digest_is_of_the_encoder_too(every):
    first, second = load_predictor(every / "best"), load_predictor(every / "best")
    assert first.digest() == second.digest()
    next(second.artefacts.trunk.parameters()).data[0] += 1
    assert first.digest() != second.digest()


def test_predicting_leaves_the_mode_of_a_module_in_training(joint):
    module = MultiTaskClassifier.load_from_checkpoint(joint / "best.ckpt")
    model = TaskClassifiers(module.artefacts())
    module.train()
    module.trunk.encoder.embeddings.dropout.p = 0.5
    assert model.predict(CORPUS) == model.predict(CORPUS)
    assert module.trunk.training
    assert all(part.network.training for part in model.artefacts.parts.values())


def test_texts_in_windows_are_computed_once_too(encoders, tmp_path):
    window = {"max_length": 8, "stride": 2}
    tasks = {
        "slots": make_data("tags", JOINT, **window),
        "intent": make_data("single", JOINT, text_column="tokens", label_column="intent", **window),
    }
    fit(encoders("bert"), tmp_path, MultiTaskDataModule(tasks, joint=True))
    model = load_predictor(tmp_path / "best")
    sizes = count_passes(model)
    rows = [{"tokens": " ".join(CORPUS[:3]).split()}]
    (answer,) = model.predict(rows)
    assert len(sizes) == 1
    assert sizes[0] > 3
    for task in ("slots", "intent"):
        assert_alike([answer[task]], load_classifier(tmp_path / "best" / task).predict(rows))
