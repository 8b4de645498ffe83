"""A causal model on this machine: one that has learnt its reply, and one of random weights."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from tokenizers import decoders
from transformers import AutoModelForCausalLM

from lightning_clf.errors import InputError
from lightning_clf.language_models import CausalLM, Journal, Message, Prompt
from tests.tiny import ARCHITECTURES

SCHEMA = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}
PROMPT = Prompt((Message("user", "a great joy"),), SCHEMA, max_tokens=24)
REPLY = '{"label": "good"}'


def save(folder, steps):
    """A model that was taught to reply to the prompt, for so many steps."""
    torch.manual_seed(0)
    config, tokenizer = ARCHITECTURES["qwen3"]()
    tokenizer.backend_tokenizer.decoder = decoders.ByteLevel()
    config.eos_token_id, config.attention_dropout = tokenizer.eos_token_id, 0.0
    model = AutoModelForCausalLM.from_config(config)
    ids = tokenizer(f"a great joy\n\n{REPLY}<|end|>", return_tensors="pt")["input_ids"]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder, tokenizer


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    return save(tmp_path_factory.mktemp("taught"), 150)


@pytest.fixture(scope="module")
def untaught(tmp_path_factory):
    return CausalLM(str(save(tmp_path_factory.mktemp("untaught"), 0)[0]))


def test_a_reply_and_its_tokens(taught, tmp_path):
    folder, tokenizer = taught
    model = CausalLM(str(folder))
    reply = model.ask(replace(PROMPT, temperature=0.0))
    asked = tokenizer("a great joy\n\n")["input_ids"]
    assert reply.text == REPLY
    assert reply.tokens_in == model.count_input(PROMPT) == len(asked)
    assert reply.tokens_out == len(tokenizer(f"{REPLY}<|end|>")["input_ids"])
    with Journal(tmp_path / "replies.jsonl", resume=False) as journal:
        assert journal.ask(model, replace(PROMPT, temperature=0.0)).value == {"label": "good"}


def test_what_is_no_json_is_asked_again_a_few_times(untaught, tmp_path):
    with Journal(tmp_path / "replies.jsonl", resume=False) as journal:
        answer = journal.ask(untaught, replace(PROMPT, temperature=1.0))
        assert answer.value is None
        assert journal.spent.calls == 3


def test_draws_follow_from_the_request_alone(untaught):
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    free = replace(PROMPT, temperature=1.0)
    first = untaught.ask(free)
    assert untaught.ask(replace(free, sample=1)).text != first.text
    assert untaught.ask(free) == first
    assert torch.equal(torch.rand(2), expected)


def test_a_chat_template_is_used(taught, tmp_path):
    folder, tokenizer = taught
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    tokenizer.chat_template = None
    assert CausalLM(str(tmp_path)).count_input(PROMPT) == len(tokenizer("user: a great joy\n")["input_ids"])


def test_what_is_no_causal_model(encoders, tmp_path):
    with pytest.raises(InputError, match="lacks weights"):
        CausalLM(str(encoders("bert")))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}))
    (tmp_path / "own.py").write_text("raise SystemExit('ran')")
    with pytest.raises(InputError, match="brings code of its own, which is not run"):
        CausalLM(str(tmp_path))


def test_a_request_that_is_too_long_is_said_in_one_line(untaught):
    positions = untaught._model.config.max_position_embeddings
    fits = positions - untaught.count_input(PROMPT)
    with pytest.raises(InputError, match=f"has {positions} positions, and a request of .* takes more: ask with fewer"):
        untaught.ask(replace(PROMPT, max_tokens=fits + 1))
