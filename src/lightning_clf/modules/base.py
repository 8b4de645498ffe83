"""What every LightningModule of this library is: one network, one loss, one step."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar, Self

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from lightning_clf.artefact import FORMAT, SECTION, Artefact
from lightning_clf.batch import Batch
from lightning_clf.component import Component, from_spec
from lightning_clf.data import BaseDataModule
from lightning_clf.dropout import cheap_dropout
from lightning_clf.encoding import Tokenizer, load_tokenizer
from lightning_clf.errors import InputError, check_number
from lightning_clf.finetuning import LinearSchedule, Schedule, adamw
from lightning_clf.heads import ArchitectureHead, Head
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.losses import ClassWeights, Loss, LossTerms
from lightning_clf.memory import keep_freed_memory
from lightning_clf.modules.checks import (
    check_kind,
    check_labels,
    check_pairing,
    check_steps,
    check_trainer,
    check_window,
)
from lightning_clf.modules.gradients import GradientMean
from lightning_clf.modules.loading import check_checkpoint, load_module
from lightning_clf.modules.randomness import States, random_states, set_random_state
from lightning_clf.modules.stage import ScoredModule
from lightning_clf.network import Network


class ClassifierModule(Component, ScoredModule):
    """A pretrained encoder with a head, trained and scored for one kind of label.

    The label space comes from the datamodule when the Trainer sets up, or from a checkpoint; nothing is counted by
    hand. A subclass names its `kind`, its default loss and the metric it is judged by.

    Args:
        encoder: A hub id, or a folder that `save_pretrained` wrote, with weights and tokenizer.
        head: What stands on the encoder; `None` takes the architecture's own, whose pretrained pooler counts and whose
            export any `transformers` code loads.
        loss: What is minimised; `None` takes the task's standard loss.
        class_weights: Shorthand for the standard loss with weights: `inverse`, `sqrt_inverse`, `effective`, one number
            a class, or a mapping by label name. Not together with `loss`, which has its own.
        learning_rate: Peak of the schedule. 5e-5 is the upper end of BERT's own range, and suits small encoders.
        weight_decay: AdamW's decay on matrices; biases and norms never decay. 0.01 is BERT's.
        warmup_ratio: Share of all steps over which the learning rate rises from 0; 0.1 is BERT's.
        schedule: The way from the peak; `None` goes down in a straight line to 0.
        monitor: The metric that decides which epoch is best, such as `val/accuracy`; `None` takes the task's own.
        encoder_options: Keys of the encoder's configuration to set, such as `attention_probs_dropout_prob: 0.0`.
        labels: The label space as `LabelSpace.to_dict` writes it, for use without one of our datamodules.

    Raises:
        InputError: If loss or head do not fit the task, or both `loss` and `class_weights` are given.
    """

    kind: ClassVar[Kind]
    default_monitor: ClassVar[str]

    network: Network

    def __init__(
        self,
        encoder: str,
        *,
        head: Head | None = None,
        loss: Loss | None = None,
        class_weights: ClassWeights | None = None,
        learning_rate: float = 5e-5,
        weight_decay: float = 0.01,
        warmup_ratio: float = 0.1,
        schedule: Schedule | None = None,
        monitor: str | None = None,
        encoder_options: dict[str, Any] | None = None,
        labels: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if loss is not None and class_weights is not None:
            raise InputError(
                "model.class_weights and model.loss are both given: set class_weights in the loss's init_args"
            )
        head = head or ArchitectureHead()
        self.encoder_name = encoder
        self.head_spec = head.spec()
        self.loss = loss or self.default_loss(class_weights)
        check_pairing(type(self).__name__, self.kind, head, self.loss)
        self.spec()  # what a checkpoint could not hold is refused now, not after the first epoch
        self.learning_rate = check_number("model.learning_rate", learning_rate, above=0)
        self.weight_decay = check_number("model.weight_decay", weight_decay, least=0)
        self.warmup_ratio = check_number("model.warmup_ratio", warmup_ratio, least=0, most=1)
        self.schedule = schedule or LinearSchedule()
        self.monitor = monitor or self.default_monitor
        self.encoder_options = encoder_options
        self.labels = LabelSpace.from_dict(labels) if labels else None
        self.max_length: int | None = None
        self.columns: dict[str, str] = {}
        self._tokenizer: Tokenizer | None = None
        self._gradient_mean = GradientMean()
        self._random_states: States = []

    # ------------------------------------------------------------------ what a subclass says

    @classmethod
    def default_loss(cls, class_weights: ClassWeights | None) -> Loss:
        """The task's standard loss."""
        raise NotImplementedError

    def score(self, batch: Batch) -> tuple[Tensor, LossTerms]:
        """One forward pass: scores of the batch's examples or words, and the loss."""
        scores = self(batch)
        return scores, self.compute_loss(scores, batch)

    def compute_loss(self, scores: Tensor, batch: Batch) -> LossTerms:
        """The loss of scores `[B,…]` against the batch's targets. Override to change what is compared."""
        terms: LossTerms = self.loss(scores, batch.require_targets())
        return terms

    # ------------------------------------------------------------------ building

    @property
    def tokenizer(self) -> Tokenizer:
        """The encoder's tokenizer, or the checkpoint's. The datamodule reads it here."""
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.encoder_name, words=self.kind == "tags")
        return self._tokenizer

    def setup(self, stage: str) -> None:
        """Take labels and window from the datamodule, and build what is not built yet."""
        datamodule = getattr(self.trainer, "datamodule", None)
        check_trainer(self.trainer, self.kind)
        ours = datamodule if isinstance(datamodule, BaseDataModule) else None
        if ours is not None:
            check_kind(type(self).__name__, self.kind, ours.labels)
            if self.labels is None:
                self.labels = ours.labels
            check_labels(ours.labels, self.labels)
            self.max_length = ours.max_length
            self.columns = ours.input_columns
        self.build()
        if stage == "fit" and ours is not None:
            self.loss.fit_counts(ours.class_counts)

    def build(self) -> None:
        """Build network, loss and metrics for the label space, once.

        Raises:
            InputError: If there are no labels yet, they are of another kind, or the encoder cannot be had or is too
                short for the window.
        """
        if not hasattr(self, "network"):
            if self.labels is None:
                raise InputError("the label space is not known: use a datamodule of lightning_clf, or pass labels=…")
            check_kind(type(self).__name__, self.kind, self.labels)
            network = Network.from_pretrained(
                self.encoder_name,
                from_spec(self.head_spec, Head),
                self.labels,
                self.tokenizer,
                encoder_options=self.encoder_options,
            )
            self._adopt(network)
        check_window(self.max_length, self.network.max_positions, self.encoder_name)

    def _adopt(self, network: Network) -> None:
        self.network = network
        self.labels = network.labels
        self.loss.build(network.labels)
        self.build_scores(network.labels)

    # ------------------------------------------------------------------ the step

    def forward(self, batch: Batch) -> Tensor:
        """Scores of a batch: `[B,C]`, `[B,W,C]` for tags, `[B]` for scores."""
        scores: Tensor = self.network(batch)
        return scores

    def _evaluate(self, batch: Batch, stage: str) -> None:
        if len(batch):  # a process may have no row, and takes part in the sums all the same
            self._step(batch, stage)

    def _step(self, batch: Batch, stage: str) -> LossTerms:
        scores, terms = self.score(batch)
        with torch.no_grad():
            prediction = self.network.head.decode(scores.detach(), batch)
            self.stage_scores(stage).update(terms, prediction, batch.require_targets())
        return terms

    def on_train_start(self) -> None:
        """Go on with the random numbers of the checkpoint that the Trainer goes on from."""
        if self.device.type == "cpu":
            keep_freed_memory()
        set_random_state(self.trainer, self._random_states)
        self._random_states = []

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """One forward pass; returns the sum of the losses, which `on_before_optimizer_step` turns into a mean."""
        # what checkpoints activations computes them once more in the backward pass, where no context reaches
        is_checkpointed = self.network.encoder.is_gradient_checkpointing
        with contextlib.nullcontext() if is_checkpointed else cheap_dropout(self.device):
            terms = self._step(batch, "train")
        self._gradient_mean.add(terms)
        self.log("train/loss_step", terms.mean.detach(), prog_bar=True, batch_size=len(batch))
        return terms.total

    def validation_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        """One forward pass over validation data."""
        self._evaluate(batch, "val")

    def test_step(self, batch: Batch, batch_index: int, dataloader_idx: int = 0) -> None:
        """One forward pass over test data."""
        self._evaluate(batch, "test")

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Make gradients of sums into gradients of the mean, before clipping."""
        self._gradient_mean.apply(self)

    # ------------------------------------------------------------------ optimisation

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with decay on matrices only, and the schedule over all steps of the run."""
        optimizer = adamw(self, self.learning_rate, self.weight_decay)
        total = check_steps(self.trainer.estimated_stepping_batches)
        warmup = round(self.warmup_ratio * total)
        scheduler = LambdaLR(optimizer, lambda step: self.schedule.factor(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    # ------------------------------------------------------------------ checkpoints

    @property
    def artefact(self) -> Artefact:
        """The network with what its input goes through, as export and prediction take it.

        Raises:
            InputError: If nothing is built yet.
        """
        if not hasattr(self, "network"):
            raise InputError("the module is not built yet: fit it, or load it from a checkpoint")
        # without a datamodule nobody chose a window, and many tokenizers know none
        longest = min(self.tokenizer.model_max_length, self.network.max_positions or 512)
        return Artefact(self.network, self.tokenizer, self.max_length or longest, self.columns)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add all that loading needs: the module's own arguments, encoder configuration, tokenizer, labels."""
        checkpoint[SECTION] = {"format": FORMAT, "module": self.spec(), "artefact": self.artefact.describe()}
        if self._trainer is not None:
            checkpoint[SECTION]["random"] = random_states(self.trainer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build from the checkpoint alone, if nothing is built yet.

        Raises:
            InputError: If another program wrote it, or a module that is built has other labels.
        """
        if hasattr(self, "network"):
            check_checkpoint(self, checkpoint)
            self._random_states = checkpoint[SECTION].get("random", [])
            return
        artefact = Artefact.from_description(checkpoint[SECTION]["artefact"])
        self._tokenizer, self.max_length, self.columns = artefact.tokenizer, artefact.max_length, artefact.columns
        self._adopt(artefact.network)

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # what else Lightning takes, a checkpoint brings itself
        cls,
        checkpoint_path: str,
        map_location: torch.device | str = "cpu",
        strict: bool = True,
        **overrides: Any,
    ) -> Self:
        """Load a trained module: no network, no encoder folder, no further argument.

        Args:
            checkpoint_path: A `.ckpt` file, from the command or from Python.
            map_location: The device to put the module on.
            strict: Whether weights that are missing or too many are refused, rather than left as they are.
            **overrides: Arguments of the module to change, such as `learning_rate`; not those the network is made of.

        Raises:
            InputError: If the file is missing, damaged, not this library's, or of another task, or an override
                contradicts it.
        """
        return load_module(cls, checkpoint_path, overrides, strict=strict).to(map_location)
