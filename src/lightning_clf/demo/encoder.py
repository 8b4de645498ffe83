"""Makes the demo encoder: a small BERT with random weights, and a WordPiece tokenizer trained on the demo's sentences.

It needs no download. The vocabulary is kept small so that names nobody has seen fall into pieces, as they do in the
vocabularies of real encoders.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from string import ascii_letters, digits
from tempfile import TemporaryDirectory

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertModel, BertTokenizer

from lightning_clf.network import quiet_transformers

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_POSITIONS = 256


def train_vocabulary(sentences: Iterable[list[str]], size: int) -> dict[str, int]:
    """Trains a cased WordPiece vocabulary.

    Args:
        sentences: The words of each sentence.
        size: Number of entries, special tokens included.

    Returns:
        Each entry with its number. The same sentences give the same numbers.
    """
    texts = [" ".join(words) for words in sentences]
    letters = sorted(
        {letter for text in texts for letter in text if not letter.isspace()} | set(ascii_letters + digits)
    )
    # The trainer meets words in an order that changes from run to run and numbers the letters inside words as it meets
    # them, and these numbers decide between equally frequent pairs. Naming the letters beforehand fixes them.
    first = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.train_from_iterator(texts, WordPieceTrainer(vocab_size=size, special_tokens=first, show_progress=False))
    return dict(sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]))


def build_encoder(
    sentences: Iterable[list[str]],
    seed: int = 0,
    *,
    vocabulary: int = 1_400,
    layers: int = 3,
    hidden: int = 128,
    spread: float = 0.05,
) -> tuple[BertTokenizer, BertModel]:
    """Makes a tokenizer and an untrained encoder for it.

    Args:
        sentences: The words of each training sentence.
        seed: Seed of the weights.
        vocabulary: Entries of the vocabulary.
        layers: Transformer layers.
        hidden: Width of a hidden state; a multiple of 32.
        spread: Standard deviation of the weights. BERT's 0.02 suits its width of 768; a narrow encoder needs more.

    Returns:
        The tokenizer and the encoder.
    """
    vocab = train_vocabulary(sentences, vocabulary)
    tokenizer = BertTokenizer(vocab=vocab, do_lower_case=False, strip_accents=False, model_max_length=_POSITIONS)
    config = BertConfig(
        vocab_size=len(vocab),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 32,
        intermediate_size=hidden * 4,
        max_position_embeddings=_POSITIONS,
        initializer_range=spread,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
    return tokenizer, model


def write_encoder(tokenizer: BertTokenizer, model: BertModel, folder: str | Path) -> None:
    """Saves both so that the `Auto` classes of transformers load them.

    Args:
        tokenizer: The tokenizer.
        model: The encoder.
        folder: Where to write; made if missing.

    Raises:
        OSError: If the folder cannot be written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target, prefix=".partial-") as partial:
        tokenizer.save_pretrained(partial)
        with quiet_transformers():
            model.save_pretrained(partial)
        for file in sorted(Path(partial).iterdir()):
            shutil.move(file, target / file.name)
