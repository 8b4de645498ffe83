"""Words with tags: columns, schemes, labels, and what is said of the rows that cannot be used."""

from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from lightning_clf.batch import IGNORE
from lightning_clf.data import CoNLL2003DataModule, TokenDataModule

from .conftest import complaint, make_tokenizer, write


def ready(datamodule: TokenDataModule) -> TokenDataModule:
    datamodule.tokenizer = make_tokenizer()
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


def rows(*sentences: str) -> list[dict[str, Any]]:
    """`Anna/B-PER in/O` → a row."""
    pairs = [[word.rsplit("/", 1) for word in sentence.split()] for sentence in sentences]
    return [{"tokens": [word for word, _ in pair], "tags": [tag for _, tag in pair]} for pair in pairs]


def tags(datamodule: TokenDataModule, split: str = "val") -> list[list[str]]:
    return [[datamodule.labels.names[tag] for tag in row["target"]] for row in datamodule._rows_of(split)]


TRAIN = rows("Anna/B-PER Berg/I-PER visits/O Paris/B-LOC", "Acme/B-ORG in/O Paris/B-LOC")


def fault(dev: list[dict[str, Any]], train: list[dict[str, Any]] = TRAIN, **options: Any) -> str:
    return complaint(lambda: ready(TokenDataModule({"train": train, "dev": dev}, **options)))


def test_entity_types_are_sorted_or_as_declared() -> None:
    datamodule = TokenDataModule({"train": TRAIN})
    assert datamodule.labels.entity_types == ("LOC", "ORG", "PER")
    assert (datamodule.labels.kind, datamodule.labels.scheme) == ("tags", "IOB2")
    assert TokenDataModule({"train": TRAIN}, labels=["PER", "ORG", "LOC"]).labels.entity_types == ("PER", "ORG", "LOC")


def test_batch_has_words() -> None:
    datamodule = ready(TokenDataModule({"train": TRAIN, "dev": TRAIN}))
    batch = next(iter(datamodule.val_dataloader()))
    assert batch.word_counts.tolist() == [4, 3]
    names = [[datamodule.labels.names[tag] if tag != IGNORE else "" for tag in row] for row in batch.targets.tolist()]
    assert names == [["B-PER", "I-PER", "O", "B-LOC"], ["B-ORG", "O", "B-LOC", ""]]
    assert datamodule.input_columns == {"tokens": "tokens"}


def test_counts_are_of_words() -> None:
    datamodule = ready(TokenDataModule({"train": TRAIN, "dev": TRAIN}))
    counts = datamodule.class_counts.by_name()
    assert counts == {"O": 2, "B-LOC": 2, "I-LOC": 0, "B-ORG": 1, "I-ORG": 0, "B-PER": 1, "I-PER": 1}
    assert datamodule.num_train == 2


@pytest.mark.parametrize(
    ("scheme", "sentence"),
    [
        ("IOB1", "a/I-PER b/I-PER c/B-PER d/O e/I-LOC"),
        ("IOB2", "a/B-PER b/I-PER c/B-PER d/O e/B-LOC"),
        ("BIOES", "a/B-PER b/E-PER c/S-PER d/O e/S-LOC"),
        ("BIOES", "a/B-PER b/L-PER c/U-PER d/O e/U-LOC"),
    ],
)
@pytest.mark.parametrize("given", [True, False])
def test_every_scheme_becomes_the_models(scheme: Any, sentence: str, given: bool) -> None:
    data = {"train": rows(sentence), "dev": rows(sentence)}
    options = {"scheme": scheme} if given else {}
    assert tags(ready(TokenDataModule(data, **options))) == [["B-PER", "I-PER", "B-PER", "O", "B-LOC"]]
    bioes = TokenDataModule(data, model_scheme="BIOES", **options)
    assert tags(ready(bioes)) == [["B-PER", "E-PER", "S-PER", "O", "S-LOC"]]
    assert bioes.labels.scheme == "BIOES"


