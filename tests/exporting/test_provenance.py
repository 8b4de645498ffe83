"""What lies beside a model is taken along, without paths of the machine."""

from __future__ import annotations

import json
import os

import pytest
import yaml

from lightning_clf.exporting.provenance import find_provenance, without_paths


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/data/x/data/sst2", "sst2"),
        ("/data/x/data/sst2/", "sst2"),
        ("~/data/dev.jsonl", "dev.jsonl"),
        ("~someone/data/dev.jsonl", "dev.jsonl"),
        ("../../data/dev.jsonl", "dev.jsonl"),
        ("./data/dev.jsonl", "dev.jsonl"),
        (r"C:\Users\someone\dev.jsonl", "dev.jsonl"),
        (r"\\server\share\dev.jsonl", "dev.jsonl"),
        ("file:///data/x/runs", "runs"),
        ("--root=/data/x/x, /a/y", "--root=x, y"),
        ('{"train": "/a/b/train.jsonl"}', '{"train": "train.jsonl"}'),
        ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("hf://datasets/one/two", "hf://datasets/one/two"),
        ("val/f1_macro", "val/f1_macro"),
        ("runs/sst2", "runs/sst2"),
        ("https://someone:word@host/a?b=c@d", "https://host/a?b=c@d"),
        ("someone@host", "someone@host"),
        ("32-true", "32-true"),
        (3, 3),
        ([None, {"/a/b": ["/c/d"]}], [None, {"b": ["d"]}]),
    ],
)
def test_paths_are_cut_to_their_last_name(given, kept):
    assert without_paths(given) == kept


def write_scores(folder, name, weights, **metrics):
    (folder / f"{name}_metrics.json").write_text(json.dumps(metrics))
    (folder / f"{name}_weights.json").write_text(json.dumps({"sha256": weights}))


@pytest.mark.parametrize("model", ["best", "best.ckpt"])
def test_the_run_folder_is_looked_into(model, tmp_path):
    (tmp_path / "best").mkdir()
    trainer = {"max_epochs": 1, "logger": {"class_path": "L", "init_args": {"api_key": "secret"}}}
    config = {"model": {"class_path": "X"}, "data": {"source": str(tmp_path / "data")}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**config, "trainer": trainer}))
    write_scores(tmp_path, "test", "ab", **{"test/accuracy": 0.5, "test/f1/joy": 0.25, "note": "x"})
    found = find_provenance(str(tmp_path / model), "ab")
    assert yaml.safe_load(found.config) == {
        "model": {"class_path": "X"},
        "data": {"source": "data"},
        "trainer": {"max_epochs": 1},
    }
    assert found.metrics == {"test/accuracy": 0.5}


def test_scores_are_those_of_the_same_weights(tmp_path):
    for time, (name, weights) in enumerate([("test", "ab"), ("test-2", "cd"), ("test-10", "ab"), ("test-3", "ef")]):
        write_scores(tmp_path, name, weights, **{"test/accuracy": time / 10})
        os.utime(tmp_path / f"{name}_weights.json", (time, time))
    (tmp_path / "test-3_metrics.json").unlink()
    wanted = {"ab": {"test/accuracy": 0.2}, "cd": {"test/accuracy": 0.1}, "ef": {}, "gh": {}, None: {}}
    assert {one: find_provenance(str(tmp_path / "best.ckpt"), one).metrics for one in wanted} == wanted


@pytest.mark.parametrize("content", ["model: [", "- a", "a: 1", "\x00", None])
def test_what_is_no_configuration_is_passed_over(content, tmp_path):
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
        write_scores(tmp_path, "test", "ab")
        (tmp_path / "test_metrics.json").write_text(content)
    found = find_provenance(str(tmp_path / "best.ckpt"), "ab")
    assert (found.config, found.metrics) == (None, {})
