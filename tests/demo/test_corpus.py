"""The demo corpus and its score: repeatable, well formed, ambiguous, and unseen where it says so."""

import json
import random
from collections import defaultdict

import pytest
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from lightning_clf.demo.__main__ import main
from lightning_clf.demo.corpus import build_corpus, write_corpus
from lightning_clf.demo.names import ENTITY_TYPES
from lightning_clf.demo.score import score_unseen, strict_f1, strict_spans
from lightning_clf.errors import InputError


@pytest.fixture(scope="module")
def splits(tmp_path_factory):
    """The default corpus as it is read back from its files."""
    folder = tmp_path_factory.mktemp("data")
    write_corpus(build_corpus(seed=0), folder)
    return {
        split: [json.loads(line) for line in (folder / f"{split}.jsonl").read_text("utf-8").splitlines()]
        for split in ("train", "dev", "test")
    }


def mentions(row):
    return [(" ".join(row["tokens"][start:end]), kind) for start, end, kind in sorted(strict_spans(row["tags"]))]


def skeleton(row):
    """The sentence with each entity replaced by its type."""
    pairs = zip(row["tokens"], row["tags"], strict=True)
    return " ".join(token if tag == "O" else tag[2:] for token, tag in pairs if not tag.startswith("I-"))


def test_files_are_the_same_every_time_and_differ_by_seed(tmp_path):
    sizes = {"train": 200, "dev": 40, "test": 60}
    for name, seed in (("first", 3), ("second", 3), ("other", 4)):
        write_corpus(build_corpus(seed, **sizes), tmp_path / name)
    names = ["dev.jsonl", "test.jsonl", "train.jsonl"]
    assert sorted(path.name for path in (tmp_path / "first").iterdir()) == names
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
        assert (tmp_path / "first" / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_sizes_and_no_sentence_twice(splits):
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 13_000, "dev": 800, "test": 1200}
    texts = [" ".join(row["tokens"]) for rows in splits.values() for row in rows]
    assert len(texts) == len(set(texts))


def test_tags_are_legal_iob2(splits):
    for rows in splits.values():
        for row in rows:
            assert len(row["tokens"]) == len(row["tags"]) > 0
            assert all(token and not any(letter.isspace() for letter in token) for token in row["tokens"])
            for before, tag in zip(["O", *row["tags"]], row["tags"], strict=False):
                assert tag == "O" or tag[2:] in ENTITY_TYPES
                if tag.startswith("I-"):
                    assert before in (f"B-{tag[2:]}", tag)


def test_every_type_is_frequent_and_some_sentences_have_no_entity(splits):
    counts = defaultdict(int)
    for row in splits["train"]:
        for _, kind in mentions(row):
            counts[kind] += 1
    assert min(counts[kind] for kind in ENTITY_TYPES) > 1000
    assert sum(not mentions(row) for row in splits["test"]) > 10


def test_unseen_rows_are_a_quarter_and_truly_unseen(splits):
    strings = {text for row in splits["train"] for text, _ in mentions(row)}
    patterns = {pattern for row in splits["train"] for pattern in row["patterns"]}
    skeletons = {skeleton(row) for row in splits["train"]}
    expected = [
        bool(mentions(row))
        and not any(text in strings for text, _ in mentions(row))
        and not any(pattern in patterns for pattern in row["patterns"])
        for row in splits["test"]
    ]
    assert [row["unseen"] for row in splits["test"]] == expected
    assert sum(expected) / len(expected) >= 0.25
    unseen = [row for row in splits["test"] if row["unseen"]]
    assert all(row["patterns"] for row in unseen)
    assert not skeletons & {skeleton(row) for row in unseen}
    assert len({pattern for row in unseen for pattern in row["patterns"]}) > 200


def test_same_string_is_several_types(splits):
    for split, least in (("train", 100), ("test", 20)):
        kinds = defaultdict(set)
        for row in splits[split]:
            for text, kind in mentions(row):
                kinds[text].add(kind)
        assert sum(len(found) >= 2 for found in kinds.values()) >= least
        if split == "train":
            assert all(len(kinds[name]) >= 3 for name in ("Jordan", "Paris", "Washington", "Amazon", "Ford"))


def test_words_of_names_also_stand_for_something_else(splits):
    inside, outside = set(), set()
    for row in splits["train"]:
        for token, tag in zip(row["tokens"], row["tags"], strict=True):
            (outside if tag == "O" else inside).add(token)
    assert {"May", "March", "Apple", "Mark", "Will", "Bank"} <= inside
    assert {"May", "March", "Apple", "Mark", "Will", "may", "apple", "bank", "ford"} <= outside


def test_strict_f1_agrees_with_seqeval_on_arbitrary_tags():
    rng = random.Random(0)
    tags = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]
    for _ in range(200):
        lengths = [rng.randint(1, 9) for _ in range(4)]
        gold = [[rng.choice(tags) for _ in range(length)] for length in lengths]
        gold[0][0] = "B-PER"
        predicted = [[tag if rng.random() < 0.6 else rng.choice(tags) for tag in row] for row in gold]
        assert strict_f1(gold, predicted) == pytest.approx(f1_score(gold, predicted, mode="strict", scheme=IOB2))


def test_score_command_reads_both_files(splits, tmp_path, capsys):
    rng = random.Random(1)
    test = splits["test"]
    predicted = [[tag if rng.random() < 0.9 else "O" for tag in row["tags"]] for row in test]
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in test))
    (tmp_path / "out.jsonl").write_text("".join(json.dumps({"tags": tags}) + "\n" for tags in predicted))
    score = score_unseen(tmp_path / "test.jsonl", tmp_path / "out.jsonl")
    unseen = [index for index, row in enumerate(test) if row["unseen"]]
    gold = [row["tags"] for row in test]
    strict = {"mode": "strict", "scheme": IOB2}
    assert score.entity_f1 == pytest.approx(f1_score(gold, predicted, **strict))
    assert score.unseen_entity_f1 == pytest.approx(
        f1_score([gold[index] for index in unseen], [predicted[index] for index in unseen], **strict)
    )
    assert (score.rows, score.unseen_rows) == (len(test), len(unseen))
    assert main(["score", str(tmp_path / "test.jsonl"), str(tmp_path / "out.jsonl")]) == 0
    printed = capsys.readouterr().out
    assert f"{score.entity_f1:.4f}" in printed
    assert f"{score.unseen_entity_f1:.4f}" in printed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"tags": ["O"]}\n', "2 sentences"),
        ('{"tags": ["O"]}\n{"tags": ["O"]}\n', "sentence 1: 2 words"),
        ('{"tags": ["O", "O"]}\n{"labels": []}\n', "line 2"),
        ('{"tags": ["O", "O"]}\nO\n', "line 2: not JSON"),
    ],
)
def test_score_refuses_predictions_that_do_not_fit(tmp_path, capsys, content, message):
    (tmp_path / "test.jsonl").write_text('{"tags": ["O", "O"], "unseen": false}\n{"tags": ["O"], "unseen": true}\n')
    (tmp_path / "out.jsonl").write_text(content)
    with pytest.raises(InputError, match=message):
        score_unseen(tmp_path / "test.jsonl", tmp_path / "out.jsonl")
    assert main(["score", str(tmp_path / "test.jsonl"), str(tmp_path / "out.jsonl")]) == 2
    assert message in capsys.readouterr().err


def test_score_of_a_missing_file_is_an_error_of_the_user(tmp_path, capsys):
    assert main(["score", str(tmp_path / "none.jsonl"), str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl" in capsys.readouterr().err
