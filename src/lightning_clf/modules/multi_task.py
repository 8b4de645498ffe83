"""Several tasks on one encoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import PreTrainedModel

from lightning_clf.batch import TaskBatches
from lightning_clf.checkpoint import FORMAT, SECTION, TASKS, merge_stored
from lightning_clf.data import MultiTaskDataModule
from lightning_clf.data.multi_task import told_of
from lightning_clf.encoding import Tokenizer, load_tokenizer
from lightning_clf.errors import InputError
from lightning_clf.fewer_layers import Layers
from lightning_clf.finetuning import FineTuning, Schedule, adapter_scaling
from lightning_clf.heads import Head
from lightning_clf.labels import LabelSpace
from lightning_clf.losses import Loss, LossTerms
from lightning_clf.modules.base import ClassifierModule
from lightning_clf.modules.checks import check_labels, check_trainer, check_window
from lightning_clf.modules.computation import check_computation
from lightning_clf.modules.gradients import mean_of_all
from lightning_clf.modules.idle_parameters import IdleParameters, gives_zeros
from lightning_clf.modules.stage import StageScores
from lightning_clf.modules.tasks import LossWeights, TaskOptions, TaskWeights, check_tasks, make_part, tasks_of
from lightning_clf.modules.trained import TrainedModule
from lightning_clf.network import Network, set_attention
from lightning_clf.packing import pack
from lightning_clf.together import TaskArtefacts
from lightning_clf.trunk import Trunk


class MultiTaskClassifier(TrainedModule):
    """One encoder with a head for each of several tasks: any mix of one label, many, tags and scores.

    Tasks and labels are those of the `MultiTaskDataModule` it is trained with. Texts that several tasks label are
    encoded once (`data.joint`). A step's loss is the sum of its tasks' means, each over all processes, times their
    weights; accumulated steps count the same. With many labels a mean is taken over rows, of the sum over labels: over
    labels too, the many that are absent and easy would leave a task next to no share in the encoder. Metrics are named
    by task, `val/intent/f1_macro`; `val/mean` is the mean of what each task is judged by, and decides which epoch is
    best. The export answers all tasks at once, and holds a folder of each task's name that is a model like any other.

    Args:
        encoder: A hub id, or a folder that `save_pretrained` wrote, with weights and tokenizer.
        encoder_layers: How many of the encoder's layers the model has, or a list of which; `None` is all of them.
        tasks: What tasks have of their own; one that is not named has its kind's defaults.
        loss_weights: A weight for each task's loss, 1 where none is given; `uncertainty` learns them (Kendall, Gal and
            Cipolla 2018), at a rate of 0.05: a loss L counts L·e^(−s) + s/2, and half of the first for a score.
        learning_rate: Peak of the schedule.
        weight_decay: AdamW's decay on matrices; biases and norms never decay.
        warmup_ratio: Share of all steps over which the learning rate rises from 0.
        schedule: The way from the peak; `None` goes down in a straight line to 0.
        finetuning: What of the encoder moves and how fast, or `LoRA`; `None` moves all of it at `learning_rate`.
        monitor: The metric that decides which epoch is best.
        encoder_options: Keys of the encoder's configuration to set.
        attn_implementation: How `transformers` computes attention; `None` takes what suits the machine.
        compile: Whether `torch.compile` compiles the encoder, as `SingleLabelClassifier` says.
        packed: Whether the texts of a batch are computed in one row, without padding, as `SingleLabelClassifier` says.

    Raises:
        InputError: If an argument is out of bounds, none that a checkpoint can hold, or excluded by another.
    """

    trunk: Trunk

    def __init__(
        self,
        encoder: str | Path,
        *,
        encoder_layers: Layers | None = None,
        tasks: dict[str, TaskOptions] | None = None,
        loss_weights: LossWeights | None = None,
        learning_rate: float = 5e-5,
        weight_decay: float = 0.01,
        warmup_ratio: float = 0.1,
        schedule: Schedule | None = None,
        finetuning: FineTuning | None = None,
        monitor: str = "val/mean",
        encoder_options: dict[str, Any] | None = None,
        attn_implementation: str | None = None,
        compile: bool = False,
        packed: bool = False,
    ) -> None:
        super().__init__()
        self.spec()  # what a checkpoint could not hold is refused now, not after the first epoch
        check_computation(packed=packed, compile=compile, attn_implementation=attn_implementation)
        self.move_by(learning_rate, weight_decay, warmup_ratio, schedule, finetuning)
        self.compiles, self.packs = compile, packed
        self.encoder_name = str(encoder)
        self.encoder_layers = encoder_layers
        self.options = {name: dict(options) for name, options in (tasks or {}).items()}
        self.loss_weights = TaskWeights(loss_weights)
        self.monitor = monitor
        self.encoder_options = encoder_options
        self.attn_implementation = attn_implementation
        self.modules_by_task = nn.ModuleDict()
        self._tokenizer: Tokenizer | None = None
        self._idle = IdleParameters()

    # ------------------------------------------------------------------ its parts

    @property
    def names(self) -> list[str]:
        """The tasks, once they are known, in the order of the data."""
        return list(self._parts())

    def of_task(self, name: str) -> ClassifierModule | None:
        """The module of a task; `None` as long as nothing is built, or where there is no such task."""
        return self._parts().get(name)

    def _parts(self) -> dict[str, ClassifierModule]:
        return {key.removesuffix("_task"): cast(ClassifierModule, part) for key, part in self.modules_by_task.items()}

    @property
    def datamodule(self) -> MultiTaskDataModule:
        """The datamodule the Trainer runs with.

        Raises:
            InputError: If it is not one of several tasks.
        """
        if isinstance(datamodule := getattr(self.trainer, "datamodule", None), MultiTaskDataModule):
            return datamodule
        raise InputError("MultiTaskClassifier learns from a MultiTaskDataModule: take it for data")

    @property
    def tokenizer(self) -> Tokenizer:
        """The encoder's tokenizer, or the checkpoint's. The datamodules read it here."""
        if self._tokenizer is None:
            words = any(data.kind == "tags" for data in self.datamodule.tasks.values())
            self._tokenizer = load_tokenizer(self.encoder_name, words=words)
        return self._tokenizer

    @property
    def encoder(self) -> PreTrainedModel:
        """The encoder of all tasks."""
        return self.trunk.encoder

    @property
    def heads(self) -> list[Head]:
        """The head of each task."""
        return [part.network.head for part in self._parts().values()]

    @property
    def losses(self) -> list[Loss]:
        """The loss of each task, but for what heads bring."""
        return [loss for part in self._parts().values() for loss in part.losses]

    # ------------------------------------------------------------------ building

    def take_shape(self, stage: str) -> None:
        """Build what is not built yet for the tasks of the data, and hold those against the ones it was built for."""
        data = self.datamodule
        check_tasks(list(data.tasks), self.names, {"tasks": self.options, "loss_weights": self.loss_weights.fixed})
        if not self.modules_by_task:
            self._build()
        for name, part in self._parts().items():
            own = data.tasks[name]
            with told_of(name):
                part.take_reading(own, stage)
                check_trainer(self.trainer, part.kind)
                check_labels(own.labels, cast(LabelSpace, part.labels))
                check_window(part.max_length, self.trunk.whole(part.network).max_positions, self.encoder_name)
            for loss in part.losses if stage == "fit" else ():
                loss.fit_counts(own.class_counts)
        if stage == "fit":
            if self.attn_implementation is not None:  # which a checkpoint did not bring
                set_attention(self.encoder, self.attn_implementation)
            if self.packs:
                pack(self.encoder, narrowed=False)
            self.adapt_encoder()

    def _build(self) -> None:
        tasks = self.datamodule.tasks
        parts = {name: self._make_part(name, data.labels) for name, data in tasks.items()}

        def networks() -> Iterator[Network]:  # one after the other, since each comes with an encoder
            for name, part in parts.items():
                part.adopt(part.make_network(tasks[name].labels))
                yield part.network

        self._adopt(parts, Trunk.under(networks()))

    def _make_part(self, name: str, labels: LabelSpace) -> ClassifierModule:
        part = make_part(
            name,
            labels.kind,
            self.options.get(name, {}),
            encoder=self.encoder_name,
            encoder_layers=self.encoder_layers,
            encoder_options=self.encoder_options,
            attn_implementation=self.attn_implementation,
        )
        part._tokenizer = self.tokenizer
        return part

    def _adopt(self, parts: dict[str, ClassifierModule], trunk: Trunk) -> None:
        self.loss_weights.build(list(parts))  # which refuses what it is not for before the module is built
        self.trunk = trunk
        # a name alone may be that of a method
        self.modules_by_task = nn.ModuleDict({f"{name}_task": part for name, part in parts.items()})

    # ------------------------------------------------------------------ the step

    def _step(self, batch: TaskBatches, stage: str) -> LossTerms:
        total, parts = torch.zeros((), device=self.device), self._parts()
        if gives_zeros(self, compiled=self.compiles):
            self._idle.use(self._used(chain.from_iterable(batch.groups)))
        if self.trainer.world_size > 1:
            total = total + self._idle.held(self)
        for group in batch.groups:
            with self.trunk.shared(next(iter(group.values()))):
                for name, one in group.items():
                    mean = mean_of_all(parts[name]._step(one, stage), self.trainer)
                    total = total + self.loss_weights(mean, name, cast(LabelSpace, parts[name].labels))
        return LossTerms(total, torch.ones_like(total))

    def _used(self, names: Iterable[str]) -> Iterator[nn.Parameter]:
        for name, part in ((name, self._parts()[name]) for name in names):
            whole = self.trunk.whole(part.network).parameters()
            yield from chain(part.parameters(), whole, self.loss_weights.learned(name))

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """As of any module; weights of losses that are learned have a rate of their own."""
        return self.loss_weights.apart(super().optimizer_groups())

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """As any module; a task moves by its own steps alone."""
        super().on_before_optimizer_step(optimizer)
        if gives_zeros(self, compiled=self.compiles):
            self._idle.release(self)

    def of_loader(self, place: int) -> ClassifierModule:
        """The module of a task: loaders are in their order."""
        return list(self._parts().values())[place]

    def scores(self, stage: str) -> dict[str, StageScores]:
        """The scores of each task, by its name and a slash."""
        return {f"{name}/": part.stage_scores(stage) for name, part in self._parts().items()}

    def epoch_values(self, stage: str) -> dict[str, Tensor]:
        """Every number of every task, and as `mean` that of what each is judged by, where each was counted."""
        values = super().epoch_values(stage)
        judged = [values.get(f"{name}/{part.monitor.removeprefix('val/')}") for name, part in self._parts().items()]
        means = [value.float() for value in judged if value is not None]
        return {**values, "mean": torch.stack(means).mean()} if len(means) == len(judged) else values

    # ------------------------------------------------------------------ checkpoints

    def artefacts(self) -> TaskArtefacts:
        """The networks of all tasks, with what their input goes through.

        Raises:
            InputError: If nothing is built yet.
        """
        if not self.modules_by_task:
            raise InputError("the module is not built yet: fit it, or load it from a checkpoint")
        return TaskArtefacts(self.trunk, {name: part.artefact for name, part in self._parts().items()})

    def export(self, folder: Path) -> None:
        """Write the folder of all tasks, with one of each below: in whole, or not at all."""
        self.artefacts().save(folder)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add all that loading needs: the module's own arguments, and what each task's artefact needs."""
        checkpoint[SECTION] = {"format": FORMAT, "module": self.spec(), TASKS: self.artefacts().describe()}
        super().on_save_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build from the checkpoint alone, or go on from it if built.

        Raises:
            InputError: If it is not of several tasks, or of others, or has other labels.
        """
        stored = tasks_of(checkpoint, self.names)
        if self.modules_by_task:
            for name, part in self._parts().items():
                check_labels(part.network.labels, LabelSpace.from_dict(stored[name]["labels"]))
        else:
            self._restore(stored)
        if adapter_scaling(self.trunk) is None:  # which only a fit puts in
            checkpoint["state_dict"] = merge_stored(checkpoint)
        super().on_load_checkpoint(checkpoint)

    def _restore(self, stored: dict[str, Any]) -> None:
        parts, found = {}, TaskArtefacts.from_descriptions(stored)
        self._tokenizer = found.tokenizer
        for name, artefact in found.parts.items():
            parts[name] = part = self._make_part(name, artefact.labels)
            part.take_input(artefact)
            part.adopt(artefact.network)
        self._adopt(parts, found.trunk)
