"""What becomes of each text: a row, or a reason why it is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from lightning_clf.language_models.near import NearTexts, count_shingles


class Sieve:
    """Takes each text once: none that is nearly a row of train, one that is held out, or one taken before.

    Args:
        threshold: How similar texts must be to count as one.
        train: The texts of train, and where they are.
        held_out: Those of dev and test.

    Attributes:
        rows: What was taken, in order.
        dropped: What was not, with the reason.
    """

    def __init__(self, threshold: float, train: Iterable[tuple[str, str]], held_out: Iterable[tuple[str, str]]) -> None:
        rows = list(train)
        rarity = count_shingles(text for text, _ in rows)
        # what is judged by is looked at first: of a text that is in both, that is what matters
        self._known = {
            "duplicate of held-out": NearTexts(threshold, held_out, rarity),
            "duplicate of train": NearTexts(threshold, rows, rarity),
            "duplicate of added": (taken := NearTexts(threshold, rarity=rarity)),
        }
        self._taken = taken
        self.rows: list[dict[str, Any]] = []
        self.dropped: list[dict[str, Any]] = []

    def admit(self, text: str, where: str, dropped: dict[str, Any]) -> bool:
        """Whether a text is new; from then on it is not.

        Args:
            text: The text.
            where: What others like it are told to be duplicates of.
            dropped: What is listed beside the reason if it is none.
        """
        if not text.strip():
            self.drop("empty", dropped)
            return False
        for reason, known in self._known.items():
            if (match := known.find(text)) is not None:
                self.drop(reason, {"of": match.where, "similarity": round(match.similarity, 4), **dropped})
                return False
        self._taken.add(text, where)
        return True

    def drop(self, reason: str, dropped: dict[str, Any]) -> None:
        """List what is no row."""
        self.dropped.append({"reason": reason, **dropped})

    def reasons(self) -> dict[str, int]:
        """How often each reason was one, the most frequent first."""
        return dict(Counter(row["reason"] for row in self.dropped).most_common())
