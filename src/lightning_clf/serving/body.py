"""The body of a request: so many bytes in so much time, and strict JSON."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from starlette.requests import ClientDisconnect, Request

from lightning_clf.serving.refusal import CLOSE, RefusedError


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """Read a body as it comes.

    Args:
        request: The request.
        most: Bytes it may have.
        seconds: In which it must have come.

    Raises:
        RefusedError: If it is larger, or slower, or is not announced as JSON.
    """
    _check_type(request)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > most:  # what still comes is thrown away by the server while it may come, so that who
                    break  # listens only after the last byte hears why
                chunks.append(chunk)
    except TimeoutError as error:
        raise RefusedError(
            408, f"the body did not come within {seconds:g} seconds: send it faster, or in parts", CLOSE
        ) from error
    except ClientDisconnect as error:
        raise RefusedError(400, "the connection ended before the body did: send all of it", CLOSE) from error
    if size > most:
        raise RefusedError(413, f"the body has more than {most} bytes: send fewer or shorter texts in a request")
    return b"".join(chunks)


def _check_type(request: Request) -> None:
    """Refuse what is not announced as JSON, which a page of another site could send without asking."""
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        said = request.headers.get("content-type")
        found = "is missing" if said is None else f"is {said!r}"
        raise RefusedError(415, f"the header Content-Type {found}: send application/json")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(415, "the body is compressed (Content-Encoding): send it as it is")


def parse_json(body: bytes) -> Any:
    """Parse what JSON allows, and no more.

    Raises:
        RefusedError: If it is not UTF-8, not JSON, has numbers JSON does not have, a key twice, or is nested too deep.
    """
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError as error:
        raise RefusedError(400, f"the body is not UTF-8 (byte {error.start + 1}): encode it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise RefusedError(
            400,
            f"the body is not JSON ({error.msg} at line {error.lineno} column {error.colno}): send an object such as "
            '{"inputs": ["a text"]}',
        ) from error
    except RecursionError as error:
        raise RefusedError(
            400, 'the body is JSON nested too deep: send an object such as {"inputs": ["a text"]}'
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise RefusedError(400, "the body holds a number too long to read: send texts") from error


def _no_number(name: str) -> Any:
    raise RefusedError(400, f"the body holds {name}, which is not JSON: send texts")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(key for key, _ in pairs)  # in one pass, since a body may hold a hundred thousand keys
        twice = next(key for key, count in counts.items() if count > 1)
        raise RefusedError(400, f"the body has the key {twice[:80]!r} twice in one object: keep one of them")
    return found


_DECODER = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_unique)
