"""A checkpoint is whole under its name, whenever Ctrl-C comes."""

from __future__ import annotations

import os
import signal
import threading

import pytest
import torch

from lightning_clf.callbacks.whole_files import WholeFileIO

CHECKPOINT = {"weights": torch.arange(5.0)}


@pytest.fixture
def heard():
    """Ctrl-C raises KeyboardInterrupt, also where these tests run in the background, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def interrupted(monkeypatch):
    """Ctrl-C comes while torch writes."""
    save = torch.save

    def save_and_interrupt(checkpoint, file):
        os.kill(os.getpid(), signal.SIGINT)
        save(checkpoint, file)

    monkeypatch.setattr(torch, "save", save_and_interrupt)


def saved(path):
    """What a file holds, beside which there is no draft."""
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return torch.load(path, weights_only=True)


def test_what_is_written_upon_ctrl_c_is_finished_first(heard, interrupted, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        WholeFileIO().save_checkpoint(CHECKPOINT, tmp_path / "best.ckpt")
    torch.testing.assert_close(saved(tmp_path / "best.ckpt"), CHECKPOINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_is_ignored_stays_ignored(heard, interrupted, tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    WholeFileIO().save_checkpoint(CHECKPOINT, tmp_path / "best.ckpt")
    torch.testing.assert_close(saved(tmp_path / "best.ckpt"), CHECKPOINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_leaves_signals_alone(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    writer = threading.Thread(target=WholeFileIO().save_checkpoint, args=(CHECKPOINT, tmp_path / "best.ckpt"))
    writer.start()
    writer.join()
    torch.testing.assert_close(saved(tmp_path / "best.ckpt"), CHECKPOINT)
    assert signal.getsignal(signal.SIGINT) is before
