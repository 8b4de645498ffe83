"""Pages for people: one to try texts with, one that says how to ask. Neither needs anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from importlib.resources import files
from typing import Any

from lightning_clf.inference import Classifier, Predictor
from lightning_clf.serving.rows import fields, tasks_of

Page = tuple[str, dict[str, str]]


def try_page(classifier: Predictor, name: str) -> Page:
    """The page to try texts with.

    Args:
        classifier: What answers.
        name: What the model is called.

    Returns:
        The page, and the headers it is to be sent with.
    """
    tasks = tasks_of(classifier)
    found = {
        task: {"kind": one.labels.kind, "types": list(one.labels.entity_types), "range": one.labels.range}
        for task, one in tasks.items()
    }
    model = {"columns": fields(classifier), **found.get("", {"tasks": found})}
    summary = "; ".join(f"{task}: {_summary(one)}" if task else _summary(one) for task, one in tasks.items())
    return _page("try.html", name, "try.js", {"model": _in_script(model), "summary": html.escape(summary)})


def docs_page(description: dict[str, Any], name: str) -> Page:
    """The page that says how to ask.

    Args:
        description: What `describe` made.
        name: What the model is called.

    Returns:
        The page, and the headers it is to be sent with.
    """
    parts = [
        _operation(method, path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return _page("docs.html", name, None, {"operations": "\n".join(parts)})


def _page(template: str, name: str, script: str | None, parts: dict[str, str]) -> Page:
    style, code = _asset("style.css"), _asset(script) if script else ""
    values = {"style": style, "script": code, "name": html.escape(name), **parts}
    # in one pass, so that nothing that is put in is taken for a place to put something
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _asset(template))
    rules = [
        "default-src 'none'",
        f"style-src {_digest(style)}",
        f"script-src {_digest(code)}" if code else "script-src 'none'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return page, {"Content-Security-Policy": "; ".join(rules), "X-Content-Type-Options": "nosniff"}


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _in_script(value: Any) -> str:
    """JSON that ends no script element, whatever a label is called."""
    return json.dumps(value).replace("<", "\\u003c")


def _summary(classifier: Classifier) -> str:
    labels = classifier.labels
    if labels.kind == "score":
        low, high = labels.range or (0.0, 0.0)
        return f"a score from {low:g} to {high:g}"
    what = {"single": "one of", "multi": "any of", "tags": "finds" if labels.entity_types else "tags words with"}
    return f"{what[labels.kind]} {labels.shown}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    said = "".join(
        f"<tr><th>{html.escape(status)}</th><td>{html.escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<section><h2><code>{method.upper()} {html.escape(path)}</code></h2>\n"
        f"<p>{html.escape(operation['summary'])}. {html.escape(operation.get('description', ''))}</p>\n"
        f"{_bodies(operation)}<table>{said}</table></section>"
    )


def _bodies(operation: dict[str, Any]) -> str:
    if "requestBody" not in operation:
        return ""
    body = operation["requestBody"]["content"]["application/json"]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
    parts = {"For example": body["example"], "What is sent": body["schema"], "What is answered": answer}
    return "".join(
        f"<details{' open' if index == 0 else ''}><summary>{title}</summary>"
        f"<pre>{html.escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre></details>\n"
        for index, (title, value) in enumerate(parts.items())
    )
