"""What does not go together, refused before anything is trained on it."""

from __future__ import annotations

from inspect import signature
from math import isfinite
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from lightning_clf.checkpoint import SECTION
from lightning_clf.component import Spec
from lightning_clf.distillation import Distillation
from lightning_clf.errors import InputError, check_number
from lightning_clf.finetuning import FineTuning
from lightning_clf.heads import Head
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.losses import ClassWeights, Loss
from lightning_clf.modules.first import callbacks_of
from lightning_clf.specs import filled, shown


def check_own_loss(head: Head, loss: Loss | None, class_weights: ClassWeights | None) -> None:
    """Refuse a loss beside that of a head whose structure brings one, and weights beside a loss.

    Raises:
        InputError: If there is one.
    """
    for key, given in (("model.loss", loss), ("model.class_weights", class_weights)):
        if head.brings_loss and given is not None:
            raise InputError(f"{key} is given, but {type(head).__name__} brings its own loss: leave {key} out")
    if loss is None or class_weights is None:
        return
    if "class_weights" in signature(type(loss)).parameters:
        raise InputError("model.class_weights and model.loss are both given: set class_weights in the loss's init_args")
    raise InputError(
        f"model.class_weights is short for the standard loss with weights, but model.loss is {type(loss).__name__}, "
        "which takes none: leave model.class_weights out, or set model.loss to null"
    )


def check_taught(distillation: Distillation, head: Head, r_drop: float, *, steady: bool) -> None:
    """Refuse what does not go with a teacher.

    Args:
        distillation: What is asked of it.
        head: The student's head.
        r_drop: What two passes of a batch are drawn together by.
        steady: Whether the encoder is computed as it stands: not packed, compiled, replayed, nor by a named attention.

    Raises:
        InputError: If the head has no logits to compare, a batch is to be computed twice, or layers cannot be seen.
    """
    if not head.gives_logits:
        raise InputError(
            f"model.distillation compares logits of labels, but those of {type(head).__name__} are none: leave one out"
        )
    if r_drop:
        raise InputError("model.r_drop draws passes together, and model.distillation one to a teacher: leave one out")
    if distillation.follows_layers and not steady:
        raise InputError(
            "model.distillation.hidden_weight and attention_weight look into the encoder as it stands: leave them out, "
            "or model.packed, model.compile, model.cuda_graphs and model.attn_implementation"
        )


def check_pairing(module: str, kind: Kind, head: Head, loss: Loss | None) -> None:
    """Hold head and loss against the kind of label a module is for.

    Raises:
        InputError: If one of them does not fit it.
    """
    for part, key in ((head, "model.head"), (loss, "model.loss")):
        if part is not None and kind not in part.kinds:
            fitting = ", ".join(sorted(part.kinds))
            raise InputError(
                f"{key} {type(part).__name__} fits labels of kind {fitting}, but {module} has kind {kind}: choose "
                "another, or leave it out for the default"
            )


def check_trainer(trainer: Trainer, kind: Kind) -> None:
    """Refuse what a Trainer can be set to, but a module's numbers would not survive.

    Raises:
        InputError: If batches cannot be accumulated or the number of steps not be told, scores would be rounded, or
            gradients are kept out of sight.
    """
    check_number("trainer.accumulate_grad_batches", trainer.accumulate_grad_batches, least=1, whole=True)
    if trainer.state.fn == TrainerFn.FITTING and any(
        isinstance(callback, GradientAccumulationScheduler) for callback in callbacks_of(trainer)
    ):
        raise InputError(
            "trainer.callbacks has a GradientAccumulationScheduler, with which nothing that follows the steps of the "
            "run can be planned: set trainer.accumulate_grad_batches in its place, one number for all epochs"
        )
    if trainer.state.fn == TrainerFn.FITTING:
        check_comes_back(trainer)
    if trainer.gradient_clip_val is not None:
        check_number("trainer.gradient_clip_val", trainer.gradient_clip_val, least=0)
    if kind == "score" and trainer.precision in ("bf16-true", "16-true"):
        raise InputError(
            f"trainer.precision {trainer.precision} would round the scores of the data: use "
            f"{trainer.precision.replace('true', 'mixed')}"
        )
    if isinstance(trainer.strategy, DeepSpeedStrategy):
        raise InputError("trainer.strategy deepspeed keeps gradients where a loss cannot be averaged right: use ddp")
    if isinstance(trainer.strategy, FSDPStrategy | ModelParallelStrategy):
        raise InputError("trainer.strategy splits the weights, of which decay and exports must see the whole: use ddp")


def check_comes_back(trainer: Trainer) -> None:
    """Refuse a fit in processes that were given a copy of the module: what is built there does not come back.

    Raises:
        InputError: If the strategy spawns or forks processes out of this one.
    """
    launcher = trainer.strategy.launcher
    if isinstance(launcher, _MultiProcessingLauncher):
        raise InputError(
            f"trainer.strategy starts processes by {launcher._start_method}, in which copies of the module are trained "
            "while this one stays as it is: use ddp, in a script or with lightning-clf fit; in a notebook, one device"
        )


