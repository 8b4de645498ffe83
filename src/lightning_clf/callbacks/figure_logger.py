"""Figures for dashboards: what was taken for what, curves, calibration, classes."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn

from lightning_clf.callbacks.report import confusion_names
from lightning_clf.errors import InputError, check_number
from lightning_clf.labels import LabelSpace
from lightning_clf.metrics import CurveCounts, MetricSet, ScoreCounts
from lightning_clf.modules.stage import ScoredModule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FigureName = Literal["confusion", "class_scores", "precision_recall", "reliability", "agreement"]
Stage = Literal["train", "val", "test"]
_TAKERS = (TensorBoardLogger, WandbLogger, MLFlowLogger)


class FigureLogger(Callback):
    """Logs figures of an epoch to TensorBoard, Weights & Biases and MLflow, named as `val/confusion`.

    For classes and tags: `confusion`, `class_scores` (F1, precision and recall), `precision_recall` and `reliability`;
    for scores: `agreement`, predicted beside true ones with the residuals. They are drawn by the first process, of
    counts that are exact over all of them and whose size does not grow with the data. A figure that has nothing to show
    is left out, such as the curves of a head that gives no probabilities. Of several tasks each has its own, named as
    `val/TASK/confusion`.

    Args:
        figures: Which to draw; `None` draws all that the task has. Of several tasks each draws those that it has.
        stages: Of which stages.
        every_n_epochs: After how many epochs of a fit.

    Raises:
        InputError: If matplotlib is not installed, or an argument is out of bounds.
    """

    def __init__(
        self,
        figures: list[FigureName] | None = None,
        stages: Sequence[Stage] = ("val", "test"),
        every_n_epochs: int = 1,
    ) -> None:
        if importlib.util.find_spec("matplotlib") is None:
            raise InputError("FigureLogger needs the package matplotlib: pip install 'lightning-clf[figures]'")
        for stage in stages:
            if stage not in get_args(Stage):
                raise InputError(f"FigureLogger's stages have {stage!r}: use {', '.join(get_args(Stage))}")
        self.figures = figures
        self.stages = tuple(stages)
        self.every_n_epochs = check_number("FigureLogger's every_n_epochs", every_n_epochs, least=1, whole=True)
        self._wanted: dict[str, list[FigureName]] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Have the module count what is to be drawn.

        Raises:
            InputError: If the module is not of this library, or a figure is of none of its tasks.
        """
        if not isinstance(pl_module, ScoredModule):
            raise InputError(f"{type(pl_module).__name__} is not a module of ours, whose counts FigureLogger draws")
        wanted = _of_tasks(self.figures, {task: scores.labels for task, scores in pl_module.scores("val").items()})
        has_taker = any(isinstance(logger, _TAKERS) for logger in trainer.loggers)
        if trainer.loggers and not has_taker:
            rank_zero_warn(
                "FigureLogger draws nothing, since no logger takes figures: use TensorBoardLogger, WandbLogger or "
                "MLFlowLogger"
            )
        self._wanted = wanted if has_taker else {}
        for counted in self.stages:
            for task, figures in self._wanted.items():
                scores = pl_module.scores(counted)[task]
                if "agreement" in figures:
                    scores.metrics.include(ScoreCounts(scores.labels))
                elif {"precision_recall", "reliability"} & {*figures}:
                    scores.metrics.include(CurveCounts(scores.labels))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the figures of train."""
        self._log(trainer, pl_module, "train")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the figures of dev."""
        if not trainer.sanity_checking:
            self._log(trainer, pl_module, "val")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the figures of test."""
        self._log(trainer, pl_module, "test")

    def _log(self, trainer: Trainer, pl_module: LightningModule, stage: Stage) -> None:
        is_due = trainer.state.fn != TrainerFn.FITTING or (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if stage not in self.stages or not self._wanted or not is_due:
            return
        # the step under which Lightning logs the numbers of the same epoch; those of train it logs one step later on
        step = trainer.fit_loop.epoch_loop._batches_that_stepped - (stage == "train")
        assert isinstance(pl_module, ScoredModule)
        pl_module.note_empty(stage)  # a callback's epoch ends before the module's
        for task, scores in pl_module.scores(stage).items():
            if scores.is_empty:
                continue
            scores.metrics.compute()  # over processes, which all take part; what the module has computed is kept
            drawings = _drawings(scores.metrics, scores.labels) if trainer.is_global_zero else {}
            for name in self._wanted[task]:
                if name in drawings:
                    _hand_over(trainer.loggers, f"{stage}/{task}{name}", drawings[name](), step)


def _of_tasks(figures: Sequence[FigureName] | None, labels: Mapping[str, LabelSpace]) -> dict[str, list[FigureName]]:
    """The figures to draw of each task.

    Raises:
        InputError: If one of them is of none of the tasks.
    """
    known = {
        task: [name for name in get_args(FigureName) if (name == "agreement") == (space.kind == "score")]
        for task, space in labels.items()
    }
    of_any = [name for name in get_args(FigureName) if any(name in some for some in known.values())]
    for name in figures or ():
        if name not in of_any:
            kinds = " and ".join(dict.fromkeys(space.kind for space in labels.values()))
            raise InputError(
                f"FigureLogger's figures have {name!r}, which labels of kind {kinds} have not: use {', '.join(of_any)}"
            )
    return {task: [name for name in some if figures is None or name in figures] for task, some in known.items()}


def _drawings(metrics: MetricSet, labels: LabelSpace) -> dict[str, Callable[[], Figure]]:
    """What there is to draw, by name."""
    # matplotlib is an extra, and takes a while to import
    from lightning_clf import figures

    found: dict[str, Callable[[], Figure]] = {}
    rows, confusion = metrics.per_class(), metrics.confusion()
    if confusion is not None:
        names = [row.label for row in rows]
        found["class_scores"] = lambda: figures.draw_class_scores(rows)
        found["confusion"] = lambda: (
            figures.draw_label_confusions(confusion, names)
            if confusion.ndim == 3
            else figures.draw_confusion(confusion, confusion_names(confusion, names))
        )
    if (curves := metrics.summary_of(CurveCounts)) is not None:
        found["precision_recall"] = lambda: figures.draw_precision_recall(curves, labels.names)
        found["reliability"] = lambda: figures.draw_reliability(curves)
    if (agreement := metrics.summary_of(ScoreCounts)) is not None:
        found["agreement"] = lambda: figures.draw_agreement(agreement)
    return found


def _hand_over(loggers: Sequence[Any], name: str, figure: Figure, step: int) -> None:
    """Give a figure to every logger that takes figures."""
    for logger in loggers:
        match logger:
            case TensorBoardLogger():
                logger.experiment.add_figure(name, figure, step)
            case WandbLogger():
                logger.log_image(name, [figure], step)
            case MLFlowLogger():
                logger.experiment.log_figure(logger.run_id, figure, f"figures/{name}/{step:07d}.png")
