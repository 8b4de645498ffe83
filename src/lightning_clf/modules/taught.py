"""A module that may have a teacher: asked before a fit, and compared with in each of its steps."""

from __future__ import annotations

import contextlib
from typing import Any

from torch import nn

from lightning_clf.data import BaseDataModule
from lightning_clf.data.shared import raise_shared, shared_fault
from lightning_clf.distillation import Distillation
from lightning_clf.distillation.answers import Answers
from lightning_clf.distillation.asking import Machine
from lightning_clf.distillation.layers import Seen
from lightning_clf.distillation.lessons import KnownLessons, LayerLessons, Lessons, ask_all
from lightning_clf.errors import InputError
from lightning_clf.modules.built import BuiltModule

_FOLLOWING = "following"


class TaughtModule(BuiltModule):
    """A module that learns from a teacher where one is set; what comes out does not depend on it.

    Attributes:
        distillation: What is asked of the teacher; `None` where there is none.
        lessons: In a fit, what steps have of it.
        following: In a fit in which its layers are followed, and only there, what is learned for that.
    """

    distillation: Distillation | None = None
    lessons: Lessons | None = None
    following: nn.Module
    _keys: tuple[str, ...] = ()
    _fault: InputError | None = None

    def prepare_data(self) -> None:
        """Have the teacher answer train, unless the cache has its answers; on one process for all."""
        asked = self.distillation
        if asked is not None and not asked.follows_layers and self.trainer.state.fn == "fit":
            self._fault = shared_fault(lambda: self._ask(asked))

    def _ask(self, asked: Distillation) -> None:
        precision = self.trainer.precision_plugin
        machine = Machine(self.trainer.strategy.root_device, self.trainer.precision, precision.forward_context)
        self._keys = ask_all(asked, self._taught_data(), machine)

    def open_lessons(self) -> None:
        """Make ready what the steps of a fit have of the teacher, if there is one.

        Raises:
            InputError: If the process that asked it met one, or the teacher cannot be followed.
        """
        asked = self.distillation
        if asked is not None and asked.follows_layers:
            if not isinstance(self.lessons, LayerLessons):
                self.lessons = LayerLessons(asked, self.artefact)
                self.following = self.lessons.loss
        elif asked is not None:
            raise_shared(self._fault)
            folder, keys = self._taught_data().cache_dir, self.trainer.strategy.broadcast(self._keys)
            self.lessons = KnownLessons(asked, self.kind, [Answers(folder / key) for key in keys])
        if self.datamodule is not None:  # other processes may collate, and are not sent a teacher that is computed here
            self.datamodule.beside = self.lessons.put_beside if isinstance(self.lessons, KnownLessons) else None

    def _taught_data(self) -> BaseDataModule[Any]:
        if self.datamodule is None:
            raise InputError("model.distillation asks a teacher of rows, which only our datamodules have: use one")
        return self.datamodule

    def watching(self, stage: str) -> contextlib.AbstractContextManager[Seen | None]:
        """Keep what the network computes on the way, where that is learned from a teacher."""
        if self.lessons is None or stage != "train":
            return contextlib.nullcontext()
        return self.lessons.watching(self.network)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As any module; but for a fit that goes on, what was learned to follow a teacher is left where it is.

        Raises:
            InputError: If the checkpoint is none to go on from.
        """
        super().on_load_checkpoint(checkpoint)
        if not hasattr(self, _FOLLOWING):
            weights = checkpoint["state_dict"].items()
            checkpoint["state_dict"] = {
                name: weight for name, weight in weights if not name.startswith(f"{_FOLLOWING}.")
            }
