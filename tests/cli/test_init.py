"""`init`: the task of a file is told by its columns, and the configuration that is written runs as it is."""

from __future__ import annotations

import csv
import json
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lightning_clf.cli import main
from tests.cli.conftest import says

WORDS = st.sampled_from(
    ["the", "film", "was", "a", "great", "joy", "dull", "Anna", "Paris", "sleeps", "in", "quiet", "garden", "happy"]
)
LABELS = st.lists(st.from_regex(r"[a-z]{2,6}", fullmatch=True), min_size=2, max_size=4, unique=True)
KINDS = {
    "single": ("SingleLabelClassifier", ("jsonl", "csv", "tsv", "parquet")),
    "pair": ("SingleLabelClassifier", ("jsonl", "csv", "tsv", "parquet")),
    "multi": ("MultiLabelClassifier", ("jsonl", "parquet", "csv")),
    "flags": ("MultiLabelClassifier", ("jsonl", "csv", "tsv", "parquet")),
    "score": ("SimilarityRegressor", ("jsonl", "csv", "tsv", "parquet")),
    "spans": ("TokenClassifier", ("jsonl", "parquet", "conll")),
    "words": ("TokenClassifier", ("jsonl", "parquet", "conll")),
}
_number = count()


@st.composite
def data_sets(draw):
    """A kind, a format, and rows of the kind with columns under usual names; every label occurs."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    suffix = draw(st.sampled_from(KINDS[kind][1]))
    rows = draw(st.integers(12, 20))
    texts = [" ".join(draw(st.lists(WORDS, min_size=3, max_size=6))) + f" {row}" for row in range(rows)]
    names = draw(LABELS)
    text, label = draw(st.sampled_from(["text", "Review", "what they said"])), draw(st.sampled_from(["label", "Topic"]))
    if kind in ("spans", "words"):
        tags = ["B-PER", "I-PER", "O", "B-LOC"] if kind == "spans" else names
        tagged = [[tags[place % len(tags)] for place in range(len(sentence.split()))] for sentence in texts]
        return kind, suffix, [{"tokens": t.split(), "tags": tag} for t, tag in zip(texts, tagged, strict=True)]
    columns = {text: texts}
    if kind == "pair":
        first, second = draw(st.sampled_from([("text", "text_pair"), ("sentence1", "sentence2"), ("q_a", "q_b")]))
        columns = {first: texts, second: texts[::-1]}
    if kind in ("single", "pair"):
        columns[label] = [names[row % len(names)] for row in range(rows)]
    if kind == "multi":
        chosen = [[name for place, name in enumerate(names) if row >> place & 1] for row in range(rows)]
        columns["labels"] = ["|".join(some) for some in chosen] if suffix == "csv" else chosen
    if kind == "flags":
        columns |= {name: [row >> place & 1 for row in range(rows)] for place, name in enumerate(names)}
    if kind == "score":
        columns[draw(st.sampled_from(["score", "Similarity"]))] = [row / 4 for row in range(rows)]
    order = draw(st.permutations(sorted(columns)))
    return kind, suffix, [{name: columns[name][row] for name in order} for row in range(rows)]


def write(path: Path, rows: list[dict]) -> Path:
    """Rows in the format of the path's suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".conll":
        sentences = ("\n".join(map(" ".join, zip(row["tokens"], row["tags"], strict=True))) for row in rows)
        path.write_text("\n\n".join(sentences) + "\n")
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="," if path.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    return path


