"""What an export says of itself: the `README.md` that the hub shows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, get_args

import yaml

from lightning_clf.artefact import Artefact
from lightning_clf.exporting.checking import Comparison
from lightning_clf.exporting.provenance import CONFIG, Provenance
from lightning_clf.labels import Kind
from lightning_clf.token_logits import gives_token_logits

Format = Literal["hf", "onnx", "onnx-int8", "setfit"]
FORMATS: tuple[Format, ...] = get_args(Format)

_TASKS: dict[Kind, str] = {
    "single": "one label for a text",
    "multi": "any number of labels for a text",
    "tags": "a tag for every word",
    "score": "a number for a text",
}
_SHOWN = 40  # labels that are listed


def model_card(artefact: Artefact, format: Format, provenance: Provenance, comparison: Comparison) -> str:
    """The model card of an export, in Markdown.

    Args:
        artefact: The model.
        format: How it was written.
        provenance: What is known of how it was made.
        comparison: What the check of the export came to.
    """
    front = yaml.safe_dump(_front_matter(artefact, format), sort_keys=False, allow_unicode=True)
    blocks = [
        f"---\n{front}---",
        f"# {_task(artefact)}, with {artefact.network.config.model_type}",
        "\n".join(_about(artefact)),
        "## Use",
        *_use(artefact, format),
        *_scores(artefact, provenance),
        "## Check",
        _checked(format, comparison),
        "## Limits",
        "\n".join(_limits(artefact, format)),
    ]
    if provenance.config is not None:
        blocks.append(f"The configuration it was trained with is in `{CONFIG}`, without paths of the machine.")
    return "\n\n".join(blocks) + "\n"


def _is_stock(artefact: Artefact) -> bool:
    return artefact.network.head.is_stock


def _pipeline(artefact: Artefact) -> str:
    return "token-classification" if artefact.labels.kind == "tags" else "text-classification"


def _front_matter(artefact: Artefact, format: Format) -> dict[str, Any]:
    if format == "setfit":
        return {"library_name": "setfit", "pipeline_tag": _pipeline(artefact), "tags": ["lightning-clf", "setfit"]}
    stock = format == "hf" and _is_stock(artefact)
    tags = ["lightning-clf", artefact.network.config.model_type, *(["onnx"] if format != "hf" else [])]
    return {
        "library_name": "transformers" if stock else "lightning-clf",
        "pipeline_tag": _pipeline(artefact),
        "tags": [*tags, *(["int8"] if format == "onnx-int8" else [])],
    }


def _task(artefact: Artefact) -> str:
    task = _TASKS[artefact.labels.kind]
    return (task.replace("a text", "a pair of texts") if "text_pair" in artefact.columns else task).capitalize()


def _about(artefact: Artefact) -> Iterator[str]:
    labels = artefact.labels
    if labels.kind == "score":
        low, high = labels.range or (-math.inf, math.inf)
        yield f"- Answers: numbers from {low:g} to {high:g}"
    else:
        more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
        scheme = f" (scheme {labels.scheme})" if labels.scheme else ""
        yield f"- Labels{scheme}: {', '.join(_code(name) for name in labels.names[:_SHOWN])}{more}"
    if artefact.columns:
        columns = ", ".join(f"{role} from {_code(name)}" for role, name in artefact.columns.items())
        yield f"- Columns of the training data: {columns}"
    if artefact.stride is None:
        yield f"- Window: {artefact.max_length} subwords; what lies beyond is cut off"
    else:
        yield (
            f"- Windows: {artefact.max_length} subwords, of which each repeats {artefact.stride} of the one before; "
            "whoever reads a text in one window alone cuts off what lies beyond"
        )
    if artefact.symmetric:
        yield (
            "- Pairs: read in both orders, and answered by the mean of both scores; whoever reads one order alone gets "
            "an answer that depends on it"
        )
    yield f"- Head: {_code(type(artefact.network.head).__name__)}"


def _use(artefact: Artefact, format: Format) -> Iterator[str]:
    if format == "setfit":
        yield "With the package setfit. Its head is a pickle, and loading it runs what is in it:"
        yield _python(
            "from setfit import SetFitModel",
            "",
            'model = SetFitModel.from_pretrained("FOLDER")',
            'print(model.predict_proba(["A text."]))',
        )
        return
    row: str = '"A text."'
    if artefact.columns.get("text_pair"):
        row = repr({artefact.columns.get("text", "text"): "A text.", artefact.columns["text_pair"]: "Another."})
    yield "With lightning-clf, which applies all that was decided after training too:"
    yield _python(
        "from lightning_clf import load_classifier",
        "",
        'classifier = load_classifier("FOLDER")',
        f"print(classifier.predict([{row}]))",
    )
    if format != "hf":
        words = " of each subword; a word's are those of its first" if artefact.labels.kind == "tags" else ""
        yield f"With onnxruntime, `model.onnx` takes what the tokenizer makes and gives `logits`{words}."
    elif _is_stock(artefact):
        yield "With stock transformers:"
        text = '{"text": "A text.", "text_pair": "Another."}' if artefact.columns.get("text_pair") else '"A text."'
        options = ', aggregation_strategy="first"' if artefact.labels.kind == "tags" else ""
        yield _python(
            "from transformers import pipeline",
            "",
            f'classify = pipeline("{_pipeline(artefact)}", model="FOLDER"{options})',
            f"print(classify({text}))",
        )
    else:
        yield from _use_own_head(artefact)


def _use_own_head(artefact: Artefact) -> Iterator[str]:
    """How `transformers` load an export whose head is ours, as far as they can."""
    head = artefact.network.head
    if head.gives_logits and gives_token_logits(head):
        yield "With transformers, once this library is imported:"
        task = "TokenClassification" if artefact.labels.kind == "tags" else "SequenceClassification"
        yield _python(
            "import lightning_clf",
            f"from transformers import AutoModelFor{task}",
            "",
            f'model = AutoModelFor{task}.from_pretrained("FOLDER")',
        )
    yield "Without it stock transformers load the encoder alone, from the folder `encoder`, with `AutoModel`."


def _scores(artefact: Artefact, provenance: Provenance) -> Iterator[str]:
    if provenance.metrics:
        yield "## Scores on the test split"
        rows = [f"| {name.partition('/')[2]} | {value:.4f} |" for name, value in sorted(provenance.metrics.items())]
        yield "\n".join(["| metric | value |", "|---|---:|", *rows])
    if artefact.decision.chosen_by:
        yield "## Chosen on held-out rows"
        head = ["| part | target | metric | before | after | rows |", "|---|---|---|---:|---:|---:|"]
        yield "\n".join(
            head
            + [
                f"| {one.part} | {one.target} | {one.metric} | {one.before:.4f} | {one.after:.4f} | {one.rows} |"
                for one in artefact.decision.chosen_by
            ]
        )


def _checked(format: Format, comparison: Comparison) -> str:
    said = (
        f"On {comparison.rows} rows this export ({format}) differs from the model it was made of by at most "
        f"{comparison.difference:.1g} in a probability; {comparison.agreement:.2%} of its answers are the same."
    )
    if comparison.metric is None or comparison.source.score is None or comparison.export.score is None:
        return said
    return f"{said} {comparison.metric}: {comparison.source.score:.4f} before, {comparison.export.score:.4f} after."


def _limits(artefact: Artefact, format: Format) -> Iterator[str]:
    yield "- It knows the labels above and no other, and answers whatever it is given, texts of other kinds too."
    yield "- Scores are of the rows they were measured on; on texts of another source they are lower as a rule."
    if artefact.decision.scaling is None and artefact.labels.kind != "score":
        yield "- Its probabilities were not calibrated."
    if artefact.decision.cascade is not None:
        yield (
            "- A cascade is in it: the address of a language model and the prompt it is told travel with the folder, "
            "and can be read by whoever is given it. Nobody is asked because they stand there."
        )
    if format == "onnx-int8":
        yield "- Activations are rounded over a whole batch: an answer depends a little on which texts share its batch."


def _code(text: str) -> str:
    """A name as code, whatever it holds."""
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{' '.join(text.split())}{ticks}"


def _python(*lines: str) -> str:
    return "\n".join(["```python", *lines, "```"])
