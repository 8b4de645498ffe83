"""A tokenizer built in code, and helpers that write little corpora."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from lightning_clf.errors import InputError

WORDS = ["a", "b", "c", "d", "e", "f", "g", "h", "good", "bad", "film", "Anna", "Berg", "Paris", "Acme", "in", "visits"]


def make_tokenizer(extra: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """A tokenizer that knows some words, and splits others into letters."""
    letters = [prefix + chr(code) for code in range(ord("a"), ord("z") + 1) for prefix in ("", "##")]
    tokens = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *extra, *letters])
    tokenizer = Tokenizer(models.WordPiece({token: index for index, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


@pytest.fixture(autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for every test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LIGHTNING_CLF_CACHE", str(folder))
    return folder


def jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def write(folder: Path, **files: str | Iterable[Mapping[str, Any]]) -> Path:
    """Write files named by `name__suffix`; rows become JSON lines."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else jsonl(content)
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8", newline="")
    return folder


def complaint(function: Callable[[], Any]) -> str:
    """The one line an input error says."""
    with pytest.raises(InputError) as caught:
        function()
    message = str(caught.value)
    assert "\n" not in message
    return message


def texts(count: int, labels: Iterable[Any] = ("bad", "good"), text: str = "a film") -> list[dict[str, Any]]:
    """Rows that take turns through the labels."""
    labels = list(labels)
    return [{"text": f"{text} {index}", "label": labels[index % len(labels)]} for index in range(count)]
