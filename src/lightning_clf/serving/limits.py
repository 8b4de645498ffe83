"""How much a server takes, and how it batches."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_clf.errors import InputError, check_number

# a CPU computes subwords no faster in larger batches, in which more is padding; anything else does
_CPU_TOKENS, _OTHER_TOKENS = 512, 8192


@dataclass(frozen=True)
class Limits:
    """What a server takes from clients.

    Attributes:
        max_batch_tokens: Subwords in a batch, padding included; `None` is 512 on a CPU and 8192
            elsewhere, or the window if that is more.
        max_wait_ms: Milliseconds a text waits for others to share a batch with, at most, while nothing is computed.
        queue: Texts that are taken at a time; a request that is still being read counts as one.
        max_texts: Texts in a request.
        max_body_bytes: Bytes in the body of a request.
        max_words: Words in a text.
        read_timeout: Seconds in which the head of a request must have come, then again its body, and in which what is
            answered must have been taken.
        drain_timeout: Seconds that requests in progress are given when the server ends.
        reply_timeout: Seconds that a request waits for a language model, where one is asked.
    """

    max_batch_tokens: int | None = None
    max_wait_ms: float = 5.0
    queue: int = 1024
    max_texts: int = 64
    max_body_bytes: int = 1_000_000
    max_words: int = 10_000
    read_timeout: float = 10.0
    drain_timeout: float = 30.0
    reply_timeout: float = 10.0

    def __post_init__(self) -> None:
        """Hold the numbers against each other.

        Raises:
            InputError: If one is out of bounds, or a request that is allowed could never be taken.
        """
        for name in ("queue", "max_texts", "max_body_bytes", "max_words"):
            check_number(_option(name), getattr(self, name), least=1, whole=True)
        check_number("--max-wait-ms", self.max_wait_ms, least=0, most=60_000)
        for name in ("read_timeout", "drain_timeout"):
            check_number(_option(name), getattr(self, name), above=0, most=3600)
        check_number("--timeout", self.reply_timeout, above=0, most=3600)
        if self.queue < self.max_texts:
            raise InputError(
                f"--queue {self.queue} has no room for a request of --max-texts {self.max_texts}: raise the first, or "
                "lower the second"
            )

    def batch_tokens(self, window: int, *, on_cpu: bool) -> int:
        """How many subwords a batch holds, for a model of this window.

        Args:
            window: The subwords a text may have.
            on_cpu: Whether a CPU computes.

        Raises:
            InputError: If not even one text of the model's window would fit.
        """
        if self.max_batch_tokens is None:
            return max(_CPU_TOKENS if on_cpu else _OTHER_TOKENS, window)
        if self.max_batch_tokens < window:
            raise InputError(
                f"--max-batch-tokens {self.max_batch_tokens} is less than one text may have, {window} in this model: "
                f"give {window} or more"
            )
        return self.max_batch_tokens


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
