"""What a module and its data are in processes that Lightning starts out of this one, which are given copies.

A test runs this file as a script, which starts further processes itself.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
from torch.multiprocessing import ProcessRaisedException

from tests.processes import run_script
from tests.training import make_data, make_module, make_trainer

REFUSED = (
    "InputError: trainer.strategy starts processes by {}, in which copies of the module are trained while this one "
    "stays as it is: use ddp, in a script or with lightning-clf fit; in a notebook, one device"
)


def test_a_module_and_its_data_can_be_pickled_after_a_fit(encoders, tmp_path):
    module, data = make_module("single", encoders("bert")), make_data("single")
    make_trainer(tmp_path).fit(module, data)
    kept_module, kept = pickle.loads(pickle.dumps((module, data)))
    assert kept.trainer is None
    assert data.trainer is module.trainer
    assert kept.labels == data.labels
    assert make_trainer(tmp_path).validate(kept_module, kept, verbose=False) == [
        pytest.approx(make_trainer(tmp_path).validate(module, data, verbose=False)[0], nan_ok=True)
    ]


@pytest.mark.process
@pytest.mark.parametrize("way", ["spawn", "fork"])
def test_a_fit_whose_module_would_not_come_back_is_refused_before_it_begins(way, encoders, tmp_path):
    run_script("tests.modules.test_copies", tmp_path, encoders("bert"), way)


@pytest.mark.process
def test_what_was_used_here_is_validated_in_spawned_processes(encoders, tmp_path):
    run_script("tests.modules.test_copies", tmp_path, encoders("bert"))


def refuse(folder: Path, encoder: Path, way: str) -> None:
    module, trainer = make_module("single", encoder), make_trainer(folder, strategy=f"ddp_{way}", devices=1)
    with pytest.raises(ProcessRaisedException) as raised:
        trainer.fit(module, make_data("single"))
    assert str(raised.value).strip().endswith(REFUSED.format(way))
    assert trainer.global_step == 0


def validate(folder: Path, encoder: Path) -> None:
    module, data = make_module("single", encoder), make_data("single")
    make_trainer(folder).fit(module, data)
    here = make_trainer(folder).validate(module, data, verbose=False)
    two = make_trainer(folder, strategy="ddp_spawn", devices=2, use_distributed_sampler=False)
    assert two.validate(module, data, verbose=False) == [pytest.approx(here[0], nan_ok=True)]


if __name__ == "__main__":
    paths, ways = map(Path, sys.argv[1:3]), sys.argv[3:]
    if ways:
        refuse(*paths, *ways)
    else:
        validate(*paths)
