"""How commands are told which language model to ask, and how."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lightning_clf.cli.options import Parser, positive
from lightning_clf.errors import InputError, printable

if TYPE_CHECKING:
    from lightning_clf.inference import Predictor
    from lightning_clf.language_models import Endpoint, Journal
    from lightning_clf.language_models.cascaded import Cascaded

_OURS = ("key_variable", "timeout", "tries", "requests_per_minute", "concurrency")
_CONCURRENCY = 4


def add_endpoint(
    parser: Parser | argparse._ArgumentGroup,
    said: str,
    *,
    required: bool = False,
    timeout: float = 60.0,
    tries: int = 3,
) -> None:
    """`--endpoint` and how it is asked.

    Args:
        parser: The parser, or a group of its options.
        said: What the help says of `--endpoint`.
        required: Whether there is nothing to do without.
        timeout: Seconds to wait for a reply where none are given.
        tries: How often a request goes out where it is not said.
    """
    parser.set_defaults(usual_timeout=timeout, usual_tries=tries)
    parser.add_argument("--endpoint", metavar="URL", required=required, help=said)
    parser.add_argument(
        "--key-variable", metavar="NAME", help="the environment variable that holds the endpoint's key (default: none)"
    )
    parser.add_argument("--timeout", type=float, help=f"seconds to wait for a reply (default: {timeout:g})")
    parser.add_argument("--tries", type=positive, help=f"how often a request goes out at most (default: {tries})")
    parser.add_argument("--requests-per-minute", type=float, metavar="N", help="how many go out (default: no limit)")
    parser.add_argument("--concurrency", type=positive, help=f"how many are out at a time (default: {_CONCURRENCY})")


def endpoint_of(options: argparse.Namespace, name: str) -> Endpoint:
    """The language model of this name at the endpoint that options name."""
    from lightning_clf.language_models import Endpoint

    return Endpoint(
        options.endpoint,
        name,
        key_variable=options.key_variable,
        timeout=seconds_to_wait(options),
        tries=options.tries or options.usual_tries,
        requests_per_minute=options.requests_per_minute,
        concurrency=options.concurrency or _CONCURRENCY,
    )


@contextlib.contextmanager
def resumable() -> Iterator[None]:
    """Say how to go on where an endpoint gives no reply, in a command that keeps those it got for `--resume`."""
    from lightning_clf.language_models.endpoint import NoReplyError

    try:
        yield
    except NoReplyError as error:
        raise InputError(f"{error}: run the same command with --resume when it answers") from error


def refuse_without_endpoint(options: argparse.Namespace) -> None:
    """Hold against each other how an endpoint is to be asked, and that there is none.

    Raises:
        InputError: If an option is of an endpoint.
    """
    for key in _OURS:
        if getattr(options, key) is not None:
            option = "--" + key.replace("_", "-")
            raise InputError(f"{option} is of --endpoint: add it, or leave out {option}")


def seconds_to_wait(options: argparse.Namespace) -> float:
    """How long options let a reply take."""
    return float(options.usual_timeout if options.timeout is None else options.timeout)


def followed(options: argparse.Namespace, predictor: Predictor, journal: Journal | None = None) -> Cascaded | None:
    """The classifier with its cascade where options name an endpoint.

    An address that stands in a folder is asked by nobody: whoever made the folder would read what is sent there. So
    where none is named, it is said that there is a cascade that asks, and the classifier answers alone.

    Raises:
        InputError: If an option is of an endpoint and there is none, or the model has no cascade.
    """
    from lightning_clf.inference import Classifier

    policy = predictor.artefact.decision.cascade if isinstance(predictor, Classifier) else None
    if options.endpoint is None:
        refuse_without_endpoint(options)
        if policy is not None and not policy.asks_none:
            said = (
                f"warning: the model has a cascade, which is not followed: up to confidence {policy.threshold:.4g} "
                f"it would ask {policy.language_model} at {policy.endpoint}; give --endpoint URL to have that done"
            )
            print(printable(said), file=sys.stderr)
        return None
    from lightning_clf.language_models.cascaded import Cascaded

    if not isinstance(predictor, Classifier):
        raise InputError("--endpoint is of a cascade, and a model of several tasks has none: give the folder of one")
    return Cascaded(predictor, endpoint_of(options, "" if policy is None else policy.language_model), journal)
