"""A demo that needs no download: a corpus made by a grammar, a small untrained encoder, and a strict score.

`python -m lightning_clf.demo FOLDER` writes the corpus and the encoder. The encoder lives in
`lightning_clf.demo.encoder`, which is imported on its own because it brings torch and transformers.
"""

from __future__ import annotations

from lightning_clf.demo.corpus import Row, build_corpus, write_corpus
from lightning_clf.demo.score import UnseenScore, score_unseen

__all__ = ["Row", "UnseenScore", "build_corpus", "score_unseen", "write_corpus"]
