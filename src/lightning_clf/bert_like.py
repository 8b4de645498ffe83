"""Which architectures have BERT's layers, as `transformers` writes them."""

from __future__ import annotations

BERT_LIKE = frozenset({"bert", "camembert", "electra", "roberta", "xlm-roberta"})
"""By `model_type`. Their own heads for texts read the first token; tests hold each against its own code, whole."""
