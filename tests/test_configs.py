"""Every shipped configuration runs, fit to predict, with a tiny encoder on tiny files in its corpus's own columns."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest
import torch
import yaml

from lightning_clf.artefact import load_artefact
from lightning_clf.cli import main
from lightning_clf.cli.configs import shipped_configs
from tests.tiny import CORPUS

SIZES = {
    "data.max_length": 32,
    "data.batch_size": 4,
    "trainer.max_epochs": 1,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
}
EMOTIONS = ("joy", "anger", "fear")
TAGS = {"Anna": "B-PER", "Berg": "I-PER", "Paris": "B-LOC", "Berlin": "B-LOC", "Acme": "B-ORG"}
FILES = sorted(path.relative_to(shipped_configs()).as_posix() for path in shipped_configs().rglob("*.yaml"))
STUDENT = "distill.yaml"  # which adds to any task
TASKS = [name for name in FILES if "/" not in name and name != STUDENT]


class Task(NamedTuple):
    """Rows for a configuration, as its corpus writes them.

    Attributes:
        rows: The rows.
        column: What `predict` reads.
        answer: What an answer holds.
        metric: What the task is judged by.
    """

    rows: list[dict[str, Any]]
    column: str
    answer: str
    metric: str


def _texts(**columns: Any) -> list[dict[str, Any]]:
    """A row a text of the tiny corpus, with what each function says of its number."""
    return [{"text": text, **{name: of(index) for name, of in columns.items()}} for index, text in enumerate(CORPUS)]


_WORDS = [{"tokens": text.split(), "tags": [TAGS.get(word, "O") for word in text.split()]} for text in CORPUS]
_SEVERAL = _texts(labels=lambda index: list(EMOTIONS[: index % 4]))
TASKS_BY_CONFIG = {
    "sst2.yaml": Task(_texts(label=lambda index: index % 2), "text", "label", "f1_macro"),
    "text.yaml": Task(_texts(label=lambda index: "abc"[index % 3]), "text", "label", "f1_macro"),
    "nli.yaml": Task(
        _texts(text_pair=lambda index: CORPUS[-index], label=lambda index: ("ENTAILMENT", "neutral")[index % 2]),
        "text",
        "label",
        "f1_macro",
    ),
    "answer_selection.yaml": Task(
        [
            {"question": f"who is question {index // 4}", "answer": text, "label": index % 4 // 2}
            for index, text in enumerate(CORPUS)
        ],
        "question",
        "label",
        "map",
    ),
    "setfit.yaml": Task(_texts(label=lambda index: "ab"[index % 2]), "text", "label", "f1_macro"),
    "sts.yaml": Task(
        [{"sentence1": text, "sentence2": CORPUS[0], "score": index / 8} for index, text in enumerate(CORPUS)],
        "sentence1",
        "score",
        "spearman",
    ),
    "multilabel.yaml": Task(_SEVERAL, "text", "probabilities", "f1_macro"),
    "multilabel_imbalanced.yaml": Task(_SEVERAL, "text", "probabilities", "f1_macro"),
    "ner.yaml": Task(_WORDS, "tokens", "entities", "entity_f1"),
    "quickstart.yaml": Task(_WORDS, "tokens", "entities", "entity_f1"),
    "pos.yaml": Task(_WORDS, "tokens", "tags", "accuracy"),
    "long.yaml": Task(_texts(label=lambda index: "abc"[index % 3]), "text", "label", "f1_macro"),
}
SEVERAL_TASKS = "multitask.yaml"  # which has a source a task
OF_ITS_OWN = {"long.yaml": {"data.max_length": 8, "data.stride": 2}}  # so that the tiny texts are long


@pytest.fixture
def source(request, tmp_path) -> Path:
    """The tiny rows of a configuration in a folder, and those to predict beside it as `rows.jsonl`."""
    rows = TASKS_BY_CONFIG[request.param].rows
    folder = tmp_path / "data"
    folder.mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(lines)
    files = {"train.jsonl": lines, "dev.jsonl": lines, "test.jsonl": lines}
    if request.param == "pos.yaml":
        files = dict.fromkeys(("eng.train", "eng.testa", "eng.testb"), conll(rows))
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def conll(rows: list[dict[str, Any]]) -> str:
    """Sentences as the shared task has them: word, part of speech, phrase, entity."""
    words = ("".join(f"{word} {word[0].upper()} I-NP O\n" for word in row["tokens"]) for row in rows)
    return "-DOCSTART- -X- -X- O\n\n" + "\n".join(words)


def fit(folder: Path, encoder: Path, source: Path, configs: list[str], **more: Any) -> Path:
    """Fit configurations; the run folder."""
    options = {**SIZES, "model.encoder": encoder, "data.source": source, "trainer.default_root_dir": folder / "run"}
    words = [f"--{name.replace('__', '.')}={value}" for name, value in {**options, **more}.items()]
    assert main(["fit", *(f"--config={name}" for name in configs), *words]) == 0
    return folder / "run"


def test_every_configuration_has_rows_to_run_on():
    assert sorted([*TASKS_BY_CONFIG, SEVERAL_TASKS]) == TASKS
    assert sorted(set(FILES) - set(TASKS)) == [STUDENT, "trainer/cpu.yaml", "trainer/ddp_bf16.yaml"]


@pytest.mark.parametrize(("source", "name"), [(name, name) for name in TASKS_BY_CONFIG], indirect=["source"])
def test_configuration_runs_from_fit_to_predict(encoders, source, name, tmp_path):
    task = TASKS_BY_CONFIG[name]
    run = fit(tmp_path, encoders("bert"), source, [name], **OF_ITS_OWN.get(name, {}))
    assert main(["test", "--ckpt_path", str(run / "best.ckpt")]) == 0
    assert f"test/{task.metric}" in json.loads((run / "test_metrics.json").read_text())
    output = tmp_path / "answers.jsonl"
    rows = tmp_path / "rows.jsonl"
    assert main(["predict", "--model", str(run / "best"), "--input", str(rows), "--output", str(output)]) == 0
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(answers) == len(task.rows)
    assert all(task.answer in answer for answer in answers)


def test_configuration_of_several_tasks_runs_from_fit_to_predict(encoders, tmp_path):
    words = {"model.encoder": encoders("bert"), "trainer.max_epochs": 1, "trainer.default_root_dir": tmp_path / "run"}
    for name, config in (("sentiment", "sst2.yaml"), ("entities", "ner.yaml")):
        (tmp_path / name).mkdir()
        lines = "".join(json.dumps(row) + "\n" for row in TASKS_BY_CONFIG[config].rows)
        for split in ("train", "dev", "test"):
            (tmp_path / name / f"{split}.jsonl").write_text(lines)
        words |= {
            f"data.tasks.{name}.init_args.{key}": value
            for key, value in {"source": tmp_path / name, "batch_size": 4, "max_length": 64}.items()
        }
    assert main(["fit", f"--config={SEVERAL_TASKS}", *(f"--{key}={value}" for key, value in words.items())]) == 0
    run = tmp_path / "run"
    assert main(["test", "--ckpt_path", str(run / "best.ckpt")]) == 0
    for name, config in (("sentiment", "sst2.yaml"), ("entities", "ner.yaml")):
        task = TASKS_BY_CONFIG[config]
        assert f"test/{name}/{task.metric}" in json.loads((run / f"test_{name}_metrics.json").read_text())
        files = {
            "model": run / "best" / name,
            "input": tmp_path / name / "test.jsonl",
            "output": tmp_path / f"{name}.jsonl",
        }
        assert main(["predict", *(f"--{key}={value}" for key, value in files.items())]) == 0
        answers = [json.loads(line) for line in files["output"].read_text().splitlines()]
        assert all(task.answer in answer for answer in answers)


@pytest.mark.parametrize("source", ["text.yaml"], indirect=True)
def test_student_configuration_adds_to_a_task(encoders, source, tmp_path):
    teacher = fit(tmp_path / "teacher", encoders("bert"), source, ["text.yaml"]) / "best"
    asked = {"model.distillation.teacher": teacher, "model.encoder_layers": 1}
    run = fit(tmp_path / "student", teacher, source, ["text.yaml", STUDENT], **asked)
    assert main(["test", "--ckpt_path", str(run / "best.ckpt")]) == 0
    assert load_artefact(run / "best").network.config.num_hidden_layers == 1
    stored = yaml.safe_load((run / "config.yaml").read_text())["model"]["init_args"]["distillation"]["init_args"]
    assert (stored["teacher"], stored["temperature"], stored["weight"]) == (str(teacher), 2.0, 0.9)


@pytest.mark.parametrize("source", ["sst2.yaml"], indirect=True)
@pytest.mark.parametrize("name", ["trainer/cpu.yaml", "trainer/ddp_bf16.yaml"])
def test_trainer_configuration_adds_to_a_task(encoders, source, name, tmp_path):
    with mock.patch.dict(os.environ, {"GLOO_SOCKET_IFNAME": "lo"}):  # Lightning leaves the rendezvous behind in it
        run = fit(tmp_path, encoders("bert"), source, ["sst2.yaml", name], trainer__devices=1)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    trainer = yaml.safe_load((run / "config.yaml").read_text())["trainer"]
    assert trainer["precision"] == "bf16-mixed"
    assert (
        trainer["gradient_clip_val"]
        == yaml.safe_load((shipped_configs() / "sst2.yaml").read_text())["trainer"]["gradient_clip_val"]
    )
    assert trainer["use_distributed_sampler"] is False
    assert trainer["strategy"] == ("ddp" if "ddp" in name else "auto")
    assert next(load_artefact(run / "best").network.parameters()).dtype == torch.float32


@pytest.mark.parametrize("name", [name for name in FILES if name != "quickstart.yaml"])
def test_configuration_explains_itself(name):
    first, second, *lines = (shipped_configs() / name).read_text().splitlines()
    assert re.fullmatch(rf"# lightning-clf fit .*--config {name}( --data.source FOLDER)?", first)
    assert second.startswith("# ")
    assert set(yaml.safe_load("\n".join(lines))) <= {"model", "data", "trainer"}
    bare = {
        match["key"]
        for before, line in itertools.pairwise(["", *lines])
        if (match := re.fullmatch(r" +(?P<key>\w+): [^#]*", line)) and not before.strip().startswith("#")
    }
    assert bare <= {"class_path", "kind", "text_column", "text_pair_column", "label_column", "gamma_positive"}
