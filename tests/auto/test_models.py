"""Exports with heads of ours through the Auto classes of `transformers`, and what those make of them without us."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

from lightning_clf import InputError, load_classifier
from lightning_clf.artefact import load_artefact
from lightning_clf.auto.models import LightningClfForSequenceClassification
from lightning_clf.decision import Decision, Scaling
from lightning_clf.heads import CRFHead, LabelAttentionHead, LinearHead, MLPHead, OrdinalHead, SpanHead
from tests.training import LABELS, ROWS, complaint, make_module


@pytest.fixture
def export(encoders, tmp_path):
    """The export folder of a head on a tiny encoder, answered with a temperature where there are probabilities."""

    def make(kind, head, encoder="bert"):
        torch.manual_seed(0)
        module = make_module(kind, encoders(encoder), head=head, labels=LABELS[kind].to_dict())
        module.columns = {"text_pair": "text_pair"} if kind == "score" else {}
        module.build()
        if kind != "score":
            module.network.set_decision(Decision(Scaling(temperature=0.25)))
        module.artefact.save(tmp_path / "best")
        return tmp_path / "best"

    return make


TEXTS = [("single", MLPHead("mean")), ("multi", LabelAttentionHead()), ("single", LinearHead())]


@pytest.mark.parametrize(("kind", "head"), TEXTS, ids=lambda value: getattr(value, "component_name", str(value)))
@pytest.mark.parametrize("encoder", ["bert", "roberta", "modernbert"])
def test_a_pipeline_gives_the_probabilities_of_predict(kind, head, encoder, export):
    folder = str(export(kind, head, encoder))
    texts = [row["text"] for row in ROWS[kind]]
    pipe = pipeline("text-classification", model=folder, tokenizer=folder, top_k=None)
    for stock, ours in zip(pipe(texts), load_classifier(folder).predict(texts), strict=True):
        found = {item["label"]: item["score"] for item in stock}
        assert found == pytest.approx(ours["probabilities"], abs=1e-6)


def test_scores_of_pairs(export):
    folder = export("score", MLPHead())
    pairs = [(row["text"], row["text_pair"]) for row in ROWS["score"]]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    inputs = AutoTokenizer.from_pretrained(folder)(*zip(*pairs, strict=True), padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs).logits
    assert logits.shape == (len(pairs), 1)
    classifier = load_classifier(folder)
    read = [classifier.inputs.read(row, "") for row in ROWS["score"]]
    with torch.inference_mode():
        expected = classifier.network(classifier.collate(classifier.inputs.encode(read)))
    torch.testing.assert_close(logits[:, 0], expected, atol=1e-6, rtol=0)


def test_tags_are_those_of_first_subwords(export):
    folder = export("tags", MLPHead())
    model, tokenizer = AutoModelForTokenClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    classifier = load_classifier(folder)
    for row in ROWS["tags"]:
        inputs = tokenizer(row["tokens"], is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            probabilities = model(**inputs).logits[0].softmax(-1)
        (answer,) = classifier.predict([{"tokens": row["tokens"]}])
        places = [inputs.word_ids().index(word) for word in range(len(row["tokens"]))]
        chosen = probabilities[places]
        assert chosen.max(1).values.tolist() == pytest.approx(answer["probabilities"], abs=1e-6)
        assert [model.config.id2label[int(place)] for place in chosen.argmax(1)] == answer["tags"]


REFUSED = {
    "CRF": ("tags", CRFHead(), "CRFHead decodes its scores in a way of its own"),
    "span": ("tags", SpanHead(), "SpanHead decodes its scores in a way of its own"),
    "ordinal": ("single", OrdinalHead(), "OrdinalHead decodes its scores in a way of its own"),
    "pooled words": ("tags", LinearHead("mean"), "LinearHead pools a word's subwords by mean"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_logits_cannot_carry_is_refused(name, export):
    kind, head, message = REFUSED[name]
    folder = export(kind, head)
    auto = AutoModelForTokenClassification if kind == "tags" else AutoModelForSequenceClassification
    with pytest.raises(InputError, match=rf"^{message}.*: use lightning_clf.load_classifier$"):
        auto.from_pretrained(folder)
    assert load_classifier(folder).predict([ROWS[kind][0]])


def test_precision_is_as_asked_for_and_writing_gives_the_same_export(export, tmp_path):
    folder = export("single", MLPHead())
    assert next(AutoModelForSequenceClassification.from_pretrained(folder).parameters()).dtype == torch.float32
    for options in ({"dtype": torch.bfloat16}, {"dtype": "bfloat16"}, {"torch_dtype": torch.bfloat16}):
        halves = AutoModelForSequenceClassification.from_pretrained(folder, **options)
        assert {weight.dtype for weight in halves.parameters()} == {torch.bfloat16}
    same = AutoModelForSequenceClassification.from_pretrained(folder, dtype="auto", device_map={"": "cpu"})
    assert {weight.dtype for weight in same.parameters()} == {torch.float32}
    AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(tmp_path / "again")
    texts = [row["text"] for row in ROWS["single"]]
    assert load_classifier(tmp_path / "again").predict(texts) == load_classifier(folder).predict(texts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "bflot16"}, "dtype 'bflot16' is no type of PyTorch: give one such as bfloat16"),
        ({"device_map": "auto"}, "device_map 'auto' is no one device: give one such as cpu or cuda:0"),
        ({"device_map": {"": "cpu", "head": "meta"}}, "device_map {'': 'cpu', 'head': 'meta'} is no one device: "),
    ],
)
def test_options_that_cannot_be_followed_are_refused(options, message, export):
    folder = export("single", MLPHead())
    said = complaint(lambda: LightningClfForSequenceClassification.from_pretrained(folder, **options))
    assert said.startswith(message)


def test_an_answer_may_be_a_tuple_and_has_no_loss(export):
    folder = export("single", MLPHead())
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    inputs = AutoTokenizer.from_pretrained(folder)(["a joy"], return_tensors="pt")
    with torch.inference_mode():
        (logits,) = model(**inputs, return_dict=False)
        assert logits.equal(model(**inputs).logits)
    said = complaint(lambda: model(**inputs, labels=torch.tensor([0])))
    assert said == "an export answers and is not trained on: leave labels out, or train by lightning-clf fit"


def test_thresholds_are_in_the_configuration(export):
    folder = export("multi", MLPHead())
    artefact = load_artefact(folder)
    artefact.network.set_decision(Decision(thresholds={"fear": 0.25, "joy": 0.75}))
    artefact.save(folder)
    assert AutoConfig.from_pretrained(folder).thresholds == {"fear": 0.25, "joy": 0.75}


def test_as_an_encoder_it_is_named_by_its_folder(export):
    folder = export("single", MLPHead())
    message = complaint(lambda: make_module("single", folder, labels=LABELS["single"].to_dict()).build())
    assert message.endswith(f"whose head is not the architecture's: give its encoder alone, {folder}/encoder")
    make_module("single", folder / "encoder", labels=LABELS["single"].to_dict()).build()


WITHOUT = """
import importlib.abc, json, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "lightning_clf":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer
folder = sys.argv[1]
try:
    AutoModelForSequenceClassification.from_pretrained(folder)
    said = "nothing"
