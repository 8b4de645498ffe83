"""Loading tokenizers: spaces before pre-split words, and one clear error for everything that can be wrong."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, ByT5Tokenizer, Qwen2Tokenizer, Qwen3Config, T5Config, ViTConfig

from lightning_clf.encoding import Tokenizer, load_tokenizer
from lightning_clf.encoding import tokenizer as module
from lightning_clf.errors import InputError
from tests.texts import repeatable
from tests.tiny import byte_bpe


def make_qwen(folder: Path) -> Path:
    """A Qwen tokenizer with its own class, which puts a prefix space before every piece of a word."""
    bpe = json.loads(byte_bpe(["<|endoftext|>"]).to_str())["model"]
    Qwen2Tokenizer(vocab=bpe["vocab"], merges=[tuple(merge) for merge in bpe["merges"]]).save_pretrained(folder)
    Qwen3Config(vocab_size=400).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def byte_level(
    encoders: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Tokenizer, Tokenizer, Tokenizer]]:
    """By name: for texts, for words, and the latter saved and read by transformers."""
    folders = {name: encoders(name) for name in ("roberta", "modernbert", "qwen3")}
    folders["qwen2-class"] = make_qwen(tmp_path_factory.mktemp("qwen"))
    tokenizers = {}
    for name, folder in folders.items():
        words = load_tokenizer(str(folder), words=True)
        saved = tmp_path_factory.mktemp("saved")
        words.save_pretrained(saved)
        shutil.copy(folder / "config.json", saved)
        tokenizers[name] = (load_tokenizer(str(folder)), words, AutoTokenizer.from_pretrained(saved))
    return tokenizers


@pytest.mark.parametrize("name", ["roberta", "modernbert", "qwen3", "qwen2-class"])
@repeatable
@given(st.one_of(st.text(min_size=1, max_size=8), st.text("ab1(). '", min_size=1)).filter(lambda w: not w[0].isspace()))
def test_a_byte_level_word_is_encoded_like_a_word_after_a_space(
    byte_level: dict[str, tuple[Tokenizer, Tokenizer, Tokenizer]], name: str, word: str
) -> None:
    texts, *for_words = byte_level[name]
    expected = texts.encode(f"x {word}", add_special_tokens=False)[1:]
    for tokenizer in for_words:
        encoded = tokenizer([["x", word]], is_split_into_words=True, add_special_tokens=False)
        own = [token for token, owner in zip(encoded["input_ids"][0], encoded.word_ids(0), strict=True) if owner == 1]
        assert own == expected


def test_special_tokens_and_limits_survive_the_prepended_space(tmp_path: Path) -> None:
    folder = make_qwen(tmp_path)
    plain = AutoTokenizer.from_pretrained(folder, model_max_length=99)
    plain.add_special_tokens({"pad_token": "<pad>", "additional_special_tokens": ["<ctx>"]})
    plain.save_pretrained(folder)
    words = load_tokenizer(str(folder), words=True)
    for name in (
        "pad_token_id",
        "eos_token_id",
        "unk_token_id",
        "model_max_length",
        "model_input_names",
        "all_special_ids",
    ):
        assert getattr(words, name) == getattr(plain, name), name
    assert words.get_vocab() == plain.get_vocab()


@pytest.mark.parametrize("architecture", ["bert", "albert", "deberta-v2", "xlm-roberta", "mpnet"])
def test_tokenizers_that_keep_spaces_are_left_as_they_are(
    encoders: Callable[[str], Path], taggers: Callable[[str], Tokenizer], architecture: str
) -> None:
    texts = load_tokenizer(str(encoders(architecture)))
    assert type(taggers(architecture)) is type(texts)
    assert taggers(architecture)("a film (12)")["input_ids"] == texts("a film (12)")["input_ids"]


def test_a_decoder_without_a_padding_token_pads_with_its_last(encoders: Callable[[str], Path]) -> None:
    assert AutoTokenizer.from_pretrained(encoders("qwen3")).pad_token is None
    assert load_tokenizer(str(encoders("qwen3"))).pad_token == "<|end|>"


def test_a_folder_below_home(encoders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(encoders("bert").parent))
    assert load_tokenizer("~/bert").get_vocab() == load_tokenizer(str(encoders("bert"))).get_vocab()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nowhere/encoder", "encoder folder '/nowhere/encoder' does not exist: correct model.encoder"),
        ("./encoder", "encoder folder './encoder' does not exist"),
        ("~/no-such-encoder", "encoder folder '~/no-such-encoder' does not exist"),
        ("a/b/c", "encoder folder 'a/b/c' does not exist"),
        ("my encoder", "encoder 'my encoder' is neither a folder nor a hub id"),
        (
            "owner/encoder",
            "encoder 'owner/encoder' is neither a folder here nor in the local cache, and the hub cannot",
        ),
        ("", "encoder folder '' holds no config.json"),
    ],
)
def test_a_name_that_leads_nowhere_is_told_quickly(name: str, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(InputError) as caught:
        load_tokenizer(name)
    assert time.perf_counter() - start < 3
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_is_told_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"the hub cannot be reached \(ConnectError\): correct model.encoder, or give"):
        load_tokenizer("owner/encoder")
    assert time.perf_counter() - start < 3


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RepositoryNotFoundError, "is neither a folder nor on the hub"),
        (GatedRepoError, "is gated: accept its terms"),
        (EntryNotFoundError, "holds no config.json"),
    ],
)
def test_what_the_hub_answers(monkeypatch: pytest.MonkeyPatch, error: type[Exception], message: str) -> None:
    def answer(*_: object, **__: object) -> None:
        raise error.__new__(error)

    monkeypatch.setattr(module, "get_hf_file_metadata", answer)
    with pytest.raises(InputError, match=message):
        load_tokenizer("owner/encoder")


def test_a_cached_encoder_asks_no_hub(monkeypatch: pytest.MonkeyPatch, encoders: Callable[[str], Path]) -> None:
    config = str(encoders("bert") / "config.json")
    monkeypatch.setattr(module, "try_to_load_from_cache", lambda name, file: config)
    monkeypatch.setattr(module, "get_hf_file_metadata", None)
    assert module.check_available("owner/encoder") == "owner/encoder"


def test_a_folder_without_a_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no config.json: give the folder save_pretrained wrote"):
        load_tokenizer(str(tmp_path))


@pytest.mark.parametrize("architecture", ["bert", "roberta", "albert", "deberta-v2", "mpnet", "modernbert", "qwen3"])
@pytest.mark.parametrize("words", [False, True])
def test_a_folder_without_a_tokenizer(
    encoders: Callable[[str], Path], tmp_path: Path, architecture: str, words: bool
) -> None:
    shutil.copy(encoders(architecture) / "config.json", tmp_path)
    with pytest.raises(InputError, match=r"has no tokenizer that can be loaded \(.+\): save the tokenizer beside"):
        load_tokenizer(str(tmp_path), words=words)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]", "null"])
def test_a_broken_tokenizer_file(encoders: Callable[[str], Path], tmp_path: Path, content: str) -> None:
    shutil.copy(encoders("bert") / "config.json", tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=r"has no tokenizer that can be loaded") as caught:
        load_tokenizer(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"{", b"[]", b"{}", b"null", b"\xff\xfe{", b'{"model_type": "bert", "hidden_size": "big"}', b'{"model_type": []}'],
)
@pytest.mark.parametrize("words", [False, True])
def test_a_broken_configuration_is_not_blamed_on_the_tokenizer(
    encoders: Callable[[str], Path], tmp_path: Path, content: bytes, words: bool
) -> None:
    folder = shutil.copytree(encoders("bert"), tmp_path / "encoder")
    (folder / "config.json").write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_tokenizer(str(folder), words=words)
    message = str(caught.value)
    assert message.startswith(f"encoder '{folder}' has a config.json that transformers cannot read (")
    assert message.endswith("): save the encoder again with save_pretrained, or choose another")
    assert "\n" not in message


def test_a_setting_of_another_type_is_named(encoders: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(encoders("bert"), tmp_path / "encoder")
    (folder / "config.json").write_text('{"model_type": "bert", "hidden_size": "big"}')
    with pytest.raises(InputError, match="'hidden_size' expected int, got str"):
        load_tokenizer(str(folder))


def test_a_tokenizer_with_code_of_its_own(
    encoders: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it was asked whether to run it"))
    folder = shutil.copytree(encoders("bert"), tmp_path / "encoder")
    ViTConfig().save_pretrained(folder)  # for an architecture that has a tokenizer, that one would be taken
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "T", "auto_map": {"AutoTokenizer": [null, "evil.T"]}}'
    )
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    said = r"has no tokenizer that can be loaded \(it brings code of its own, which is not run\): .*or choose another"
    with pytest.raises(InputError, match=said):
        load_tokenizer(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["bert", "roberta", "albert", "modernbert"])
def test_a_tokenizer_comes_back_from_bytes(encoders: Callable[[str], Path], name: str) -> None:
    tokenizer = load_tokenizer(str(encoders(name)))
    again = module.tokenizer_from_bytes(module.tokenizer_to_bytes(tokenizer))
    assert again("a great film")["input_ids"] == tokenizer("a great film")["input_ids"]


NO_NAMES = ["evil.py", "evil.PY", "evil.pyc", "../vocab.txt", "/vocab.txt", "a/b", "a\\b", "..", "", "a\0b"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_bytes_under_a_name_no_tokenizer_has_are_not_written(
    encoders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    content = torch.zeros(1, dtype=torch.uint8)
    monkeypatch.setattr(Path, "write_bytes", lambda *_: pytest.fail("it was written"))
    with pytest.raises(ValueError, match="which is no file of a tokenizer"):
        module.tokenizer_from_bytes({name: content})


def test_a_slow_tokenizer_serves_texts_and_is_refused_for_words(tmp_path: Path) -> None:
    ByT5Tokenizer().save_pretrained(tmp_path)
    T5Config().save_pretrained(tmp_path)
    assert load_tokenizer(str(tmp_path))("ab")["input_ids"] == [100, 101, 1]
    with pytest.raises(InputError, match=r"is slow-only \(ByT5Tokenizer\), and tagging needs a fast one"):
        load_tokenizer(str(tmp_path), words=True)
