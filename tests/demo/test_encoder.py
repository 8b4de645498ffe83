"""The demo encoder: plain transformers load it, it is the same every time, and names fall into pieces."""

import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from lightning_clf.demo.__main__ import main
from lightning_clf.demo.corpus import build_corpus


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder that the command writes."""
    folder = tmp_path_factory.mktemp("demo")
    assert main([str(folder)]) == 0
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_second_run_rewrites_the_same_bytes(demo):
    before = contents(demo)
    # A process of its own has another order of sets and dictionaries of Rust.
    command = [sys.executable, "-m", "lightning_clf.demo", str(demo)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert contents(demo) == before
    assert {"data/train.jsonl", "data/dev.jsonl", "data/test.jsonl", "encoder/model.safetensors"} <= before.keys()
    assert not any(name.endswith((".bin", ".pt", ".pkl", ".partial")) for name in before)
    assert "13,000 sentences" in printed
    assert "parameters" in printed


def test_plain_transformers_load_and_run_it(demo):
    tokenizer = AutoTokenizer.from_pretrained(demo / "encoder")
    model = AutoModelForTokenClassification.from_pretrained(demo / "encoder", num_labels=9)
    assert tokenizer.is_fast
    assert model.config.model_type == "bert"
    assert len(tokenizer) == model.config.vocab_size
    assert tokenizer.model_max_length == model.config.max_position_embeddings
    batch = tokenizer([["Ford", "hired", "Paris", "."]], is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        assert model(**batch).logits.shape == (1, batch["input_ids"].shape[1], 9)


def test_weights_follow_the_seed_and_leave_the_global_generator_alone():
    from lightning_clf.demo.encoder import build_encoder

    sentences = [row.tokens for row in build_corpus(0, 100, 1, 1)["train"]]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = build_encoder(sentences, 1, vocabulary=400)[1].state_dict()
    assert torch.equal(torch.rand(1), expected)
    same, other = (build_encoder(sentences, seed, vocabulary=400)[1].state_dict() for seed in (1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["embeddings.word_embeddings.weight"], other["embeddings.word_embeddings.weight"])


def test_case_counts_names_split_and_common_words_do_not(demo):
    tokenizer = AutoTokenizer.from_pretrained(demo / "encoder")
    assert tokenizer.tokenize("May") != tokenizer.tokenize("may")
    assert all(tokenizer.tokenize(word) == [word] for word in ("the", "and", "in", "was"))
    test = build_corpus()["test"]
    unseen = [row for row in test if row.unseen]
    names = [token for row in unseen for token, tag in zip(row.tokens, row.tags, strict=True) if tag != "O"]
    assert sum(len(tokenizer.tokenize(name)) > 1 for name in names) / len(names) > 0.4
    assert not any(tokenizer.unk_token in tokenizer.tokenize(token) for row in test for token in row.tokens)


def test_unusable_folder_is_an_error_of_the_user(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 2
    assert "error" in capsys.readouterr().err
