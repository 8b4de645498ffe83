"""Windows in a datamodule: what does not fit is refused, what is read in several is said."""

from __future__ import annotations

import pytest

from tests.training import complaint, make_data, make_module, make_trainer

WINDOWS = {
    "no stride": (
        {"max_windows": 2},
        "data.max_windows 2 counts windows, and texts are cut off after one: set",
    ),
    "no bound": ({"stride": 2, "batch_tokens": 512}, "data.batch_tokens bounds a batch, and of a text of any length"),
    "no room": (
        {"stride": 2, "max_windows": 4, "max_length": 32, "batch_tokens": 64},
        "data.batch_tokens 64 has no room for one text of data.max_length 32 in data.max_windows 4: set it to 128 or",
    ),
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_that_do_not_fit_a_batch(name, encoders, tmp_path):
    options, message = WINDOWS[name]
    data = make_data("single", **options)
    module = make_module("single", encoders("bert"))
    assert complaint(lambda: make_trainer(tmp_path).fit(module, data)).startswith(message)


def test_what_several_windows_are_taken_for_is_said(encoders, tmp_path, caplog):
    data = make_data("single", max_length=8, stride=2)
    with caplog.at_level("INFO"):
        make_trainer(tmp_path).fit(make_module("single", encoders("bert")), data)
    several = sum(len(row["windows"]) > 1 for row in data.train_dataloader().dataset.rows)
    assert several
    said = f"max_length=8 takes several windows for {several} of the 8 of train, {several} of the 8 of val"
    assert any(record.getMessage().startswith(said) for record in caplog.records)


def test_a_split_without_labels_has_no_windows(encoders, tmp_path):
    data = make_data("single", max_length=8, stride=2)
    data._source["test"] = [{**row, "label": -1} for row in data._source["test"]]
    make_trainer(tmp_path).fit(make_module("single", encoders("bert")), data)
    assert len(data._prepared._rows["test"]) == 0
