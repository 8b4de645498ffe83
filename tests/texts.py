"""Words and sentences as hostile as a file may hold them, for property tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

AWKWARD = [
    "",
    " ",
    "\n\t",
    "\x00",
    "\x7f",
    "\ufe0f",  # a variation selector: WordPiece drops it
    "\u200d",
    "\u00ad",
    "\ufffd",
    "\U0010ffff",
    "e\u0301",
    "👩‍👩‍👧",
    "☎️",
    "مرحبا",
    "中文",
    "##a",
    "Ġa",
    "▁a",
    "[SEP]",
    "</s>",
    "'s",
    "(12)",
    "Donaudampfschifffahrtsgesellschaft",
]
words = st.one_of(
    st.sampled_from(AWKWARD), st.text(max_size=6), st.text("abcdefghijklmnopqrstuvwxyzABC", min_size=1, max_size=10)
)
sentences = st.lists(st.lists(words, max_size=12), min_size=1, max_size=4)

# the same examples in every run; tokenizers are shared by all examples
repeatable = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
