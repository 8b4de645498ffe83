"""Candidates that are ranked within their question: numbered a split, held out a question at a time."""

from __future__ import annotations

import pytest
import torch

from lightning_clf import FewShotDataModule, SingleLabelClassifier
from lightning_clf.metrics.grouped import grouped_ranking
from tests.tiny import CORPUS
from tests.training import complaint, make_data, make_trainer

ROWS = [
    {"question": f"who is {place % 5}", "text": CORPUS[place % 8], "id": place % 5, "label": ["no", "yes"][place % 2]}
    for place in range(30)
]


def make(rows=ROWS, **options):
    return make_data("single", rows, **{"text_pair_column": "question", "group_column": "question", **options})


@pytest.mark.parametrize("column", ["question", "id"])
def test_rows_of_one_question_have_one_number(column, encoders, tmp_path):
    data = make(group_column=column)
    assert data.input_columns == {"text": "text", "text_pair": "question", "group": column}
    make_trainer(tmp_path, max_steps=1).fit(SingleLabelClassifier(str(encoders("bert"))), data)
    seen = {}
    for batch in data.val_dataloader():
        for row, group in zip(batch.example_ids.tolist(), batch.groups.tolist(), strict=True):
            assert seen.setdefault(ROWS[row][column], group) == group
    assert sorted(seen.values()) == [0, 1, 2, 3, 4]


def test_questions_are_held_out_whole(encoders, tmp_path):
    data = make_data(
        "single", source={"train": ROWS}, group_column="question", text_pair_column="question", val_fraction=0.4
    )
    trainer = make_trainer(tmp_path)
    module = SingleLabelClassifier(str(encoders("bert")))
    trainer.fit(module, data)
    module.eval()
    sides = [{ROWS[row]["question"] for batch in loader for row in batch.example_ids.tolist()}
             for loader in (data.train_dataloader(), data.val_dataloader())]  # fmt: skip
    assert [len(side) for side in sides] == [3, 2]
    assert not sides[0] & sides[1]
    scored = [
        (module.network.predict(batch).probabilities[:, 1], batch.targets == 1, batch.groups)
        for batch in data.val_dataloader()
    ]
    expected = grouped_ranking(*map(torch.cat, zip(*scored, strict=True)))
    found = [trainer.callback_metrics[f"val/{name}"].item() for name in ("map", "mrr")]
    assert found == pytest.approx([value.item() for value in expected], abs=1e-6)


@pytest.mark.parametrize(("labels", "ranking", "other"), [(None, "yes", "no"), (["yes", "no"], "no", "yes")])
def test_a_fit_says_by_which_label_it_ranks(labels, ranking, other, encoders, tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr("lightning_clf.data.sequence.rank_zero_info", lines.append)
    module, data = SingleLabelClassifier(str(encoders("bert"))), make(labels=labels)
    trainer = make_trainer(tmp_path, max_steps=1)
    trainer.fit(module, data)
    trainer.validate(module, data, verbose=False)
    assert lines == [
        f"rows of one 'question' are ranked by the probability of label {ranking!r} (map, mrr): to rank by {other!r}, "
        f"set data.labels to ['{ranking}', '{other}']"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group_column": "asked"}, "has no column 'asked'"),
        ({"rows": [{**row, "label": "abc"[place % 3]} for place, row in enumerate(ROWS)]}, "the second of two labels"),
        ({"rows": [{**row, "question": row["question"], "id": None} for row in ROWS], "group_column": "id"}, "is None"),
    ],
)
def test_what_cannot_be_grouped_is_refused(options, message, encoders, tmp_path):
    data = make(**options)
    assert message in complaint(lambda: make_trainer(tmp_path).fit(SingleLabelClassifier(str(encoders("bert"))), data))


def test_only_one_of_two_labels_ranks():
    assert "data.group_column ranks by one of two labels" in complaint(
        lambda: make_data("multi", group_column="question")
    )


def test_one_question_cannot_be_held_out(encoders, tmp_path):
    rows = [{**row, "question": "who"} for row in ROWS]
    data = make_data("single", source={"train": rows}, group_column="question", text_pair_column="question")
    message = complaint(lambda: make_trainer(tmp_path).fit(SingleLabelClassifier(str(encoders("bert"))), data))
    assert message == "train has one question, of which no other can be held out: give a dev split"


def test_a_few_rows_a_label_are_no_whole_questions():
    options = {"group_column": "question", "text_pair_column": "question"}
    assert "data.shots takes some of them out" in complaint(lambda: FewShotDataModule({"train": ROWS}, **options))
    FewShotDataModule({"train": ROWS}, shots=None, **options)
