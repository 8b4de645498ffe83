"""Loading tokenizers and configurations, with one clear error for everything that can be wrong with them."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HFValidationError, RepositoryNotFoundError
from tokenizers import normalizers
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from lightning_clf.errors import FOREIGN_CODE, InputError, reason

Tokenizer = PreTrainedTokenizerBase

MODEL_TYPE = "lightning-clf"
"""What the configuration of an export calls it whose head is ours: it is no encoder."""
ENCODER = "encoder"
"""The folder of such an export that holds its encoder."""

# seconds; the hub client's own retries would keep a user with a mistyped folder waiting a minute
_NETWORK_TIMEOUT = 10.0
# no name that leads out of a folder, and none that Python would import
_FILE_NAME = re.compile(r"(?!.*\.py\w?$)[\w.-]*\w", re.ASCII | re.IGNORECASE)


def load_tokenizer(name: str, *, words: bool = False) -> Tokenizer:
    """Load the tokenizer of an encoder.

    Args:
        name: A hub id, or a folder with the tokenizer's files.
        words: Whether it will be given pre-split words. Byte-level BPE tokenizers lose the space before a word unless
            they are built for it, and only fast tokenizers can tell which word a subword came from.

    Raises:
        InputError: If there is no such encoder, its configuration cannot be read, it has no tokenizer, or a tagger is
            given a slow one.
    """
    name = check_available(name)
    config = load_config(name)
    try:
        tokenizer = read_tokenizer(name, config=config)
        if words and _loses_spaces(tokenizer):
            spaced = read_tokenizer(name, config=config, add_prefix_space=True)
            tokenizer = spaced if _tokenize_word(spaced) == _tokenize_inside(tokenizer) else _prepend_space(tokenizer)
    except Exception as error:  # the tokenizers library knows no narrower class
        raise InputError(
            f"encoder {name!r} has no tokenizer that can be loaded ({reason(error)}): save the tokenizer beside the "
            "weights with tokenizer.save_pretrained(...), or choose another encoder"
        ) from error
    if words and not tokenizer.is_fast:
        raise InputError(
            f"the tokenizer of encoder {name!r} is slow-only ({type(tokenizer).__name__}), and tagging needs a fast "
            "one to know which word a subword came from: save it with a tokenizer.json, or choose another encoder"
        )
    if tokenizer.pad_token is None:
        # decoders come without one; any token serves, since padding is masked
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def read_tokenizer(name: str | Path, **options: Any) -> Tokenizer:
    """Read a tokenizer as it stands, and run no code it brings along.

    Args:
        name: A hub id, or a folder with the tokenizer's files.
        **options: What the tokenizer is made with besides its files.

    Raises:
        ValueError: If no vocabulary is to be found, without which transformers makes an empty tokenizer.
        Exception: Of any class, if transformers cannot read the files.
    """
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **options)
    if _is_empty(tokenizer):
        raise ValueError("no vocabulary of the tokenizer is to be found")
    return tokenizer


def tokenizer_to_bytes(tokenizer: Tokenizer) -> dict[str, Tensor]:
    """The tokenizer's files by name, as bytes in uint8 tensors: what a checkpoint may hold whatever is in them."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return {
            file.name: torch.frombuffer(bytearray(file.read_bytes()), dtype=torch.uint8)
            for file in sorted(Path(folder).iterdir())
            if file.is_file() and _FILE_NAME.fullmatch(file.name)
        }


