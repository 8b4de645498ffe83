"""Two processes and a teacher: it is asked by one of them, both learn from its answers, and as one process would.

The test runs this file as a script, which starts the second process itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, seed_everything

from lightning_clf.distillation.answers import Answers
from lightning_clf.distillation.lessons import KnownLessons
from lightning_clf.distillation.teacher import Teacher
from tests.processes import run_script
from tests.students import UNLABELLED, student
from tests.training import NO_DROPOUT, ROWS, make_data, make_trainer

# what is learned, and whether the teacher's layers are, so that it is computed in every step
FITS = {"single": ("single", False), "tags": ("tags", False), "layers": ("single", True)}
MORE = UNLABELLED[:4]  # with the labelled ones an even number, of which no process sees one twice


class Rows(Callback):
    """The rows of each step, and the weights before the first."""

    def __init__(self):
        self.rows, self.start = [], {}

    def on_train_start(self, trainer, pl_module):
        self.start = {name: weight.clone() for name, weight in pl_module.state_dict().items()}

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rows.append(batch.example_ids.tolist())


def count_asked(patch: pytest.MonkeyPatch) -> list[int]:
    """The rows that any teacher is asked about from now on, in this process."""
    asked: list[int] = []
    original = Teacher.logits

    def logits(self, batch):
        asked.extend(batch.example_ids.tolist())
        return original(self, batch)

    patch.setattr(Teacher, "logits", logits)
    return asked


def run(name: str, folder: Path, encoder: str, teacher: str, batch_size: int, **options) -> None:
    """Fit a student, and keep what it saw, what its teacher was asked and what came out."""
    kind, follows = FITS[name]
    seed_everything(0, verbose=False)
    model = {"encoder_options": NO_DROPOUT, "learning_rate": 1e-4}
    module = student(kind, Path(encoder), teacher, model=model, hidden_weight=0.5 if follows else 0.0)
    rows = Rows()
    trainer = make_trainer(folder, callbacks=[rows], max_epochs=2, num_sanity_val_steps=0, **options)
    data = make_data(kind, unlabelled=MORE, batch_size=batch_size, cache_dir=folder / "cache")
    with pytest.MonkeyPatch.context() as patch:
        asked = count_asked(patch)
        trainer.fit(module, data)
    known = module.lessons.answers if isinstance(module.lessons, KnownLessons) else []
    content = {
        "rows": rows.rows,
        "asked": asked,
        "answers": [str(answers._folder) for answers in known],
        "start": rows.start,
        "weights": module.state_dict(),
    }
    torch.save(content, folder / f"{name}{trainer.global_rank}.pt")


@pytest.mark.process
def test_two_processes_learn_of_a_teacher_what_one_learns(encoders, teacher, tmp_path):
    teachers = {kind: str(teacher(kind)) for kind in ("single", "tags")}
    two, one = tmp_path / "two", tmp_path / "one"
    two.mkdir()
    one.mkdir()
    run_script(__name__, two, encoders("bert"), *(teachers[kind] for kind, _ in FITS.values()))

    for name, (kind, follows) in FITS.items():
        run(name, one, str(encoders("bert")), teachers[kind], batch_size=2)
        ranks = [torch.load(two / f"{name}{rank}.pt", weights_only=True) for rank in (0, 1)]
        alone = torch.load(one / f"{name}0.pt", weights_only=True)
        together = [sorted(first + second) for first, second in zip(*(rank["rows"] for rank in ranks), strict=True)]
        assert together == [sorted(rows) for rows in alone["rows"]]
        assert len(together) == 2 * (len(ROWS[kind]) + len(MORE)) / 2
        if not follows:
            rows = sorted(row for step in together[: len(together) // 2] for row in step)
            assert sorted(ranks[0]["asked"]) == sorted(alone["asked"]) == rows  # each row once
            assert ranks[1]["asked"] == []
            assert ranks[0]["answers"] == ranks[1]["answers"]
            (folder,), (expected,) = ranks[0]["answers"], alone["answers"]
            ids = torch.tensor(rows)
            words = 12 if kind == "tags" else None
            found = [Answers(Path(folder)).of(ids, words) for folder in (folder, expected)]
            torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5, equal_nan=True)
        moved = [(weight - alone["start"][key]).abs().max() for key, weight in alone["weights"].items()]
        assert max(moved) > 5e-4
        for key, weight in alone["weights"].items():
            assert torch.equal(ranks[0]["weights"][key], ranks[1]["weights"][key]), key
            torch.testing.assert_close(ranks[0]["weights"][key], weight, atol=1e-5, rtol=0, msg=f"{name}: {key}")


if __name__ == "__main__":
    for name, teacher in zip(FITS, sys.argv[3:], strict=True):
        ddp = {"devices": 2, "strategy": "ddp", "use_distributed_sampler": False}
        run(name, Path(sys.argv[1]), sys.argv[2], teacher, 1, **ddp)
