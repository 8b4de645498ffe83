"""What the server is asked and what it answers, as OpenAPI says it."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from lightning_clf.inference import Classifier, Predictor, TaskClassifiers
from lightning_clf.inference.inputs import Inputs
from lightning_clf.labels import LabelSpace
from lightning_clf.serving.limits import Limits
from lightning_clf.serving.rows import columns, fields, tasks_of

Schema = dict[str, Any]
_TEXT: Schema = {"type": "string"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_PROBLEMS = {
    "400": "The body is not UTF-8 or not JSON.",
    "408": "The body did not come in time.",
    "413": "The body has too many bytes.",
    "415": "The body is not announced as application/json.",
    "422": "The JSON is not what the model reads: a wrong shape, type or column, or too many texts or words.",
    "500": "The model failed. The log says how.",
    "503": "The queue is full, and Retry-After says when to try again; or the server is ending.",
}


def describe(classifier: Predictor, limits: Limits) -> dict[str, Any]:
    """The OpenAPI document of a server of this model."""
    tasks = tasks_of(classifier)
    row, example = _any_row(classifier) if isinstance(classifier, TaskClassifiers) else _row(tasks[""].inputs)
    each = {name: _answer(one) for name, one in tasks.items()}
    answer = _object({}, each) if isinstance(classifier, TaskClassifiers) else each[""]
    request = {
        "oneOf": [
            _object({"inputs": {"type": "array", "items": row, "minItems": 1, "maxItems": limits.max_texts}}),
            _object({"input": row}),
        ]
    }
    answers = _object({"outputs": {"type": "array", "items": answer}})
    problem = _object({"error": _TEXT})
    predict = {
        "summary": "Classify texts",
        "description": "One answer an input, in their order.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": request, "example": {"inputs": [example]}}},
        },
        "responses": {
            "200": _response("The answers.", answers),
            **{status: _response(said, problem) for status, said in _PROBLEMS.items()},
        },
    }
    state = _object({"status": _TEXT})
    health = {
        "summary": "Whether requests are taken",
        "responses": {
            "200": _response("They are.", state),
            "503": _response("The server is ending, or the thread that computes has failed.", state),
        },
    }
    text = {"description": "Counts.", "content": {"text/plain": {"schema": _TEXT}}}
    metrics = {"summary": "Counts, in the text format of Prometheus", "responses": {"200": text}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "lightning-clf", "version": version("lightning-clf")},
        "paths": {"/predict": {"post": predict}, "/health": {"get": health}, "/metrics": {"get": metrics}},
    }


def _row(inputs: Inputs) -> tuple[Schema, Any]:
    """What a row may be, and one."""
    names = columns(inputs)
    if inputs.tags:
        words = {"type": "array", "items": _TEXT}
        return {"oneOf": [_TEXT, words, _object({names[0]: words})]}, "Anna moved to Paris."
    texts = _object(dict.fromkeys(names, _TEXT))
    if inputs.pair:
        return texts, dict(zip(names, ("A man plays a guitar.", "Somebody makes music."), strict=True))
    return {"oneOf": [_TEXT, texts]}, "a great film"


def _any_row(classifier: TaskClassifiers) -> tuple[Schema, Any]:
    """What a row of several tasks may be, and one."""
    words: Schema = {"type": "array", "items": _TEXT}
    tasks, said = classifier.inputs.tasks.values(), fields(classifier)
    texts = {column for one in tasks for column in (one.text, one.pair) if column}
    tokens = {one.tokens for one in tasks if one.tags}
    properties: dict[str, Schema] = {**dict.fromkeys(said, _TEXT), **dict.fromkeys(sorted(texts), _TEXT)}
    row = {**_object({}, {**properties, **dict.fromkeys(sorted(tokens), words)}), "minProperties": 1}
    example = dict(zip(said, ("Anna plays a guitar in Paris.", "Somebody makes music."), strict=False))
    return {"oneOf": [_TEXT, *([words] if tokens else []), row]}, example


def _answer(classifier: Classifier) -> Schema:
    schema = _own_answer(classifier.labels)
    if classifier.asks:
        who = {"type": "string", "enum": ["classifier", "language_model"]}
        schema["properties"] |= {"answered_by": who, "language_model_error": _TEXT}
        schema["required"].append("answered_by")
    return schema


def _own_answer(labels: LabelSpace) -> Schema:
    name: Schema = {"type": "string", "enum": list(labels.names)}
    named = {"type": "object", "additionalProperties": _SHARE}
    if labels.kind == "single":
        more: dict[str, Schema] = {"abstained": {"type": "boolean"}, "label_set": {"type": "array", "items": name}}
        probability = {"oneOf": [_SHARE, {"type": "null"}]}
        return _object({"label": name, "probability": probability, "probabilities": named}, more)
    if labels.kind == "multi":
        return _object({"labels": {"type": "array", "items": name}, "probabilities": named})
    if labels.kind == "score":
        low, high = labels.range or (None, None)
        return _object({"score": {"type": "number", "minimum": low, "maximum": high}})
    chances = {"type": "array", "items": {"oneOf": [_SHARE, {"type": "null"}]}}
    required = {"tokens": {"type": "array", "items": _TEXT}, "tags": {"type": "array", "items": name}}
    number = {"type": "integer", "minimum": 0}
    entity = _object(
        {"type": {"type": "string", "enum": list(labels.entity_types)}, "start": number, "end": number, "text": _TEXT},
        {"char_start": number, "char_end": number},
    )
    spans: dict[str, Schema] = {} if labels.scheme == "none" else {"entities": {"type": "array", "items": entity}}
    return _object({**required, **spans}, {"probabilities": chances})


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _response(said: str, schema: Schema) -> dict[str, Any]:
    return {"description": said, "content": {"application/json": {"schema": schema}}}
