"""Tiny encoders with random weights and tokenizers trained on the spot, of every architecture the library supports."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AlbertConfig,
    AlbertTokenizer,
    AutoModel,
    BertConfig,
    BertTokenizer,
    DebertaV2Config,
    DebertaV2Tokenizer,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    MPNetTokenizer,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    RobertaConfig,
    RobertaTokenizer,
    XLMRobertaConfig,
    XLMRobertaTokenizer,
)

CORPUS = [
    "the film was a great joy from start to end",
    "a dull and lifeless story that goes nowhere",
    "Anna Berg moved from Paris to Berlin last May",
    "the Acme Corporation hired Jordan Smith in Oslo",
    "a man is playing a guitar on the stage",
    "nobody is sleeping in the quiet garden",
    "I am so happy and grateful for this news",
    "that makes me angry and a little sad",
]
POSITIONS = 64
_SIZE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": POSITIONS,
}


def _pieces(tokenizer: Tokenizer, size: int) -> list[str]:
    """Pieces of the corpus's words, the same whenever they are asked for, as they are not of the other trainers."""
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size))
    return [piece for piece, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]


def wordpiece() -> dict[str, int]:
    """A WordPiece vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = _pieces(tokenizer, 220)
    return {piece: place for place, piece in enumerate([*special, *pieces, *(f"##{piece}" for piece in pieces)])}


def byte_bpe(special: list[str]) -> Tokenizer:
    """A byte-level BPE tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    return tokenizer


def unigram(special: list[str]) -> list[tuple[str, float]]:
    """A Unigram vocabulary with its scores, by which a word is cut into few pieces."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces = _pieces(tokenizer, 150)
    return [*((name, 0.0) for name in special), *((piece, -3 - place / 100) for place, piece in enumerate(pieces))]


def _bert(config: Callable[..., PretrainedConfig], **options: Any) -> tuple[PretrainedConfig, Any]:
    vocabulary = wordpiece()
    return config(vocab_size=len(vocabulary), pad_token_id=0, **{**_SIZE, **options}), BertTokenizer(vocab=vocabulary)


def _roberta() -> tuple[PretrainedConfig, Any]:
    bpe = json.loads(byte_bpe(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]).to_str())["model"]
    tokenizer = RobertaTokenizer(vocab=bpe["vocab"], merges=[tuple(merge) for merge in bpe["merges"]])
    options = {**_SIZE, "max_position_embeddings": POSITIONS + 2}
    return RobertaConfig(vocab_size=len(tokenizer), pad_token_id=1, type_vocab_size=1, **options), tokenizer


def _xlm_roberta() -> tuple[PretrainedConfig, Any]:
    tokenizer = XLMRobertaTokenizer(vocab=unigram(["<s>", "<unk>", "<pad>", "</s>", "<mask>"]))
    options = {**_SIZE, "max_position_embeddings": POSITIONS + tokenizer.pad_token_id + 1}
    return XLMRobertaConfig(
        vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, type_vocab_size=1, **options
    ), tokenizer


def _albert() -> tuple[PretrainedConfig, Any]:
    tokenizer = AlbertTokenizer(vocab=unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]))
    return AlbertConfig(vocab_size=len(tokenizer), embedding_size=8, pad_token_id=0, **_SIZE), tokenizer


def _deberta() -> tuple[PretrainedConfig, Any]:
    tokenizer = DebertaV2Tokenizer(vocab=unigram(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    return DebertaV2Config(
        vocab_size=len(tokenizer),
        pad_token_id=0,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        position_buckets=8,
        **_SIZE,
    ), tokenizer


def _mpnet() -> tuple[PretrainedConfig, Any]:
    names = {"[PAD]": "<pad>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
    vocabulary = {names.get(token, token): index for token, index in wordpiece().items()}
    tokenizer = MPNetTokenizer(vocab=vocabulary)
    options = {**_SIZE, "max_position_embeddings": POSITIONS + 2}
    return MPNetConfig(vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, **options), tokenizer


def _generic_bpe() -> PreTrainedTokenizerFast:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = byte_bpe(special)
    from tokenizers.processors import TemplateProcessing

    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


def _modernbert() -> tuple[PretrainedConfig, Any]:
    tokenizer = _generic_bpe()
    return ModernBertConfig(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.cls_token_id,
        cls_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        sep_token_id=tokenizer.sep_token_id,
        attention_dropout=0.1,
        embedding_dropout=0.1,
        mlp_dropout=0.1,
        **_SIZE,
    ), tokenizer


def _qwen3() -> tuple[PretrainedConfig, Any]:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_bpe(["<|end|>"]), eos_token="<|end|>")
    return Qwen3Config(
        vocab_size=len(tokenizer), num_key_value_heads=1, head_dim=8, attention_dropout=0.1, **_SIZE
    ), tokenizer


ARCHITECTURES: dict[str, Callable[[], tuple[PretrainedConfig, Any]]] = {
    "bert": lambda: _bert(BertConfig),
    "roberta": _roberta,
    "distilbert": lambda: _bert(DistilBertConfig),
    "electra": lambda: _bert(ElectraConfig, embedding_size=8),
    "deberta-v2": _deberta,
    "albert": _albert,
    "mpnet": _mpnet,
    "xlm-roberta": _xlm_roberta,
    "modernbert": _modernbert,
    "qwen3": _qwen3,
}
ENCODERS = [name for name in ARCHITECTURES if name != "qwen3"]


def save_encoder(architecture: str, folder: Path) -> Path:
    """Write a tiny encoder with its tokenizer, as `save_pretrained` does."""
    torch.manual_seed(0)
    config, tokenizer = ARCHITECTURES[architecture]()
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
