"""A server on loopback that speaks the protocol of chat completions, and replies by a function: no language model."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Respond = Callable[[dict[str, Any]], str]
"""What makes the text of a reply of the body of a request."""


def _handler(respond: Respond) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is the base's
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked, reply = body["messages"][-1]["content"], respond(body)
            used = {"prompt_tokens": len(asked) // 4, "completion_tokens": len(reply) // 4}
            choice = {"message": {"role": "assistant", "content": reply}, "finish_reason": "stop"}
            content = json.dumps({"choices": [choice], "usage": used}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def responder(respond: Respond) -> Iterator[str]:
    """The address of a server that is up until the end.

    Args:
        respond: Makes its replies.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(respond))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
