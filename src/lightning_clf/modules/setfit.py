"""Few labelled rows: an encoder trained on pairs of them, and a linear layer fitted to its embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, cast, get_args

import torch
from lightning.pytorch import Callback
from lightning.pytorch.utilities import rank_zero_info

from lightning_clf.batch import Batch
from lightning_clf.data import FewShotDataModule
from lightning_clf.errors import InputError
from lightning_clf.heads import EmbeddingHead, HeadFit, LogisticFit
from lightning_clf.heads.fitting import Layer
from lightning_clf.losses import (
    BCELoss,
    ClassWeights,
    CosineSimilarityLoss,
    CrossEntropyLoss,
    EmbeddingLoss,
    Loss,
    LossTerms,
)
from lightning_clf.modules.base import ClassifierModule
from lightning_clf.modules.sentence_body import embedding_of
from lightning_clf.network import Network


class SetFitClassifier(ClassifierModule):
    """SetFit (Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts"), for one label or any of many.

    The encoder is trained on the pairs that `FewShotDataModule` draws, so that texts which share a label come together.
    A linear layer is fitted to the embeddings of all rows of train before each validation and at the end. What comes
    out is an encoder with an `EmbeddingHead`, like any other. Judged by macro F1.

    A checkpoint that a fit writes between two validations has the layer of the earlier one; `best.ckpt` and what is
    exported have that of their own encoder. `train/loss` is that of pairs, `val/loss` and `test/loss` are cross-entropy
    of the answers; train has no other metrics.

    Args:
        encoder: A hub id, or a folder; best one that was made to compare sentences.
        kind: `single` for one label of C, `multi` for any of C.
        body_loss: What is minimised over pairs, such as `CosineSimilarityLoss`, which `None` is.
        head_fit: How the linear layer is found, such as `LogisticFit`, which `None` is, or `GradientFit`.
        head: How texts are embedded; `None` is what the encoder's own `modules.json` says, else the mean.
        learning_rate: Peak of the encoder's schedule. 2e-5 is SetFit's.
        **options: What `ClassifierModule` takes, but `loss`, `class_weights`, `distillation` and `r_drop`.

    Raises:
        InputError: If there is no such kind, or an argument is none that a checkpoint can hold.
    """

    default_monitor: ClassVar[str] = "val/f1_macro"
    learns_from_pairs: ClassVar[bool] = True
    """What a datamodule that can draw pairs looks for."""

    def __init__(
        self,
        encoder: str | Path,
        *,
        kind: Literal["single", "multi"] = "single",
        body_loss: EmbeddingLoss | None = None,
        head_fit: HeadFit | None = None,
        head: EmbeddingHead | None = None,
        learning_rate: float = 2e-5,
        **options: Any,
    ) -> None:
        if kind not in get_args(Literal["single", "multi"]):
            raise InputError(f"SetFitClassifier has no kind {kind!r}: use single or multi")
        if options.get("distillation") is not None:
            raise InputError("SetFitClassifier learns from pairs, and not of a teacher: leave model.distillation out")
        # of each module its own, where every other has that of its class
        self.kind = kind  # type: ignore[misc]
        super().__init__(
            encoder,
            head=head or EmbeddingHead(),
            loss=None,
            class_weights=None,
            r_drop=0.0,
            learning_rate=learning_rate,
            **options,
        )
        self.body_loss = body_loss or CosineSimilarityLoss()
        self.head_fit = head_fit or LogisticFit()

    def default_loss(self, class_weights: ClassWeights | None) -> Loss:  # type: ignore[override]  # by kind
        """Cross-entropy of a softmax, or of a sigmoid for each label: what answers are judged by."""
        return CrossEntropyLoss(class_weights) if self.kind == "single" else BCELoss(class_weights)

    @property
    def head(self) -> EmbeddingHead:
        """The head of the network."""
        return cast(EmbeddingHead, self.network.head)

    # ------------------------------------------------------------------ building

    def configure_callbacks(self) -> list[Callback]:
        """None to add; what a fit would lack is refused here, before the data are looked at.

        Raises:
            InputError: If the datamodule draws no pairs, or the fit of the head needs a package.
        """
        if self.trainer.state.fn == "fit":
            self.head_fit.check()
            if not isinstance(self.datamodule, FewShotDataModule):
                raise InputError(
                    "SetFitClassifier learns from pairs of rows, which FewShotDataModule draws: take it for data, with "
                    "shots: null to keep all rows"
                )
        return super().configure_callbacks()

    def build(self) -> None:
        """Build as any module; of a new head, what is open follows from the encoder."""
        if not hasattr(self, "network"):
            given = self.head_spec["init_args"]
            if given.get("pooling") is None or given.get("normalize") is None:
                pooling, normalize = embedding_of(self.encoder_name)
                known = {"pooling": pooling, "normalize": normalize}
                known |= {key: value for key, value in given.items() if value is not None}
                self.head_spec = {**self.head_spec, "init_args": known}
                how = "scaled to length 1" if known["normalize"] else "not scaled"
                rank_zero_info(f"embeddings: {known['pooling']} of the subwords, {how}")
        super().build()

    def adopt(self, network: Network) -> None:
        """As any module; its layer is fitted rather than trained."""
        super().adopt(network)
        self.head.output.requires_grad_(False)  # it is fitted, and DDP would wait for its gradients

    # ------------------------------------------------------------------ the step

    def _step(self, batch: Batch, stage: str) -> LossTerms:
        if batch.pairs is None:
            return super()._step(batch, stage)
        embeddings = self.head.embed(self.network.features(batch), batch)
        terms: LossTerms = self.body_loss(embeddings, batch.require_targets(), batch.pairs)
        self.stage_scores(stage).loss.update(terms)
        return terms

    def on_train_epoch_end(self) -> None:
        """Log the mean loss of pairs."""
        self.note_empty("train")
        if not (scores := self.stage_scores("train")).is_empty:
            self.log("train/loss", scores.loss.compute())

    # ------------------------------------------------------------------ the head

    def on_validation_epoch_start(self) -> None:
        """Start counting anew, in a fit with a head for the encoder as it now is."""
        super().on_validation_epoch_start()
        if self.trainer.state.fn == "fit":
            self.fit_head()

    def on_train_end(self) -> None:
        """Let go of what a step kept, and end with a head for the encoder as it is: callbacks may have averaged it."""
        super().on_train_end()
        self.fit_head()

    @torch.no_grad()
    def fit_head(self) -> None:
        """Fit the linear layer to the embeddings of train, on the first process for all."""
        layer = self._fitted_layer() if self.trainer.is_global_zero else None
        weight, bias = cast(Layer, self.trainer.strategy.broadcast(layer))
        self.head.output.weight.copy_(weight)
        self.head.output.bias.copy_(bias)

    def _fitted_layer(self) -> Layer:
        data, training = cast(FewShotDataModule, self.datamodule), self.network.training
        if training:
            self.network.eval()
        embedded, targets = [], []
        for batch in data.train_rows_dataloader():
            moved = batch.to(self.device)
            embedded.append(self.head.embed(self.network.features(moved), moved).cpu())
            targets.append(batch.require_targets())
        if training:
            self.network.train()
        return self.head_fit.fit(torch.cat(embedded), torch.cat(targets), data.labels)
