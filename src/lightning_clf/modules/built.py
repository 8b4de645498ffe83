"""What a module is made of and kept as: one network for one label space, out of an encoder or a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from transformers import PreTrainedModel

from lightning_clf.artefact import Artefact
from lightning_clf.checkpoint import FORMAT, SECTION, merge_stored
from lightning_clf.component import from_spec
from lightning_clf.data import BaseDataModule
from lightning_clf.encoding import Tokenizer, load_tokenizer
from lightning_clf.errors import InputError
from lightning_clf.fewer_layers import Layers
from lightning_clf.finetuning import adapter_scaling
from lightning_clf.heads import Head
from lightning_clf.labels import Kind, LabelSpace
from lightning_clf.losses import Loss
from lightning_clf.modules.checks import (
    check_kind,
    check_labels,
    check_orders,
    check_pairing,
    check_trainer,
    check_window,
)
from lightning_clf.modules.loading import check_checkpoint
from lightning_clf.modules.trained import TrainedModule
from lightning_clf.network import Network


class BuiltModule(TrainedModule):
    """A module that is built once its labels are known: from its datamodule's, or from a checkpoint alone.

    Args:
        encoder: A hub id, or a folder.
        head: What stands on the encoder.
        loss: What is minimised; `None` if the head brings its loss.
        encoder_layers: How many of the encoder's layers are kept, or which; `None` keeps all.
        encoder_options: Keys of the encoder's configuration to set.
        attn_implementation: How attention is computed; `None` takes what suits the machine.
        labels: The label space as `LabelSpace.to_dict` writes it, for use without one of our datamodules.

    Raises:
        InputError: If loss or head do not fit the task, or an argument is none that a checkpoint can hold.
    """

    kind: ClassVar[Kind]

    network: Network

    def __init__(
        self,
        encoder: str | Path,
        head: Head,
        loss: Loss | None,
        encoder_layers: Layers | None,
        encoder_options: dict[str, Any] | None,
        attn_implementation: str | None,
        labels: dict[str, Any] | None,
    ) -> None:
        super().__init__()
        self.labels = LabelSpace.from_dict(labels) if labels else None
        self.spec()  # what a checkpoint could not hold is refused now, not after the first epoch
        check_pairing(type(self).__name__, self.kind, head, loss)
        self.encoder_name = str(encoder)
        self.head_spec = head.spec()
        self.loss = loss
        self.encoder_layers = encoder_layers
        self.encoder_options = encoder_options
        self.attn_implementation = attn_implementation
        self.max_length: int | None = None
        self.stride: int | None = None
        self.symmetric = False
        self.columns: dict[str, str] = {}
        self._tokenizer: Tokenizer | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        """The encoder's tokenizer, or the checkpoint's. The datamodule reads it here."""
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self.encoder_name, words=self.kind == "tags")
        return self._tokenizer

    @property
    def datamodule(self) -> BaseDataModule[Any] | None:
        """The datamodule the Trainer runs with, if it is one of this library's."""
        datamodule = getattr(self.trainer, "datamodule", None)
        return datamodule if isinstance(datamodule, BaseDataModule) else None

    def take_shape(self, stage: str) -> None:
        """Take labels and window from the datamodule, and build what is not built yet. May be called again."""
        check_trainer(self.trainer, self.kind)
        if (data := self.datamodule) is not None:
            check_kind(type(self).__name__, self.kind, data.labels)
            if self.labels is None:
                self.labels = data.labels
            check_labels(data.labels, self.labels)
            self.take_reading(data, stage)
        self.build()

    def take_reading(self, data: BaseDataModule[Any], stage: str) -> None:
        """Take from a datamodule how its rows are read.

        Raises:
            InputError: If what was trained to read them otherwise is to be evaluated.
        """
        symmetric = data.row_format.symmetric
        if stage != "fit" and self.max_length is not None:
            check_orders(data=symmetric, model=self.symmetric)
        self.max_length, self.stride = data.max_length, data.stride
        self.columns, self.symmetric = data.input_columns, symmetric

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
            self.adopt(self.make_network(self.labels))
        check_window(self.max_length, self.network.max_positions, self.encoder_name)

    def make_network(self, labels: LabelSpace) -> Network:
        """A new head on the pretrained encoder.

        Raises:
            InputError: If the encoder cannot be had.
        """
        return Network.from_pretrained(
            self.encoder_name,
            from_spec(self.head_spec, Head),
            labels,
            self.tokenizer,
            encoder_layers=self.encoder_layers,
            encoder_options=self.encoder_options,
            attn_implementation=self.attn_implementation,
        )

    def adopt(self, network: Network) -> None:
        """Take a network, and build loss and metrics for its label space."""
        self.network = network
        self.labels = network.labels
        if self.loss is not None:
            self.loss.build(network.labels)
        self.build_scores(network.labels)

    @property
    def encoder(self) -> PreTrainedModel:
        """The network's encoder, the architecture's own head included."""
        return self.network.encoder

    @property
    def heads(self) -> Sequence[Head]:
        """The network's head."""
        return [self.network.head]

    @property
    def losses(self) -> Sequence[Loss]:
        """The loss, unless the head brings it."""
        return [self.loss] if self.loss is not None else []

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
        window = self.max_length or longest
        return Artefact(self.network, self.tokenizer, window, self.columns, self.stride, self.symmetric)

    def take_input(self, artefact: Artefact) -> None:
        """Have input go through what an artefact's goes through."""
        self._tokenizer, self.max_length, self.columns = artefact.tokenizer, artefact.max_length, artefact.columns
        self.stride, self.symmetric = artefact.stride, artefact.symmetric

    def export(self, folder: Path) -> None:
        """Write the artefact as an export folder.

        Raises:
            InputError: If nothing is built yet, or the folder cannot be written.
        """
        self.artefact.save(folder)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add all that loading needs: the module's own arguments, encoder configuration, tokenizer, labels."""
        checkpoint[SECTION] = {"format": FORMAT, "module": self.spec(), "artefact": self.artefact.describe()}
        super().on_save_checkpoint(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build from the checkpoint alone, or go on from it if built.

        Raises:
            InputError: If another program wrote it, a module that is built has other labels, or a fit is to go on with
                another `finetuning`.
        """
        if hasattr(self, "network"):
            check_checkpoint(self, checkpoint)
        else:
            artefact = Artefact.from_description(checkpoint[SECTION]["artefact"])
            self.take_input(artefact)
            self.adopt(artefact.network)
        if adapter_scaling(self.network) is None:  # which only a fit puts in
            checkpoint["state_dict"] = merge_stored(checkpoint)
        super().on_load_checkpoint(checkpoint)
