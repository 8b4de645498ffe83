"""A language model, wherever it runs."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lightning_clf.language_models.cost import Usage
from lightning_clf.language_models.prompt import Prompt, Reply


class LanguageModel(ABC):
    """Something that replies to messages.

    Attributes:
        name: What it is called, by which its replies are told from those of others.
        concurrency: How many requests it takes at a time.
    """

    name: str
    concurrency: int = 1

    @abstractmethod
    def ask(self, prompt: Prompt) -> Reply:
        """Ask once: one reply, whatever is in it, which is paid for.

        A transport that fails is tried again within, since nothing was replied. May be called in several threads at a
        time, as many as `concurrency`.

        Raises:
            InputError: If there is no reply to be had.
        """

    @abstractmethod
    def count_input(self, prompt: Prompt) -> int:
        """About how many tokens a request has, rather too many than too few."""

    def most(self, prompt: Prompt) -> Usage:
        """About what one reply takes at the most."""
        return Usage(1, self.count_input(prompt), prompt.max_tokens)

    def give_up(self) -> None:  # noqa: B027  # only what waits has anything to do
        """Let whatever waits in `ask` end at once, with an `InputError`; nothing is asked after it."""
