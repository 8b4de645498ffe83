"""Classes that the Auto classes of `transformers` load an export into whose head is of this library.

Nothing of the library is imported until an export is loaded: this is imported while `transformers` still is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)
from transformers.configuration_utils import PretrainedConfig
from transformers.modeling_outputs import SequenceClassifierOutput, TokenClassifierOutput

if TYPE_CHECKING:
    from lightning_clf.artefact import Artefact

_INSTEAD = "use lightning_clf.load_classifier"
_HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "token")


class LightningClfConfig(PretrainedConfig):
    """The labels of an export; its encoder has a configuration of its own, in the folder `encoder`."""

    model_type = "lightning-clf"


class _Exported(PreTrainedModel):
    """An export as a stock model: what a tokenizer makes goes in, calibrated logits come out."""

    config_class = LightningClfConfig
    main_input_name = "input_ids"
    output_class: ClassVar[type[SequenceClassifierOutput] | type[TokenClassifierOutput]]

    def __init__(self, config: LightningClfConfig, artefact: Artefact) -> None:
        super().__init__(config)
        self.artefact = artefact
        self.network = artefact.network

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, name: str | Path, *args: Any, config: LightningClfConfig | None = None, **options: Any
    ) -> Self:
        """Load an export folder, or one from the hub.

        Args:
            name: A folder, or a hub id.
            args: None.
            config: Its configuration, which an Auto class has read.
            options: `dtype` or `torch_dtype`, one device as `device_map`, and what the hub is asked with, such as
                `revision`.

        Raises:
            InputError: If it is damaged, its head gives no logits of subwords, or an option cannot be followed.
        """
        from huggingface_hub import snapshot_download

        from lightning_clf.artefact import load_artefact
        from lightning_clf.errors import InputError
        from lightning_clf.token_logits import check_tokens

        folder = Path(name)
        if not folder.is_dir():
            hub = {key: options[key] for key in _HUB_OPTIONS if options.get(key) is not None}
            folder = Path(snapshot_download(str(name), **hub))
        artefact = load_artefact(folder)
        head = artefact.network.head
        if not head.gives_logits:
            raise InputError(
                f"{type(head).__name__} decodes its scores in a way of its own, and {cls.__name__} gives logits of "
                f"single labels: {_INSTEAD}"
            )
        check_tokens(head, cls.__name__, _INSTEAD)
        model = cls(config or LightningClfConfig.from_pretrained(folder), artefact)
        torch.nn.Module.to(model, _device(options.get("device_map")), _type(options))
        model.train(False)
        return model

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, **options: Any
    ) -> None:
        """Write the export folder again, whole.

        Args:
            save_directory: The folder.
            options: None of those of other models: an export is written in one way.
        """
        self.artefact.save(save_directory)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: None = None,
        return_dict: bool | None = None,
        **ignored: Any,
    ) -> SequenceClassifierOutput | TokenClassifierOutput | tuple[Tensor, ...]:
        """Logits `[B,C]`, for tags those of each subword `[B,T,C]`, or scores `[B,1]`, of `[B,T]`.

        Raises:
            InputError: If labels are given: there is no loss here.
        """
        from lightning_clf.errors import InputError
        from lightning_clf.token_logits import token_logits

        if labels is not None:
            raise InputError("an export answers and is not trained on: leave labels out, or train by lightning-clf fit")

        inputs = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        given = {key: value for key, value in inputs.items() if value is not None}
        output = self.output_class(logits=self.artefact.decision.scaled(token_logits(self.network, given)))
        return output.to_tuple() if return_dict is False else output


def _type(options: dict[str, Any]) -> torch.dtype | None:
    """The type of weights that options name, as `transformers` takes it; `None` leaves them."""
    from lightning_clf.errors import InputError

    given = options.get("dtype", options.get("torch_dtype"))
    if given in (None, "auto"):
        return None
    dtype = getattr(torch, given, None) if isinstance(given, str) else given
    if not isinstance(dtype, torch.dtype):
        raise InputError(f"dtype {given!r} is no type of PyTorch: give one such as bfloat16")
    return dtype


def _device(given: Any) -> torch.device | None:
    """The one device that a `device_map` names; `None` leaves weights where they are."""
    from lightning_clf.errors import InputError

    if isinstance(given, dict) and set(given) == {""}:
        given = given[""]
    try:
        return None if given is None else torch.device(given)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device_map {given!r} is no one device: give one such as cpu or cuda:0") from error


class LightningClfForSequenceClassification(_Exported):
    """One label, any number of them, or a score for a text or a pair."""

    output_class = SequenceClassifierOutput


class LightningClfForTokenClassification(_Exported):
    """A tag for each subword; a word's is that of its first."""

    output_class = TokenClassifierOutput


AutoConfig.register(LightningClfConfig.model_type, LightningClfConfig)
AutoModelForSequenceClassification.register(LightningClfConfig, LightningClfForSequenceClassification)
AutoModelForTokenClassification.register(LightningClfConfig, LightningClfForTokenClassification)