def test_iob1_as_the_conll_files_have_it() -> None:
    """A rare B- after O is a slip of the annotators; the span is plain."""
    data = rows(*["Anna/I-PER in/O"] * 200, "Anna/O in/B-LOC Paris/I-LOC")
    datamodule = ready(TokenDataModule({"train": data, "dev": data[-1:]}))
    assert datamodule.row_format.scheme == "IOB1"
    assert tags(datamodule) == [["O", "B-LOC", "I-LOC"]]


def test_tags_that_are_not_spans() -> None:
    data = rows("Anna/NNP visits/VBZ Paris/NNP", "in/IN")
    datamodule = ready(TokenDataModule({"train": data, "dev": data}))
    assert (datamodule.labels.names, datamodule.labels.scheme) == (("IN", "NNP", "VBZ"), "none")
    assert tags(datamodule)[0] == ["NNP", "VBZ", "NNP"]
    numbers = [{"tokens": ["a", "b"], "tags": [3, 11]}]
    assert TokenDataModule({"train": numbers}, scheme="none").labels.names == ("3", "11")


def test_conll_columns(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- -X- O\n\nAnna NNP I-NP I-PER\nvisits VBZ I-VP O\n\n"
    write(tmp_path, train__conll=content, dev__conll=content)
    assert tags(ready(TokenDataModule(tmp_path))) == [["B-PER", "O"]]
    assert tags(ready(TokenDataModule(tmp_path, tags_column=2, scheme="none"))) == [["NNP", "VBZ"]]
    assert TokenDataModule(tmp_path, tokens_column=2, tags_column="4").input_columns == {"tokens": "2", "label": "4"}
    message = complaint(lambda: TokenDataModule(tmp_path, tags_column=5).labels)
    assert "train.conll has no column '5' (columns: tokens, 1, 2, 3, 4): set data.tags_column" in message


def test_conll2003_finds_the_shared_tasks_files(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O O\n\nAnna NNP I-NP I-PER\nvisits VBZ I-VP O\n\n"
    write(tmp_path, eng__train=content, eng__testa=content, eng__testb=content)
    datamodule = ready(CoNLL2003DataModule(tmp_path))
    assert list(datamodule.splits) == ["train", "val", "test"]
    assert datamodule.labels.entity_types == ("PER", "ORG", "LOC", "MISC")
    assert tags(datamodule, "test") == [["B-PER", "O"]]


def test_class_names_of_the_hub() -> None:
    features = Features(tokens=List(Value("string")), ner_tags=List(ClassLabel(names=["O", "B-PER", "I-PER", "B-LOC"])))
    data = Dataset.from_dict({"tokens": [["Anna", "Berg"], ["a"]], "ner_tags": [[1, 2], [0]]}, features=features)
    datamodule = ready(TokenDataModule({"train": data, "dev": data}))
    assert datamodule.labels.entity_types == ("PER", "LOC")
    assert tags(datamodule) == [["B-PER", "I-PER"], ["O"]]


def test_words_beyond_the_window_are_counted() -> None:
    data = {"train": TRAIN, "dev": TRAIN}
    assert ready(TokenDataModule(data, max_length=5)).truncated_counts == {"train": 1, "val": 1}
    assert ready(TokenDataModule(data)).truncated_counts == {"train": 0, "val": 0}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tags": ["O"]}, "dev[0] has no column 'tokens' (columns: tags): correct the row, or set data.tokens_column"),
        ({"tokens": ["a"]}, "dev[0] has no column 'tags' (columns: tokens): correct the row, or set data.tags_column"),
        ({"tokens": ["a", "b"], "tags": ["O"]}, "dev[0] has 2 words and 1 tags: give every word one tag"),
        ({"tokens": [], "tags": []}, "dev[0] has no words: remove the row"),
        ({"tokens": "a b", "tags": ["O", "O"]}, "column 'tokens' of dev[0] is a str, not a list"),
        ({"tokens": ["a", None], "tags": ["O", "O"]}, "word 2 of dev[0] is empty (null), not text"),
        ({"tokens": ["a"], "tags": [""]}, "dev[0] has the tag '': give every word a tag"),
        ({"tokens": ["a"], "tags": [None]}, "dev[0] has the tag None: give every word a tag"),
        (
            {"tokens": ["a", "b\ud800"], "tags": ["O", "O"]},
            "word 2 of dev[0] holds half a surrogate pair (character 2)",
        ),
        ({"tokens": ["a"], "tags": [b"O"]}, "tag b'O' of dev[0] is a bytes, not text"),
        (
            {"tokens": ["a"], "tags": ["B-\ud800"]},
            "tag 'B-\\ud800' of dev[0] holds half a surrogate pair (character 3)",
        ),
        ({"tokens": ["a"], "tags": [3]}, "dev[0] has tag 3, a number without a name: give tags as names"),
        ({"tokens": ["a"], "tags": ["I-PER"]}, "dev[0], word index 0: tag 'I-PER' cannot begin a sequence in IOB2"),
        ({"tokens": ["a"], "tags": ["PER"]}, "dev[0], word index 0: tag 'PER' is not one of scheme IOB2"),
        ({"tokens": ["a"], "tags": ["B-DATE"]}, "label 'DATE' (dev[0]) is not in train nor data.labels"),
    ],
)
def test_faults(row: dict[str, Any], message: str) -> None:
    assert message in fault([row])