def check(kind: str, config: Path) -> dict:
    """Hold a configuration against the kind of the data."""
    written = yaml.safe_load(config.read_text())
    assert written["model"]["class_path"] == KINDS[kind][0]
    keys = written["data"]["init_args"]
    assert ("text_pair_column" in keys) == (kind == "pair")
    assert ("label_columns" in keys) == (kind == "flags")
    assert (keys.get("scheme"), keys.get("kind")) == (
        {"spans": "IOB2", "words": "none"}.get(kind),
        "score" if kind == "score" else None,
    )
    return written


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data_sets())
def test_the_kind_is_told_in_every_format(tmp_path, data_set):
    kind, suffix, rows = data_set
    folder = tmp_path / str(next(_number))
    source = write(folder / f"mine.{suffix}", rows)
    assert main(["init", str(source), "--output", str(folder / "config.yaml")]) == 0
    check(kind, folder / "config.yaml")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_is_written_runs(kind, encoders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = [f"the film was great {row}" for row in range(12)]
    columns = {
        "single": {"label": ["a", "b", "c"] * 4},
        "pair": {"text_pair": texts[::-1], "label": ["a", "b", "c"] * 4},
        "multi": {"labels": ["a|b", "", "b"] * 4},
        "flags": {"joy": [0, 1] * 6, "fear of it": [1, 1, 0] * 4},
        "score": {"score": [row / 2 for row in range(12)]},
    }
    rows = [
        {"text": text, **{name: values[row] for name, values in columns.get(kind, {}).items()}}
        for row, text in enumerate(texts)
    ]
    if kind in ("spans", "words"):
        tags = ["B-X", "I-X", "O", "O", "B-Y"] if kind == "spans" else ["DET", "NOUN", "VERB", "ADJ", "NUM"]
        rows = [{"tokens": text.split(), "tags": tags} for text in texts]
    source = write(tmp_path / ("mine.conll" if kind in ("spans", "words") else "mine.csv"), rows)
    assert main(["init", source.name]) == 0
    config = check(kind, tmp_path / "config.yaml")
    assert config["data"]["init_args"]["source"] == {"train": source.name}
    words = [f"--model.encoder={encoders('bert')}", "--data.max_length=32", "--trainer.max_steps=1"]
    words += ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"]
    assert main(["fit", "--config", "config.yaml", *words]) == 0
    assert (tmp_path / "runs" / "mine" / "best" / "config.json").is_file()


def test_a_folder_of_splits_is_taken_as_it_is(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"text number {n}", "label": ("good", "bad")[n % 2]} for n in range(6)]
    for split in ("train", "dev", "test"):
        write(tmp_path / "reviews" / f"{split}.tsv", rows)
    code, out, err = command("init", "reviews", "--output", "new/mine.yaml")
    assert (code, err) == (0, "")
    assert out == (
        "new/mine.yaml: one label a text, since 'label' has 2 values in 6 rows (good, bad), 'text' holds the texts\n"
        "next: lightning-clf doctor --config new/mine.yaml, then lightning-clf fit --config new/mine.yaml\n"
    )
    text = (tmp_path / "new" / "mine.yaml").read_text()
    assert "    source: reviews\n" in text
    assert "    # labels: bad, good\n" in text
    assert "held out" not in text
    assert "default_root_dir: runs/reviews  # a second run goes to runs/reviews-2" in text


@pytest.mark.parametrize("name", ["mine.csv", "my: data #1.csv", "back\\1slash.csv", "two\nlines\x85\u2028.csv"])
@pytest.mark.parametrize("label", ["good", "good\ntrainer: {max_epochs: 0}\n#", "good\u2028model: {}", "g\x7f 😀"])
def test_no_name_and_no_label_writes_keys_of_its_own(command, tmp_path, monkeypatch, name, label):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / name, [{"text": f"text number {n}", "label": (label, "bad")[n % 2]} for n in range(200)])
    plain = write(tmp_path / "plain.csv", [{"text": f"text number {n}", "label": "ab"[n % 2]} for n in range(200)])
    code, out, err = command("init", name)
    assert (code, len(out.splitlines()), err) == (0, 2, "")
    assert command("init", plain.name, "--output", "plain.yaml")[::2] == (0, "")
    found, expected = (yaml.safe_load((tmp_path / file).read_text()) for file in ("config.yaml", "plain.yaml"))
    assert found["data"]["init_args"].pop("source") == {"train": name}
    assert expected["data"]["init_args"].pop("source") == {"train": "plain.csv"}
    assert found["trainer"].pop("default_root_dir") == f"runs/{Path(name).stem}"
    assert expected["trainer"].pop("default_root_dir") == "runs/plain"
    assert found == expected


def test_labels_are_counted_as_a_fit_reads_them(command, tmp_path):
    rows = [{"text": f"a film {n}", "label": ("ham", "ham ", "spam")[n % 3]} for n in range(12)]
    code, out, _ = command("init", write(tmp_path / "mine.jsonl", rows), "--output", tmp_path / "config.yaml")
    assert code == 0
    says(out, "'label' has 2 values in 12 rows (ham, spam)")


def test_scores_are_read_to_the_last(command, tmp_path):
    rows = [{"text": f"a film {n}", "score": n / 10_000} for n in range(10_999)] + [{"text": "a film", "score": 40.5}]
    config = tmp_path / "config.yaml"
    code, out, _ = command("init", write(tmp_path / "mine.csv", rows), "--output", config)
    assert code == 0
    says(out, "scores from 0 to 40.5 were met")
    assert yaml.safe_load(config.read_text())["data"]["init_args"]["score_range"] == [0.0, 100.0]


