"""Batches that several tasks share: what each task knows of them is of the inputs that all of them have."""

from __future__ import annotations

import pytest

from lightning_clf import MultiTaskDataModule
from lightning_clf.encoding import load_tokenizer
from tests.several_tasks import JOINT
from tests.training import make_data

WINDOWS = {"max_length": 8, "stride": 2}


def joint(encoder, *, slots, intent):
    """Slots and intents of the same sentences, which have other numbers with each task."""
    data = MultiTaskDataModule(
        {
            "intent": make_data("single", JOINT[::-1], text_column="tokens", label_column="intent", **intent),
            "slots": make_data("tags", JOINT, **slots),
        },
        joint=True,
    )
    tokenizer = load_tokenizer(str(encoder), words=True)
    for own in data.tasks.values():
        own.tokenizer = tokenizer
    data.prepare_data()
    data.setup("fit")
    return data, tokenizer


@pytest.mark.parametrize(
    ("slots", "intent"),
    [
        ({**WINDOWS, "max_windows": 1}, {**WINDOWS, "max_windows": 1}),
        ({**WINDOWS, "max_windows": 1}, WINDOWS),
        (WINDOWS, {**WINDOWS, "max_windows": 1}),
        ({"pad_to_multiple_of": 16}, {}),
        ({}, {"pad_to_multiple_of": 16}),
        ({"max_length": 24}, {"max_length": 16, "pad_to_multiple_of": 15}),
    ],
)
def test_words_of_a_shared_batch_are_where_its_inputs_have_them(slots, intent, encoders):
    data, tokenizer = joint(encoders("bert"), slots=slots, intent=intent)
    shared = 0
    for step in data.train_dataloader():
        for group in step.groups:
            if len(group) < 2:
                continue
            batch = group["slots"]
            assert batch.inputs is group["intent"].inputs
            assert batch.word_ids.shape == batch.inputs["input_ids"].shape
            assert batch.window_to_example.tolist() == group["intent"].window_to_example.tolist()
            shared += len(batch)
            texts = group["intent"].example_ids[batch.window_to_example].tolist()
            for ids, words, text in zip(batch.inputs["input_ids"], batch.word_ids, texts, strict=True):
                for place, word in enumerate(JOINT[::-1][text]["tokens"]):
                    found = ids[words == place].tolist()
                    whole = tokenizer(word, add_special_tokens=False)["input_ids"]
                    assert found == whole[: len(found)] or found == whole[-len(found) :]
    assert shared >= 6


@pytest.mark.parametrize(("length", "said"), [(24, []), (4, ["task intent: max_length=4 cuts texts"])])
def test_what_is_said_of_a_task_names_it_and_a_task_of_which_nothing_is_said_does_not_appear(
    length, said, encoders, caplog
):
    with caplog.at_level("INFO"):
        joint(encoders("bert"), slots={}, intent={"max_length": length})
    assert [message.rpartition(": ")[0] for message in caplog.messages if "task" in message] == said
