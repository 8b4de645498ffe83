"""A causal language model on this machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, cast

import torch

from lightning_clf.encoding.tokenizer import check_available, load_config, read_tokenizer
from lightning_clf.errors import InputError, need, reason
from lightning_clf.language_models.model import LanguageModel
from lightning_clf.language_models.prompt import Prompt, Reply
from lightning_clf.network import made_up, quiet_transformers


class CausalLM(LanguageModel):
    """A model of `transformers`, from a folder or the hub; one reply at a time, and no code of its own.

    Nothing holds its words to the schema: that they are of it is left to the prompt, and to asking again. The draws of
    a reply follow from its request alone, so that the same request is replied to alike.

    Args:
        name: A folder, or a hub id.
        device: Where to run, such as `cuda`.

    Raises:
        InputError: If it cannot be had, lacks weights or a tokenizer, or brings code; or a package is missing.
    """

    def __init__(self, name: str, device: str = "cpu") -> None:
        from transformers import AutoModelForCausalLM

        need("jsonschema", "a language model needs", "llm")
        self.name = name
        found = check_available(name)
        config = load_config(found)
        with quiet_transformers():
            try:
                self._tokenizer = read_tokenizer(found)
                # of what it returns the types of transformers know one form only, that without the loading info
                model, loaded = cast(
                    tuple[Any, dict[str, Any]],
                    AutoModelForCausalLM.from_pretrained(
                        found, config=config, trust_remote_code=False, output_loading_info=True
                    ),
                )
                self._model = model.to(device).eval()
            except Exception as error:  # what is in the files decides what transformers stumbles over
                raise InputError(
                    f"language model {name!r} cannot be loaded ({reason(error)}): give a folder or a hub id that "
                    "AutoModelForCausalLM and AutoTokenizer load"
                ) from error
        if missing := made_up(loaded):
            raise InputError(
                f"language model {name!r} lacks weights its configuration asks for ({len(missing)} tensors, such as "
                f"{missing[0]}): it is no causal model, or was saved in part"
            )
        self._lock = threading.Lock()

    def ask(self, prompt: Prompt) -> Reply:
        """Ask once; with a temperature of `None` as the model's own settings have it, with 0 the likeliest words.

        Raises:
            InputError: If request and reply together may be longer than the model has positions for.
        """
        tokens = self._encode(prompt)
        device = self._model.device
        length = tokens["input_ids"].shape[1]
        positions = getattr(self._model.config, "max_position_embeddings", None)
        if positions and length + prompt.max_tokens > positions:
            raise InputError(
                f"language model {self.name!r} has {positions} positions, and a request of {length} tokens with a "
                f"reply of {prompt.max_tokens} takes more: ask with fewer examples or shorter replies, or take another"
            )
        options: dict[str, Any] = {"max_new_tokens": prompt.max_tokens}
        if prompt.temperature is not None:
            options["do_sample"] = prompt.temperature > 0
        if prompt.temperature:
            options["temperature"] = prompt.temperature
        with self._lock, torch.inference_mode(), _drawing(prompt.digest(self.name), device), quiet_transformers():
            ids = self._model.generate(
                **{name: tensor.to(device) for name, tensor in tokens.items()},
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id,
                **options,
            )
        said = ids[0, length:]
        return Reply(str(self._tokenizer.decode(said, skip_special_tokens=True)), length, len(said))

    def count_input(self, prompt: Prompt) -> int:
        """As many as its tokenizer makes."""
        return int(self._encode(prompt)["input_ids"].shape[1])

    def _encode(self, prompt: Prompt) -> dict[str, torch.Tensor]:
        messages = [message._asdict() for message in prompt.messages]
        if self._tokenizer.chat_template is None:
            text = "\n\n".join(message["content"] for message in messages) + "\n\n"
            encoded = self._tokenizer(text, return_tensors="pt")
        else:
            encoded = self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        return {name: encoded[name] for name in ("input_ids", "attention_mask")}


@contextlib.contextmanager
def _drawing(digest: str, device: torch.device) -> Iterator[None]:
    """Random numbers that follow from a digest, and leave those of others as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(digest[:15], 16))
        yield
