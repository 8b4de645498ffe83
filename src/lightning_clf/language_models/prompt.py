"""What a language model is asked, and what comes of it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn


class Message(NamedTuple):
    """One message of a conversation.

    Attributes:
        role: `system`, `user` or `assistant`.
        content: The text.
    """

    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """A request, whole: what differs in any of it is another request.

    Attributes:
        messages: The conversation so far.
        schema: The JSON schema of an object, which the reply is held against.
        max_tokens: How long a reply may be.
        temperature: How freely words are drawn; `None` leaves it to the model.
        sample: Tells apart requests that are the same but for it: the second of them is asked again, not looked up.
        attempt: Which attempt at a reply of the schema this is.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any]
    max_tokens: int = 256
    temperature: float | None = None
    sample: int = 0
    attempt: int = 0

    def digest(self, model: str) -> str:
        """What a paid reply is kept under: the digest of all of this, and of the model's name."""
        content = {"model": model} | dataclasses.asdict(self)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    """What a model replied to one request, and what is charged for it.

    Attributes:
        text: The reply.
        tokens_in: Tokens of the request.
        tokens_out: Tokens of the reply.
        fault: Why it cannot be used whatever its text is; empty if nothing is known against it.
    """

    text: str
    tokens_in: int
    tokens_out: int
    fault: str = ""


@dataclass(frozen=True)
class Answer:
    """What a prompt came to, after as many attempts as it took.

    Attributes:
        value: The object, which is of the schema; `None` if no attempt gave one.
        digest: Of the request that gave it, or of the last one.
        fault: What was wrong with the last attempt; empty if there is a value.
    """

    value: dict[str, Any] | None
    digest: str
    fault: str = ""


def parse(reply: Reply, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The object in a reply.

    What stands around it is passed over: models without constrained decoding like to fence JSON, or to introduce it.

    Raises:
        ValueError: If there is none, or it is not of the schema.
    """
    from jsonschema import Draft202012Validator  # of the extra `llm`

    if reply.fault:
        raise ValueError(reply.fault)
    start, end = reply.text.find("{"), reply.text.rfind("}") + 1
    if start < 0 or end <= start:
        raise ValueError("it holds no JSON object")
    try:
        value: dict[str, Any] = json.loads(reply.text[start:end], parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair could be written nowhere
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error})") from error
    fault = next(Draft202012Validator(schema).iter_errors(value), None)
    if fault is not None:
        where = "".join(f"[{part!r}]" for part in fault.absolute_path)
        raise ValueError(f"it is not of the schema ({where}{': ' if where else ''}{fault.validator} is broken)")
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