def warn_of_rounded_updates(trainer: Trainer) -> None:
    """Warn where weights are kept in half precision while they are trained."""
    if trainer.precision in ("bf16-true", "16-true"):
        rank_zero_warn(
            f"trainer.precision {trainer.precision} keeps the weights themselves in half precision, in which most "
            f"updates of AdamW are rounded away: use {trainer.precision.replace('true', 'mixed')} for a fit"
        )


def check_finetuning(trainer: Trainer, finetuning: FineTuning) -> None:
    """Refuse a strategy that waits for gradients which a policy holds back.

    Raises:
        InputError: If parameters are unfrozen on the way, and the strategy is not told to look for unused ones.
    """
    strategy = trainer.strategy
    if not finetuning.unfreezes or not isinstance(strategy, DDPStrategy):
        return
    if not strategy._ddp_kwargs.get("find_unused_parameters"):
        raise InputError(
            "model.finetuning.unfreeze_over leaves parameters without gradients, which trainer.strategy ddp waits for: "
            "use ddp_find_unused_parameters_true"
        )


def check_same_training(checkpoint: dict[str, Any], module: Spec, finetuning: FineTuning | None) -> None:
    """Hold how a checkpoint was trained against how a fit is to go on from it.

    Args:
        checkpoint: The checkpoint, whose optimiser goes on as it is.
        module: The specification of the module that goes on.
        finetuning: Its policy.

    Raises:
        InputError: If other parameters would move, or at other rates.
    """
    stored = checkpoint[SECTION]["module"]["init_args"].get("finetuning")
    before = _filled(stored["__component__"]) if stored else None
    now = _filled(finetuning.spec()) if finetuning is not None else None
    if before != now:
        raise InputError(
            f"model.finetuning is {shown(now)}, but the checkpoint was trained with {shown(before)}: set it to that, "
            "or train anew"
        )
    rates = filled(checkpoint[SECTION]["module"])["init_args"]
    for key, value in filled(module)["init_args"].items():
        if key in ("learning_rate", "weight_decay") and value != rates.get(key):
            raise InputError(
                f"model.{key} is {shown(value)}, but the checkpoint was trained with {shown(rates.get(key))}: set it "
                "to that, or train anew"
            )


def _filled(spec: Spec) -> dict[str, Spec]:
    return {"__component__": filled(spec)}


def check_steps(steps: float) -> int:
    """Hold the number of steps of a run against what a schedule needs.

    Raises:
        InputError: If the run has no end.
    """
    if not isfinite(steps):
        raise InputError(
            "the schedule needs to know how long training is: set trainer.max_epochs or trainer.max_steps, which "
            "trainer.max_time may cut short"
        )
    return int(steps)


def check_kind(module: str, kind: Kind, labels: LabelSpace) -> None:
    """Hold the kind of the data's labels against that of a module.

    Raises:
        InputError: If they differ.
    """
    if labels.kind != kind:
        raise InputError(
            f"{module} needs labels of kind {kind!r}, but the data's are of kind {labels.kind!r}: choose the module or "
            "the datamodule (its key `kind`) that fits"
        )


def check_window(max_length: int | None, positions: int | None, encoder: str) -> None:
    """Hold the data's window against what the encoder has positions for.

    Raises:
        InputError: If it is longer.
    """
    if max_length and positions and max_length > positions:
        raise InputError(
            f"data.max_length {max_length} is beyond what encoder {encoder!r} has positions for: set it to "
            f"{positions} or less"
        )


def check_orders(*, data: bool, model: bool) -> None:
    """Hold whether the data's pairs are read in both orders against how the model answers.

    Raises:
        InputError: If one is so and the other is not.
    """
    if data != model:
        answers, do = ("both orders", "set it to true") if model else ("one order", "leave it out")
        raise InputError(
            f"data.symmetric_pairs is {str(data).lower()}, but the model answers pairs by {answers}, which is what is "
            f"to be evaluated: {do}"
        )


def check_labels(data: LabelSpace, model: LabelSpace) -> None:
    """Hold the data's labels against those a module was trained with; both are of one kind.

    Raises:
        InputError: If they differ; it names the first label that does.
    """
    if data == model:
        return
    if data.kind == "score":
        raise InputError(
            f"data.score_range is {list(data.range or ())}, but the model was trained on {list(model.range or ())}: "
            "set it to that, or train anew"
        )
    if data.scheme != model.scheme:
        raise InputError(
            f"the data's tags are of scheme {data.scheme}, but the model was trained on {model.scheme}: leave out "
            "data.model_scheme and data.labels, or train anew"
        )
    in_data, in_model = (space.entity_types or space.names for space in (data, model))
    for name in in_data:
        if name not in in_model:
            raise InputError(
                f"label {name!r} of the data is not one the model was trained with ({model.shown}): take it out of "
                "data.labels and the data, or train anew"
            )
    for name in in_model:
        if name not in in_data:
            raise InputError(
                f"label {name!r} of the model is not one of the data's: leave data.labels out to take the model's "
                f"({model.shown}), or train anew"
            )
    raise InputError(
        f"data.labels has the model's labels in another order: leave it out to take the model's ({model.shown}), or "
        "train anew"
    )
