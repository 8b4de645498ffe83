"""A module that may have a teacher: asked before a fit, and beside each batch in it."""

from __future__ import annotations

from typing import Any

from lightning_clf.batch import Batch
from lightning_clf.data import BaseDataModule
from lightning_clf.data.shared import raise_shared, shared_fault
from lightning_clf.distillation import Distillation
from lightning_clf.distillation.answers import Answers
from lightning_clf.distillation.asking import Machine
from lightning_clf.distillation.lessons import Lessons, prepare_lessons
from lightning_clf.errors import InputError
from lightning_clf.modules.built import BuiltModule


class TaughtModule(BuiltModule):
    """A module that learns from a teacher where `learn_from` says so; what it is stored as does not depend on one.

    Attributes:
        distillation: What is asked of the teacher; `None` where there is none.
        lessons: In a fit, its answers.
    """

    distillation: Distillation | None = None
    lessons: Lessons | None = None
    _keys: tuple[str, ...] = ()
    _fault: InputError | None = None

    def learn_from(self, distillation: Distillation) -> None:
        """Learn from a teacher, in every fit."""
        self.distillation = distillation

    def prepare_data(self) -> None:
        """Have the teacher answer train, unless the cache has its answers; on one process for all."""
        if self.distillation is not None and self.trainer.state.fn == "fit":
            self._fault = shared_fault(self._ask)

    def _ask(self) -> None:
        assert self.distillation is not None
        precision = self.trainer.precision_plugin
        machine = Machine(self.trainer.strategy.root_device, self.trainer.precision, precision.forward_context)
        self._keys = tuple(prepare_lessons(self.distillation, self._taught_data(), machine))

    def open_lessons(self) -> None:
        """Open the teacher's answers, if there is one.

        Raises:
            InputError: If the process that asked it met one.
        """
        if self.distillation is None:
            return
        raise_shared(self._fault)
        folder = self._taught_data().cache_dir
        keys = self.trainer.strategy.broadcast(self._keys)
        self.lessons = Lessons(self.distillation, self.kind, [Answers(folder / key) for key in keys])

    def _taught_data(self) -> BaseDataModule[Any]:
        if self.datamodule is None:
            raise InputError("model.distillation asks a teacher of rows, which only our datamodules have: use one")
        return self.datamodule

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """In training, put a teacher's answers beside a batch."""
        is_taught = self.lessons is not None and self.trainer.training and isinstance(batch, Batch)
        return self.lessons.put_beside(batch) if self.lessons is not None and is_taught else batch