def tokenizer_from_bytes(files: dict[str, Tensor]) -> Tokenizer:
    """The tokenizer that `tokenizer_to_bytes` put down.

    Raises:
        ValueError: If a file is none that a tokenizer has, or there is no vocabulary among them.
        Exception: Of any class, if transformers cannot read the files.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            if not _FILE_NAME.fullmatch(name):
                raise ValueError(f"its tokenizer holds {name!r}, which is no file of a tokenizer")
            Path(folder, name).write_bytes(content.numpy().tobytes())
        return read_tokenizer(folder)


def load_config(name: str) -> PretrainedConfig:
    """Load the configuration of an encoder that `check_available` found.

    Args:
        name: A hub id, or a folder.

    Raises:
        InputError: If it cannot be read, or the encoder brings code of its own.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # what is in the file decides what transformers stumbles over
        if FOREIGN_CODE in reason(error):
            raise InputError(
                f"encoder {name!r} brings {FOREIGN_CODE}: choose one whose architecture is in transformers"
            ) from error
        raise InputError(
            f"encoder {name!r} has a config.json that transformers cannot read ({reason(error)}): save the encoder "
            "again with save_pretrained, or choose another"
        ) from error
    if config.model_type == MODEL_TYPE:
        raise InputError(
            f"encoder {name!r} is an export whose head is not the architecture's: give its encoder alone, "
            f"{name}/{ENCODER}"
        )
    return config


def check_available(name: str) -> str:
    """Find out quickly whether an encoder can be had, before a client with long retries is asked for it.

    Returns:
        The name to load it by: as given, but for a `~` that stands for the home folder.

    Raises:
        InputError: If it is neither a folder, nor in the local cache, nor on a hub that answers.
    """
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise InputError(f"encoder folder {name!r} holds no config.json: give the folder save_pretrained wrote")
        return str(path)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise InputError(f"encoder folder {name!r} does not exist: correct model.encoder")
    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return name
        get_hf_file_metadata(hf_hub_url(name, "config.json"), timeout=_NETWORK_TIMEOUT)
        return name
    except HFValidationError as error:
        raise InputError(f"encoder {name!r} is neither a folder nor a hub id: correct model.encoder") from error
    except GatedRepoError as error:
        raise InputError(f"encoder {name!r} is gated: accept its terms and log in with `hf auth login`") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"encoder {name!r} is neither a folder nor on the hub: correct model.encoder") from error
    except EntryNotFoundError as error:
        raise InputError(f"hub repository {name!r} holds no config.json: it is no encoder") from error
    except Exception as error:
        raise InputError(
            f"encoder {name!r} is neither a folder here nor in the local cache, and the hub cannot be reached "
            f"({type(error).__name__}): correct model.encoder, or give a folder"
        ) from error


def _is_empty(tokenizer: Tokenizer) -> bool:
    """Whether it knows special tokens only, or a lone mark for spaces: what is made where no vocabulary is found."""
    return len(tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens)) <= 1


# a word of several pieces, of which only the first has the space before it
_PROBE = "a(1)"


def _tokenize_word(tokenizer: Tokenizer) -> list[str]:
    pieces: list[str] = tokenizer.tokenize(_PROBE)
    return pieces


def _tokenize_inside(tokenizer: Tokenizer) -> list[str]:
    pieces: list[str] = tokenizer.tokenize(f"a {_PROBE}")
    return pieces[len(tokenizer.tokenize("a")) :]


def _loses_spaces(tokenizer: Tokenizer) -> bool:
    """Whether a word is split differently at the start of a text than after a space, as byte-level BPE does."""
    return tokenizer.is_fast and _tokenize_word(tokenizer) != _tokenize_inside(tokenizer)


def _prepend_space(tokenizer: Tokenizer) -> Tokenizer:
    """For tokenizers that take no notice of `add_prefix_space`, or put the space before every piece of a word.

    The result has no class of its own, since one would build its normalizer anew when it is loaded again.
    """
    backend = tokenizer.backend_tokenizer
    steps = [step for step in (backend.normalizer, normalizers.Prepend(" ")) if step is not None]
    backend.normalizer = normalizers.Sequence(steps)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=tokenizer.model_input_names,
        model_max_length=tokenizer.model_max_length,
        padding_side=tokenizer.padding_side,
        truncation_side=tokenizer.truncation_side,
        extra_special_tokens=tokenizer.extra_special_tokens,
        **tokenizer.special_tokens_map,
    )
