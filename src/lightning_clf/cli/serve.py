"""`lightning-clf serve`."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec

from lightning_clf.cli.asking import add_endpoint, followed, seconds_to_wait
from lightning_clf.cli.interrupts import importing
from lightning_clf.cli.options import Parser, load_for, positive
from lightning_clf.errors import InputError

_NEEDED = ("starlette", "uvicorn")


def run(words: list[str]) -> int:
    """Answer requests over HTTP until SIGTERM or Ctrl-C.

    Returns:
        The exit code: 0, or 1 if a request was given up since the end took too long.

    Raises:
        InputError: If an option or the model is not as it should be, the address is taken, or a package is missing.
    """
    options = _parser().parse_args(words)
    if missing := [package for package in _NEEDED if find_spec(package) is None]:
        raise InputError(
            f"serve needs packages that are not installed ({', '.join(missing)}): pip install 'lightning-clf[serve]'"
        )

    with importing():
        from lightning_clf.serving import Limits, bind, serve

    limits = Limits(
        options.max_batch_tokens,
        options.max_wait_ms,
        options.queue,
        options.max_texts,
        options.max_body_bytes,
        options.max_words,
        options.read_timeout,
        options.drain_timeout,
        seconds_to_wait(options),
    )
    with bind(options.host, options.port) as listener:
        loaded = load_for(options)
        classifier = followed(options, loaded) or loaded
        if serve(classifier, options.model, listener, limits, log_requests=options.log_requests):
            return 0
    print(
        f"error: requests were given up at the end, which took more than --drain-timeout {options.drain_timeout:g} s",
        file=sys.stderr,
    )
    return 1


def _parser() -> Parser:
    parser = Parser(
        "serve",
        "Answer texts over HTTP: POST /predict for programs, a page at / for people. Ends with 0 on "
        "SIGTERM or Ctrl-C, once what was taken is answered.",
    )
    parser.add_model()
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, default=8000, help="the port; 0 takes a free one (default: 8000)")
    parser.add_argument(
        "--max-batch-tokens",
        type=positive,
        help="subwords in a batch, padding included (default: 512 on a CPU, else 8192, or the window if that is more)",
    )
    parser.add_argument(
        "--max-wait-ms",
        type=float,
        default=5.0,
        help="milliseconds to wait for texts to share a batch with (default: 5)",
    )
    parser.add_argument(
        "--queue", type=positive, default=1024, help="texts taken at a time, else it is 503 (default: 1024)"
    )
    parser.add_argument("--max-texts", type=positive, default=64, help="texts in a request (default: 64)")
    parser.add_argument("--max-body-bytes", type=positive, default=1_000_000, help="bytes in one (default: 1000000)")
    parser.add_argument("--max-words", type=positive, default=10_000, help="words in a text (default: 10000)")
    parser.add_argument(
        "--read-timeout", type=float, default=10.0, help="seconds a request may take to come (default: 10)"
    )
    parser.add_argument(
        "--drain-timeout", type=float, default=30.0, help="seconds to finish what was taken, at the end (default: 30)"
    )
    parser.add_device()
    parser.add_precision()
    add_endpoint(
        parser, "follow the model's cascade: send the texts it is unsure of to this address", timeout=10.0, tries=1
    )
    parser.add_argument("--log-requests", action="store_true", help="write a line to standard error for every request")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError(f"{text} is not a port, a whole number from 0 to 65535")
    return int(text)
