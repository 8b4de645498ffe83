"""What every LightningModule of this library is: one network, one loss, one step."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from lightning_clf.batch import Batch
from lightning_clf.distillation import Distillation
from lightning_clf.errors import InputError, check_number
from lightning_clf.fewer_layers import Layers
from lightning_clf.finetuning import FineTuning, Schedule
from lightning_clf.heads import ArchitectureHead, Head
from lightning_clf.labels import Kind
from lightning_clf.losses import ClassWeights, Loss, LossTerms
from lightning_clf.modules.checks import check_own_loss, check_taught
from lightning_clf.modules.computation import check_capturable, check_computation
from lightning_clf.modules.given import check_batch, check_parts, check_scores, check_terms
from lightning_clf.modules.own_scores import scores_its_own_way, warn_of_own_scores
from lightning_clf.modules.r_drop import agreeing, warn_of_no_dropout
from lightning_clf.modules.taught import TaughtModule
from lightning_clf.network import set_attention
from lightning_clf.prediction import Prediction, RowPredictions


class ClassifierModule(TaughtModule):
    """A pretrained encoder with a head, trained and scored for one kind of label.

    The label space comes from the datamodule when the Trainer sets up, or from a checkpoint; nothing is counted by
    hand. A subclass names its `kind`, its default loss and the metric it is judged by.

    Args:
        encoder: A hub id, or a folder that `save_pretrained` wrote, with weights and tokenizer.
        head: What stands on the encoder; `None` takes the architecture's own, whose pretrained pooler counts and whose
            export any `transformers` code loads.
        encoder_layers: How many of the encoder's layers the model has, the first and the last and those evenly between,
            or a list of which, counted from 0. `None` is all of them.
        loss: What is minimised; `None` takes the head's own where it brings one, else the task's standard loss.
        class_weights: Shorthand for the standard loss with weights: `inverse`, `sqrt_inverse`, `effective`, one number
            a class, or a mapping by label name. Not together with `loss`, which has its own.
        distillation: A teacher whose answers are learned beside the labels; `None` is none.
        r_drop: α of R-Drop (Wu et al. 2021): each training batch is computed twice, and its two answers are drawn
            together, at twice the cost. It stands beside their mean loss, where 1 is the paper's 2; 0 is none.
        learning_rate: Peak of the schedule. 5e-5 is the upper end of BERT's own range, and suits small encoders.
        weight_decay: AdamW's decay on matrices; biases and norms never decay. 0.01 is BERT's.
        warmup_ratio: Share of all steps over which the learning rate rises from 0; 0.1 is BERT's.
        schedule: The way from the peak; `None` goes down in a straight line to 0.
        finetuning: What of the network moves and how fast, such as `FineTuning` or `LoRA`; `None` moves all of it at
            `learning_rate`.
        monitor: The metric that decides which epoch is best, such as `val/accuracy`; `None` takes the task's own.
        encoder_options: Keys of the encoder's configuration to set, such as `attention_probs_dropout_prob: 0.0`.
        attn_implementation: How `transformers` computes attention in training: `eager`, `sdpa`, `flash_attention_2`
            (which needs its package and a GPU), or another name it knows; `None` takes what suits the machine.
        compile: Whether `torch.compile` compiles the encoder, which takes minutes at the start. Lengths should then
            fall on few values: set `data.pad_to_multiple_of`.
        packed: Whether the texts of a batch are computed one after another in one row, without padding between them,
            where the architecture allows it. What is learned is the same. Neither with `compile`, which wants few
            lengths, nor with `attn_implementation`.
        cuda_graphs: Whether the encoder's pass forward and back is captured once for each shape of a batch and replayed
            from then on, on one NVIDIA GPU, since a step of a small encoder takes a processor longer to launch than the
            GPU to compute. Off, as it holds more memory, and an encoder must not wait for the GPU on its way.
        labels: The label space as `LabelSpace.to_dict` writes it, for use without one of our datamodules.

    Raises:
        InputError: If loss or head do not fit the task, both `loss` and `class_weights` are given, or ways to compute
            stand together that do not.
    """

    kind: ClassVar[Kind]
    default_monitor: ClassVar[str]
    _is_compared: bool = False

    def __init__(
        self,
        encoder: str | Path,
        *,
        encoder_layers: Layers | None = None,
        head: Head | None = None,
        loss: Loss | None = None,
        class_weights: ClassWeights | None = None,
        distillation: Distillation | None = None,
        r_drop: float = 0.0,
        learning_rate: float = 5e-5,
        weight_decay: float = 0.01,
        warmup_ratio: float = 0.1,
        schedule: Schedule | None = None,
        finetuning: FineTuning | None = None,
        monitor: str | None = None,
        encoder_options: dict[str, Any] | None = None,
        attn_implementation: str | None = None,
        compile: bool = False,
        packed: bool = False,
        cuda_graphs: bool = False,
        labels: dict[str, Any] | None = None,
    ) -> None:
        check_parts(head, loss)
        head = head or ArchitectureHead()
        check_own_loss(head, loss, class_weights)
        if not head.brings_loss:
            loss = loss or self.default_loss(class_weights)
        super().__init__(encoder, head, loss, encoder_layers, encoder_options, attn_implementation, labels)
        check_computation(
            packed=packed, compile=compile, attn_implementation=attn_implementation, cuda_graphs=cuda_graphs
        )
        self.compiles = compile
        self.packs = packed
        self.cuda_graphs = cuda_graphs
        self.r_drop = check_number("model.r_drop", r_drop, least=0)
        if r_drop and head.brings_loss:
            raise InputError(
                f"model.r_drop compares scores, but those of {type(head).__name__} are none to compare: leave it out"
            )
        if distillation is not None:
            check_taught(
                distillation, head, r_drop, steady=not (packed or compile or attn_implementation or cuda_graphs)
            )
        self.distillation = distillation
        self.move_by(learning_rate, weight_decay, warmup_ratio, schedule, finetuning)
        self.monitor = monitor or self.default_monitor

    # ------------------------------------------------------------------ what a subclass says

    @classmethod
    @abstractmethod
    def default_loss(cls, class_weights: ClassWeights | None) -> Loss:
        """The task's standard loss."""

    def score(self, batch: Batch) -> tuple[Tensor, LossTerms]:
        """One forward pass: scores of the batch's examples or words, and the loss.

        What is exported is the network. Scores that are to be other than its own are made so in a head.
        """
        scores = self(batch)
        return scores, self.compute_loss(*batch.labelled_part(scores))

    def compute_loss(self, scores: Tensor, batch: Batch) -> LossTerms:
        """The loss of scores `[B,…]` against the batch's targets. Override to change what is compared.

        A penalty is added here, times the weight: `LossTerms(terms.total + penalty * terms.weight, terms.weight)`. So
        it counts the same whatever batches are accumulated and shared by processes, and is logged.
        """
        if self.loss is None:
            return self.network.head.structural_loss(scores, batch)
        terms: LossTerms = self.loss(scores, batch.require_targets())
        check_terms(f"{type(self.loss).__name__}.forward", terms)
        return terms

    # ------------------------------------------------------------------ the step

    def take_shape(self, stage: str) -> None:
        """Build what is not built yet, freeze or adapt what is to be fitted, and tell it what to know of train."""
        super().take_shape(stage)
        if stage != "fit":
            return
        if self.attn_implementation is not None:  # what a checkpoint brought was made as this machine does it best
            set_attention(self.network.encoder, self.attn_implementation)
        if self.packs:
            self.network.pack()
        if self.cuda_graphs:
            check_capturable(self.trainer, self.network.encoder)
        self.adapt_encoder()
        for loss in self.losses:
            self._tell_counts(loss)
        self.open_lessons()

    def on_train_start(self) -> None:
        """As any module; and have steps replayed, where that is asked for."""
        super().on_train_start()
        self.network.replay(self.cuda_graphs)

    def teardown(self, stage: str) -> None:
        """As any module; and let go of what steps kept."""
        super().teardown(stage)
        if stage == "fit" and hasattr(self, "network"):
            self.network.replay(False)

    def _tell_counts(self, loss: Loss) -> None:
        if self.datamodule is not None:
            loss.fit_counts(self.datamodule.class_counts)
        elif loss.awaits_counts:
            raise InputError(
                f"{type(loss).__name__} follows from how often train has each label, which only our datamodules count: "
                "call build() and loss.fit_counts(...) of the module before the fit"
            )

    def forward(self, batch: Batch) -> Tensor:
        """Scores of a batch, as the network gives them: `[B,C]`, `[B,W,C]` for tags, `[B]` for scores."""
        check_batch(type(self).__name__, batch)
        scores: Tensor = self.network(batch)
        check_scores(self.network.head, scores, batch, self.network.labels)
        return scores

    def _step(self, batch: Batch, stage: str) -> LossTerms:
        check_batch(type(self).__name__, batch)
        with self.watching(stage) as seen:
            scores, terms = first = self.score(batch)
        check_terms(f"{type(self).__name__}.compute_loss, or its score,", terms)
        if stage != "train" and not self._is_compared and scores_its_own_way(type(self)):
            self._is_compared = True
            warn_of_own_scores(type(self).__name__, scores, self.network, batch)
        if stage == "train" and self.r_drop:
            terms = agreeing(first, second := self.score(batch), batch, self.kind, self.r_drop)
            if not self.trainer.global_step:
                warn_of_no_dropout(scores, second[0])
        if stage == "train" and self.lessons is not None:
            terms = self.lessons.terms(scores, terms, batch, seen)
        with torch.no_grad():
            scores, batch = batch.labelled_part(scores.detach())
            prediction = self.network.decide(scores, batch)
            self.stage_scores(stage).update(terms, prediction, batch)
        return terms

    def of_loader(self, place: int) -> Self:
        """This module, as there is one task."""
        return self

    def evaluate(self, batch: Batch, stage: str) -> None:
        """One forward pass over data that nothing is learned from; counts what it scores."""
        if len(batch):  # a process may have no row, and takes part in the sums all the same
            self._step(batch, stage)

    def answer(self, batch: Batch) -> RowPredictions:
        """One forward pass, decided as the network decides: what `trainer.predict` has of a batch."""
        prediction = self.network.decide(self(batch), batch) if len(batch) else Prediction()
        return RowPredictions(batch.example_ids, prediction)