except Exception as error:
    said = str(error)
tokens = AutoTokenizer.from_pretrained(folder)("a great joy", return_tensors="pt")
same = AutoTokenizer.from_pretrained(folder + "/encoder")("a great joy")["input_ids"] == tokens["input_ids"][0].tolist()
shape = AutoModel.from_pretrained(folder + "/encoder")(**tokens).last_hidden_state.shape
print(json.dumps([said, same, len(shape)]))
"""


def run(code: str, *words: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True).stdout


def test_without_this_library_it_is_refused_rather_than_made_up(export):
    said, same, dimensions = json.loads(run(WITHOUT, str(export("single", MLPHead()))))
    assert "model type `lightning-clf`" in said
    assert same
    assert dimensions == 3


ORDERS = {
    "we first": "import lightning_clf\nfrom transformers import AutoModelForSequenceClassification as Auto",
    "they first": "from transformers import AutoModelForSequenceClassification as Auto\nimport lightning_clf",
    "they, in part": "import transformers, lightning_clf\nAuto = transformers.AutoModelForSequenceClassification",
}


@pytest.mark.parametrize("order", ORDERS)
def test_whichever_is_imported_first(order, export):
    code = f"import sys\n{ORDERS[order]}\nprint(type(Auto.from_pretrained(sys.argv[1])).__name__)"
    assert run(code, str(export("single", MLPHead()))) == "LightningClfForSequenceClassification\n"


def test_importing_us_imports_nothing_of_it():
    heavy = "{'torch', 'transformers', 'lightning'}"
    assert run(f"import sys, lightning_clf\nprint({heavy} & set(sys.modules))") == "set()\n"


def test_no_file_of_the_export_is_code(export):
    files = {path.suffix for path in Path(export("tags", MLPHead())).rglob("*") if path.is_file()}
    assert files <= {".json", ".safetensors", ".txt"}
