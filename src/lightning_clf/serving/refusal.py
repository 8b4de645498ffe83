"""What a client is told that asked for something it cannot get."""

from __future__ import annotations

from collections.abc import Mapping

CLOSE = {"Connection": "close"}
"""Sent where the rest of a request is not read, so that it is not taken for the next one."""


class RefusedError(Exception):
    """A request that is answered with an error.

    Args:
        status: The HTTP status.
        message: One line: what is wrong, where, what to do.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers
