"""The web application: paths, statuses, and one line of JSON for whatever goes wrong."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lightning_clf.serving.body import read_body
from lightning_clf.serving.openapi import describe
from lightning_clf.serving.pages import docs_page, try_page
from lightning_clf.serving.refusal import CLOSE, RefusedError
from lightning_clf.serving.service import Service

_LOG = logging.getLogger(__name__)
_PATHS = "POST /predict, GET /, /docs, /health, /metrics or /openapi.json"
_ENDING = "the server is ending: send the request to another"
_FAILED = "the model failed on this request, and the server's log says how: send it again, or other texts"


def make_app(service: Service, name: str, *, log_requests: bool = False) -> Starlette:
    """The web application of one classifier.

    Args:
        service: What answers. It is closed when the application ends.
        name: What the pages call the model.
        log_requests: Write a line to standard error for every request to `/predict`.
    """
    description = describe(service.classifier, service.limits)

    async def predict(request: Request) -> Response:
        start = time.perf_counter()
        response = await _answer(request, service)
        seconds = time.perf_counter() - start
        service.counters.request(response.status_code, seconds)
        if log_requests:
            print(f"POST /predict {response.status_code} {1000 * seconds:.1f} ms", file=sys.stderr, flush=True)
        return response

    async def health(request: Request) -> Response:
        if service.is_ready:
            return JSONResponse({"status": "ready"})
        status = "draining" if service.is_draining else "failed"
        return JSONResponse({"status": status}, HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(request: Request) -> Response:
        text = service.counters.exposition(service.queue.depth)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def openapi(request: Request) -> Response:
        return JSONResponse(description)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.close()

    app = Starlette(
        routes=[
            Route("/predict", predict, methods=["POST"]),
            Route("/health", health),
            Route("/metrics", metrics),
            Route("/openapi.json", openapi),
            Route("/", _static(*try_page(service.classifier, name))),
            Route("/docs", _static(*docs_page(description, name))),
        ],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a client that is sent elsewhere often sends no body there
    return app


async def _answer(request: Request, service: Service) -> Response:
    try:
        with service.queue.place() as place:
            body = await read_body(request, service.limits.max_body_bytes, service.limits.read_timeout)
            outputs = await service.predict(body, place)
        # no answer is NaN, but for a model whose weights are
        content = json.dumps({"outputs": outputs}, ensure_ascii=False, allow_nan=False)
    except RefusedError as error:
        return _error(error.status, error.message, error.headers)
    except asyncio.CancelledError:  # the time there is to end in is over
        service.is_cut_short = True
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, _ENDING, CLOSE)
    except Exception:  # of a model anything may come, and other requests are to be answered
        if not service.is_ready:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, _ENDING, CLOSE)
        _LOG.exception("a request failed")
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, _FAILED)
    return Response(content, media_type="application/json")


def _error(status: int, message: str, headers: Any = None) -> Response:
    return JSONResponse({"error": message}, status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        return _error(error.status_code, f"{request.method} is not for this path: use {allowed}", error.headers)
    return _error(error.status_code, f"there is no such path: use {_PATHS}", error.headers)


def _static(page: str, headers: dict[str, str]) -> Callable[[Request], Awaitable[Response]]:
    async def show(request: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    return show