def test_faults_of_the_whole(tmp_path: Path) -> None:
    mixed = fault(TRAIN, rows("a/B-PER b/O", "a/I-PER b/O"))
    assert "mixed schemes: " in mixed
    assert "not IOB2 (train[1], word index 0: tag 'I-PER' cannot begin a sequence in IOB2)" in mixed
    both = fault(TRAIN, rows("a/B-PER b/O", "a/NNP"))
    assert (
        "mixed schemes: 'B-PER' (train[0], word index 0) is the tag of a span, 'NNP' (train[1], word index 0)" in both
    )
    assert "needs at least two labels, but only 'O' was found" in fault(TRAIN, rows("a/O b/O"))
    assert "tag 'o' (train[0], word index 0) is one of a scheme but for" in fault(TRAIN, rows("a/o b/o"))
    assert "all words of train have the label 'O'" in fault(TRAIN, rows("a/O b/O"), labels=["PER", "LOC", "ORG"])
    write(tmp_path, train__conll="a\nb\n")
    assert "train.conll has one column only" in complaint(lambda: TokenDataModule(tmp_path).labels)
    write(tmp_path, train__conll="a O\nb I-PER\n\nc B-PER\n")
    assert "train.conll line 4, word index 0: tag 'B-PER' cannot" in complaint(lambda: TokenDataModule(tmp_path).labels)


@pytest.mark.parametrize(
    ("labels", "tag"),
    [
        (["B-PER"], "B-PER"),
        (["O", "B-PER", "I-PER"], "O"),
        (["PER", "LOC", "O"], "O"),
        (["PER", "B-LOC", "ORG"], "B-LOC"),
        (["PER", "LOC", "S-LOC"], "S-LOC"),
        (["E-PER", "S-PER"], "E-PER"),
    ],
)
def test_tags_among_the_declared_entity_types_are_refused(labels: list[str], tag: str) -> None:
    for options in ({}, {"scheme": "IOB2"}):
        message = complaint(lambda options=options: TokenDataModule({"train": TRAIN}, labels=labels, **options).labels)
        assert message == (
            f"data.labels has the tag {tag!r}: list the entity types alone, such as PER, or leave it out to take those "
            "of train"
        )


def test_entity_types_may_begin_like_tags() -> None:
    data = {"train": rows("x@y.z/B-E-MAIL Anna/B-PER")}
    assert TokenDataModule(data, labels=["PER", "E-MAIL"]).labels.entity_types == ("PER", "E-MAIL")
    assert "'PER' (train[0]) is not" in fault(TRAIN, labels=["E-MAIL", "LOC", "ORG"])
    assert TokenDataModule(data, labels=["O", "B-PER"], scheme="none").labels.names == ("O", "B-PER")


def test_a_row_at_fault_is_told_by_its_line_while_the_scheme_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text('tokens,tags\n"Anna works .","B-PER O O"\n')
    message = complaint(lambda: TokenDataModule(tmp_path).labels)
    assert "column 'tokens' of " in message
    assert "train.csv line 2 is a str, not a list: give one entry a word" in message
