"""An encoder with a head: what training wraps, prediction runs and an export writes. Nothing of Lightning."""

from __future__ import annotations

import contextlib
import inspect
import logging
import pickle
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from lightning_clf.batch import Batch
from lightning_clf.cpu import take_unlearned_attention
from lightning_clf.encoding.tokenizer import Tokenizer, check_available, load_config
from lightning_clf.errors import InputError, reason
from lightning_clf.fewer_layers import Layers, narrowed_config, with_layers
from lightning_clf.gpu import StepGraphs
from lightning_clf.heads.base import Head
from lightning_clf.heads.windows import mean_of_windows
from lightning_clf.labels import LabelSpace
from lightning_clf.last_layer import Handles, is_computed_once, narrow_to_first_token, narrow_to_words, reading
from lightning_clf.packing import pack
from lightning_clf.scorer import PROBLEM_TYPES, Scorer, drop_thresholds, over_windows, restore_config

_OURS = ("id2label", "label2id", "num_labels", "problem_type")


class Network(Scorer):
    """An encoder with a head on it, for one label space.

    Attributes:
        encoder: A stock `transformers` model: the bare encoder, or the architecture with its own head. Where the head
            reads the first token alone, its last layer may be of that token; where it reads first subwords alone, of
            these in training (`last_layer.py`).
        head: What makes scores of the encoder's output, and predictions of scores.
    """

    def __init__(self, encoder: PreTrainedModel, head: Head, labels: LabelSpace) -> None:
        super().__init__(head, labels)
        self.encoder = encoder
        self._narrowing: Handles = ()
        self._graphs: StepGraphs | None = None
        if head.reads_first_token:
            self._narrowing = narrow_to_first_token(encoder)
        elif head.reads_first_subwords:
            self._narrowing = narrow_to_words(encoder)
        # from_pretrained returns modules in eval mode, and Lightning keeps the mode it finds: dropout would be off
        self.train()

    @classmethod
    def from_pretrained(
        cls,
        name: str,
        head: Head,
        labels: LabelSpace,
        tokenizer: Tokenizer,
        *,
        encoder_layers: Layers | None = None,
        encoder_options: dict[str, Any] | None = None,
        attn_implementation: str | None = None,
    ) -> Network:
        """Put a new head on pretrained weights.

        Args:
            name: A hub id, or a folder.
            head: The head, not yet built.
            labels: The label space.
            tokenizer: The encoder's tokenizer, which says what padding is.
            encoder_layers: How many of the encoder's layers are kept, or which; `None` keeps all.
            encoder_options: Keys of the encoder's configuration to set, such as `attention_probs_dropout_prob`.
            attn_implementation: How attention is computed; `None` takes what suits the machine.

        Raises:
            InputError: If the encoder is not to be had, has no such head or configuration key, brings code of its own,
                or its weights are not those its configuration asks for.
        """
        name = check_available(name)
        config = load_config(name)
        with quiet_transformers():
            try:
                _configure(config, labels, tokenizer, encoder_options or {}, name)
                kept = config if encoder_layers is None else narrowed_config(config, encoder_layers)
                head.attach(kept, labels)
                encoder, loaded = head.auto_class().from_pretrained(
                    name,
                    config=config,
                    dtype=torch.float32,  # else transformers 5 keeps the precision the file was saved in
                    ignore_mismatched_sizes=True,  # a head saved for another number of labels is made anew
                    trust_remote_code=False,
                    output_loading_info=True,
                    **model_options(head, config),
                )
            except InputError:
                raise
            except pickle.UnpicklingError as error:  # whose own message advises to run what is in the file
                raise InputError(
                    f"encoder {name!r} has weights in a pickle that holds more than tensors, or is damaged: it was not "
                    "read, since loading it could run code; save the encoder again with save_pretrained"
                ) from error
            except Exception as error:  # a setting an architecture cannot take makes it raise anything
                raise _not_loaded(name, head, encoder_options, error) from error
        _refuse_random(encoder, loaded, name)
        if encoder_layers is not None:
            encoder = with_layers(encoder, encoder_layers, lambda config: _from_config(head, config))
        if attn_implementation is None:
            take_unlearned_attention(encoder)
        else:
            set_attention(encoder, attn_implementation)
        return cls(encoder, head, labels)

    @classmethod
    def from_config(cls, config: dict[str, Any], head: Head, labels: LabelSpace) -> Network:
        """The same network with random weights, to load stored ones into.

        Args:
            config: What `PretrainedConfig.to_dict` returned.
            head: The head, not yet built.
            labels: The label space.

        Raises:
            ValueError: If the configuration is of other labels.
            Exception: Of any class, if transformers cannot make an encoder of the configuration.
        """
        encoder = _from_config(head, restore_config(config, head, labels))
        take_unlearned_attention(encoder)
        return cls(encoder, head, labels)

    @property
    def config(self) -> PretrainedConfig:
        """The encoder's configuration."""
        config: PretrainedConfig = self.encoder.config
        return config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def max_positions(self) -> int | None:
        """The longest window the encoder has positions for, in subwords; `None` where it has no limit of its own."""
        for name, module in self.encoder.named_modules():
            if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
                # RoBERTa and its kin count positions from the padding index on
                return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
        positions: int = getattr(self.config, "max_position_embeddings", None) or 0
        return positions if positions > 0 else None  # XLNet, which has no limit, writes -1

    def pack(self) -> None:
        """Compute without padding, from now on.

        Raises:
            InputError: If the architecture is not one that was verified.
        """
        if self.head.reads_first_subwords:
            self.widen()  # their places are of what is padded
        pack(self.encoder, narrowed=bool(self._narrowing))

    def widen(self) -> None:
        """Compute the encoder's last layer whole from now on, for whoever reads it besides the head."""
        for handle in self._narrowing:
            handle.remove()
        self._narrowing = ()

    def replay(self, on: bool) -> None:
        """Replay passes with gradients by CUDA graphs from now on, or compute them as they stand."""
        self._graphs = StepGraphs(self, self._encode) if on else None

    def features(self, batch: Batch) -> Tensor:
        """What the head is given: hidden states `[N,T,H]`, or the architecture's own logits."""
        if not torch.is_grad_enabled():
            return over_windows(self._encode, batch)
        if self._graphs is not None:
            return self._graphs(batch.inputs)
        if batch.first_subword is None or not self._narrows_to_words():
            return self._encode(batch.inputs)
        with reading(batch.first_subword[batch.first_subword >= 0], batch.inputs["input_ids"]):
            return self._encode(batch.inputs)

    def _narrows_to_words(self) -> bool:
        """Whether it pays: a GPU would have to wait for how many words there are, and a compiler for each number."""
        if not (self._narrowing and self.head.reads_first_subwords):
            return False
        is_plain = is_computed_once(self.encoder) and self.encoder._compiled_call_impl is None
        return is_plain and self.device.type == "cpu"

    def _encode(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.head.hidden(self.encoder(**inputs, return_dict=True))

    def forward(self, batch: Batch) -> Tensor:
        """Scores: logits `[B,C]`, `[B,W,C]` for tags, or a number `[B]` for the kind `score`."""
        scores: Tensor = self.head(self.features(batch), batch)
        return scores if self.labels.kind == "tags" else mean_of_windows(scores, batch)


def set_attention(encoder: PreTrainedModel, name: str) -> None:
    """Compute an encoder's attention another way, from now on.

    Args:
        encoder: The encoder.
        name: One that `transformers` knows, such as `eager` or `sdpa`.

    Raises:
        InputError: If the encoder cannot, it is not installed, or it is code on the hub.
    """
    if "/" in name:
        raise InputError(
            f"model.attn_implementation {name!r} names code on the hub, which is not run: use eager, sdpa, "
            "flash_attention_2, or another that is installed"
        )
    if encoder.config._attn_implementation == name:
        return
    try:
        encoder.set_attn_implementation(name)
    except Exception as error:  # which depends on what is missing
        raise InputError(
            f"model.attn_implementation {name!r} cannot be used ({reason(error)}): use another, or leave it out"
        ) from error


def _from_config(head: Head, config: PretrainedConfig) -> PreTrainedModel:
    options = model_options(head, config)
    model: PreTrainedModel = head.auto_class().from_config(config, trust_remote_code=False, **options)
    model.float()  # whatever precision a configuration names
    return model


def _configure(
    config: PretrainedConfig, labels: LabelSpace, tokenizer: Tokenizer, options: dict[str, Any], name: str
) -> None:
    for key, value in options.items():
        if key in _OURS:
            raise InputError(f"encoder_options has {key!r}, which follows from the labels of the data: leave it out")
        if not hasattr(config, key):
            raise InputError(f"encoder_options has {key!r}, but {config.model_type} ({name}) has no such setting")
        setattr(config, key, value)
    config.id2label = labels.id2label
    config.label2id = {label: index for index, label in labels.id2label.items()}
    config.problem_type = PROBLEM_TYPES[labels.kind]
    drop_thresholds(config)
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id


def _not_loaded(name: str, head: Head, options: dict[str, Any] | None, error: Exception) -> InputError:
    asked, remedy = (f" with encoder_options {options}", "correct encoder_options, ") if options else ("", "")
    return InputError(
        f"encoder {name!r} cannot be loaded{asked} under {type(head).__name__} ({reason(error)}): {remedy}save "
        "the encoder again with save_pretrained, or choose another"
    )


def _refuse_random(encoder: PreTrainedModel, loaded: dict[str, Any], name: str) -> None:
    """Hold what was loaded against what the encoder is made of; a head may be new, and a pooler, which many lack."""
    prefix = f"{encoder.base_model_prefix}."
    is_bare = not hasattr(encoder, encoder.base_model_prefix)
    random = [key for key in made_up(loaded) if (is_bare or key.startswith(prefix)) and "pooler" not in key]
    if random:
        raise InputError(
            f"encoder {name!r} does not hold the weights its configuration asks for: {len(random)} tensors are missing "
            f"or of another shape, such as {random[0]}; correct encoder_options, or save the encoder again"
        )


def made_up(loaded: dict[str, Any]) -> list[str]:
    """The tensors a file has none of, which are random, by what `from_pretrained` says with `output_loading_info`."""
    return sorted({*loaded["missing_keys"], *(key for key, *_ in loaded["mismatched_keys"])})


def model_options(head: Head, config: PretrainedConfig) -> dict[str, Any]:
    """What an encoder is made with besides its configuration.

    The pooler of a bare encoder is left out: our heads do not read it, and DDP refuses unused parameters.
    """
    model_class = head.auto_class()._model_mapping.get(type(config), None)
    has_pooler = model_class and "add_pooling_layer" in inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if has_pooler else {}


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Hold back the report that a new head's weights are new, and progress bars that are over before they are read."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
