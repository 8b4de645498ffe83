"""The pages need nothing from elsewhere, run nothing but their own script, and escape what they show."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re

import pytest

from lightning_clf.serving import make_app
from lightning_clf.serving.pages import docs_page, try_page
from tests.inference.conftest import LABELS
from tests.inference.test_classifier import rows

HOSTILE = "</script><script>alert(1)</script>{{model}}\"'&"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_runs_its_own_script_alone_and_asks_nobody_else(path, asked):
    reply = asked("tags").get(path)
    page, policy = reply.body.decode(), reply.headers["content-security-policy"]
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert policy.startswith("default-src 'none'; ")
    for kind in ("style", "script"):
        for inline in re.findall(rf"<{kind}>(.*?)</{kind}>", page, flags=re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.findall(r"""(?:https?:)?//[a-z]|\bsrc=|@import|url\(""", re.sub(r"// .*", "", page))
    assert "{{" not in page


@pytest.mark.parametrize("name", LABELS)
def test_the_page_knows_its_model(name, asked, classifier):
    page = asked(name).get("/").body.decode()
    model = json.loads(re.search(r'<script type="application/json" id="model">(.*?)</script>', page)[1])
    assert model["kind"] == LABELS[name].kind
    assert model["columns"] == list(rows(name)[0])
    assert "<title>runs/a model</title>" in page


def test_names_are_escaped(asked, classifier):
    ask = asked("single")
    ask.app = make_app(ask.service, HOSTILE)
    for path in ("/", "/docs"):
        page = ask.get(path).body.decode()
        assert HOSTILE not in page
        assert "alert(1)</script>" not in page
        assert html.escape(HOSTILE) in page


def test_labels_are_escaped(classifier, monkeypatch):
    model = classifier("tags")
    names = tuple(name.replace("PER", HOSTILE) for name in model.labels.names)
    monkeypatch.setattr(model.network, "labels", type(model.labels)(names, "tags", "IOB2"))
    page, _ = try_page(model, "a")
    assert page.count("<script>") == 1
    assert page.count("</script>") == 2
    found = json.loads(re.search(r'id="model">(.*?)</script>', page)[1])
    assert HOSTILE in found["types"]


def test_the_script_makes_no_markup_of_strings(asked):
    script = re.search(r"<script>(.*)</script>", asked("tags").get("/").body.decode(), flags=re.DOTALL)[1]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|Function\(", script)
    assert re.findall(r"fetch\(([^,]*),", script) == ['"predict"']


def test_the_guide_names_every_path_and_status(asked):
    ask = asked("pair")
    description = ask.get("/openapi.json").json
    assert description["openapi"] == "3.1.0"
    page, _ = docs_page(description, "a")
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            assert f"<code>{method.upper()} {path}</code>" in page
            for status, answer in operation["responses"].items():
                assert f"<th>{status}</th><td>{html.escape(answer['description'])}" in page


def matches(schema, value) -> bool:
    """Whether a value is what a schema of our few words says."""
    if "oneOf" in schema:
        return any(matches(option, value) for option in schema["oneOf"])
    types = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": int | float,
             "null": type(None)}  # fmt: skip
    if not isinstance(value, types[schema["type"]]) or value not in schema.get("enum", [value]):
        return False
    if schema["type"] == "array":
        sizes = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return sizes and all(matches(schema["items"], item) for item in value)
    if schema["type"] == "object":
        known, more = schema.get("properties", {}), schema["additionalProperties"]
        return set(schema.get("required", ())) <= value.keys() and all(
            matches(known[key], item) if key in known else more and matches(more, item) for key, item in value.items()
        )
    return not isinstance(value, int | float) or (schema.get("minimum", value) <= value <= schema.get("maximum", value))


@pytest.mark.parametrize("name", LABELS)
def test_answers_and_examples_are_such_as_is_said(name, asked):
    ask = asked(name)
    predict = ask.get("/openapi.json").json["paths"]["/predict"]["post"]
    request = predict["requestBody"]["content"]["application/json"]
    answers = predict["responses"]["200"]["content"]["application/json"]["schema"]
    for body in (request["example"], {"inputs": rows(name)}, {"input": rows(name)[0]}):
        assert matches(request["schema"], body)
        reply = ask(body)
        assert (reply.status, matches(answers, reply.json)) == (200, True)
    assert not matches(request["schema"], {"inputs": []})
    assert not matches(answers, {"outputs": [{"label": "odd"}]})
