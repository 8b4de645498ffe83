"""What lies beside a model is taken along, without paths of the machine."""

from __future__ import annotations

import json

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
        ("32-true", "32-true"),
        (3, 3),
        ([None, {"/a/b": ["/c/d"]}], [None, {"b": ["d"]}]),
    ],
)
def test_paths_are_cut_to_their_last_name(given, kept):
    assert without_paths(given) == kept


@pytest.mark.parametrize("model", ["best", "best.ckpt"])
def test_the_run_folder_is_looked_into(model, tmp_path):
    (tmp_path / "best").mkdir()
    config = {"model": {"class_path": "X"}, "data": {"source": str(tmp_path / "data")}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    metrics = {"test/accuracy": 0.5, "test/f1/joy": 0.25, "note": "x"}
    (tmp_path / "test_metrics.json").write_text(json.dumps(metrics))
    found = find_provenance(str(tmp_path / model))
    assert yaml.safe_load(found.config) == {"model": {"class_path": "X"}, "data": {"source": "data"}}
    assert found.metrics == {"test/accuracy": 0.5}


@pytest.mark.parametrize("content", ["model: [", "- a", "a: 1", "\x00", None])
def test_what_is_no_configuration_is_passed_over(content, tmp_path):
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
        (tmp_path / "test_metrics.json").write_text(content)
    found = find_provenance(str(tmp_path / "best.ckpt"))
    assert (found.config, found.metrics) == (None, {})
