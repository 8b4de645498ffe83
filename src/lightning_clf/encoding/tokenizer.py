"""Loading tokenizers, with one clear error for everything that can be wrong with a name or a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, HFValidationError, RepositoryNotFoundError
from tokenizers import normalizers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from lightning_clf.errors import InputError, first_line

Tokenizer = PreTrainedTokenizerBase

# seconds; the hub client's own retries would keep a user with a mistyped folder waiting a minute
_NETWORK_TIMEOUT = 10.0


def load_tokenizer(name: str, *, words: bool = False) -> Tokenizer:
    """Load the tokenizer of an encoder.

    Args:
        name: A hub id, or a folder with the tokenizer's files.
        words: Whether it will be given pre-split words. Byte-level BPE tokenizers lose the space before a word unless
            they are built for it, and only fast tokenizers can tell which word a subword came from.

    Raises:
        InputError: If there is no such encoder, it has no tokenizer, or a tagger is given a slow one.
    """
    name = check_available(name)
    arguments: dict[str, Any] = {"trust_remote_code": False}
    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(name, **arguments)
        if _is_empty(tokenizer):
            raise ValueError("no vocabulary is to be found")
        if words and _loses_spaces(tokenizer):
            spaced = AutoTokenizer.from_pretrained(name, add_prefix_space=True, **arguments)
            tokenizer = spaced if _tokenize_word(spaced) == _tokenize_inside(tokenizer) else _prepend_space(tokenizer)
    except Exception as error:  # the tokenizers library knows no narrower class
        raise InputError(
            f"encoder {name!r} has no tokenizer that can be loaded ({first_line(error)}): save the tokenizer beside "
            "the weights with tokenizer.save_pretrained(...)"
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