@pytest.mark.parametrize(
    ("rows", "doubt"),
    [
        ([{"text": f"a film {n}", "stars": 1 + n % 5} for n in range(20)], "no column is called label"),
        ([{"text": f"a film {n}", "label": 1 + n % 5} for n in range(20)], "5 whole numbers are taken for classes"),
        (
            [{"text": f"a film {n}", "title": f"no title {n}", "label": n % 2} for n in range(20)],
            "text in 'title' is not",
        ),
        ([{"text": f"a film {n}", "score": n / 4} for n in range(20)], "scores from 0 to 4.75 were met"),
        (
            [{"text": f"a film {n}", "label": "ab"[n % 2], "x": n % 2, "y": n // 2 % 2} for n in range(20)],
            "2 columns hold 0 and 1, but 'label' was taken",
        ),
        (
            [{"text": f"a film {n}", "x": n % 2, "y": n // 2 % 2, "z": ("0", "NaN")[n % 5 == 0]} for n in range(20)],
            "not read, as 0 or 1 is missing in 'z' (4 cells)",
        ),
        (
            [{"text": f"a film {n}", "label": ("NaN", "1", "2", "3")[n % 4]} for n in range(20)],
            "3 whole numbers are taken for classes",
        ),
        (
            [{"text": f"a film {n}", "label": "ab"[n % 2], "score": n / 4} for n in range(20)],
            "'score' could be learned instead, or beside",
        ),
        (
            [{"tokens": ["a", "b"], "tags": ["O", "B-X"], "intent": "xy"[n % 2]} for n in range(20)],
            "'intent' could be learned instead, or beside",
        ),
    ],
)
def test_what_is_doubtful_is_said_and_written(command, tmp_path, rows, doubt):
    config = tmp_path / "config.yaml"
    code, out, _ = command("init", write(tmp_path / "mine.jsonl", rows), "--output", config)
    assert code == 0
    says(out, "doubtful: ", doubt, "set data.")
    says(config.read_text(), "# Doubtful: ", doubt)


def test_a_score_that_is_none_is_not_taken_for_a_class(command, tmp_path):
    rows = [{"text": f"a film {n}", "score": "NaN" if n == 7 else n / 10} for n in range(20)]
    code, _, err = command("init", write(tmp_path / "mine.csv", rows), "--output", tmp_path / "config.yaml")
    assert code == 2
    says(err, "score 'NaN' (", "mine.csv line 9) is not a finite number", "correct it or remove the row")


def test_a_label_that_stands_for_none_is_doubtful(command, tmp_path):
    config = tmp_path / "config.yaml"
    rows = [{"text": f"a film {n}", "label": ("good", "bad", "NaN")[n % 3]} for n in range(20)]
    code, out, _ = command("init", write(tmp_path / "mine.csv", rows), "--output", config)
    assert code == 0
    says(out, "doubtful: 'NaN' is what programs write into an empty cell: take such rows out, or keep the label")
    says(config.read_text(), "# Doubtful: 'NaN'")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("mine.txt", "a\n", ("mine.txt has no suffix of a format that is read", "rename it")),
        ("mine.xlsx", "PK", ("mine.xlsx is a spreadsheet", "save its sheet as CSV in UTF-8")),
        ("mine.csv", ",text,label\n0,a b,x\n", ("mine.csv line 1", "column 1 has no name", "index=False")),
        ("mine.csv", "", ("mine.csv is empty",)),
        ("mine.csv", "a,b\n1,2\n3,4\n", ("mine.csv: no column looks like a label", "a (text, 2 different in 2 rows)")),
        ("mine.csv", "id,label\n1,a\n2,b\n3,a\n", ("mine.csv: no column holds text", "give text and label")),
        ("mine.csv", "text,label\nx y,a\nz,b\nw,c\n", ("column 'label' looks like the label, but", "another value")),
        ("mine.csv", "text,label\nx,a\ny,a\nz,a\n", ("at least two labels",)),
        ("mine.csv", "text,label\nx,a\ny\n", ("mine.csv line 3 has 1 fields",)),
        ("mine.conll", "Anna\nsleeps\n", ("mine.conll has one column only",)),
        ("mine.conll", "Anna B-PER\nsleeps VERB\n", ("mixed schemes",)),
        ("mine.jsonl", '{"text": "x", "label": "a"}\n{"text": "y", "label": "b"}\n', ("another value in every row",)),
    ],
)
def test_hopeless_data_are_refused_with_what_was_found(complaint, tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    config = tmp_path / "config.yaml"
    says(complaint("init", tmp_path / name, "--output", config), *said)
    assert not config.exists()


def test_the_files_of_conll_2003_are_told_their_configuration(complaint, tmp_path):
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (tmp_path / name).write_text("Anna NNP I-NP I-PER\n")
    message = complaint("init", tmp_path, "--output", tmp_path / "config.yaml")
    says(message, "holds CoNLL-2003 in its own files", f"lightning-clf fit --config ner.yaml --data.source {tmp_path}")


def test_nothing_is_written_over(complaint, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("mine")
    says(complaint("init", tmp_path, "--output", config), f"{config} exists and is not written over", "--output")
    assert config.read_text() == "mine"


def test_what_is_not_there_is_told(complaint, tmp_path):
    says(complaint("init", tmp_path / "no.csv", "--output", tmp_path / "x"), "no.csv does not exist", "give a file of")
    says(complaint("init", "--nonsense"), "see lightning-clf init --help")
    (tmp_path / "empty").mkdir()
    says(complaint("init", tmp_path / "empty", "--output", tmp_path / "x"), "holds no split (no file)")
