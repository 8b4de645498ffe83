"""From words and texts to subwords and back: what training, prediction and serving share."""

from lightning_clf.encoding.collate import Collator
from lightning_clf.encoding.encode import encode_texts, encode_words
from lightning_clf.encoding.tokenizer import Tokenizer, load_tokenizer
from lightning_clf.encoding.words import split_words

__all__ = ["Collator", "Tokenizer", "encode_texts", "encode_words", "load_tokenizer", "split_words"]
