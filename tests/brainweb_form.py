"""A server that plays BrainWeb's download form, with all that can go wrong."""

from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlparse

import numpy as np

SHAPE = (3, 4, 5)
LABELS = (np.arange(60) % 10).reshape(SHAPE).astype(np.uint8)
PAGE = b"<html><body>no such file</body></html>"


class BrainWebForm(BaseHTTPRequestHandler):
    """Hands out answers in order, the last one for ever.

    An answer is a body, a status, or a function that gets the handler.
    """

    answers: ClassVar[list[Any]] = []
    queries: ClassVar[list[dict[str, str]]] = []
    headers_seen: ClassVar[list[Any]] = []

    def do_GET(self):
        query = parse_qs(urlparse(self.path).query, keep_blank_values=True)
        self.queries.append({key: value[0] for key, value in query.items()})
        self.headers_seen.append(self.headers)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(self)
        if isinstance(answer, int):
            self.send_error(answer)
        elif answer is not None:
            self.send_body(answer)

    def send_body(self, body: bytes, *, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def answer(*answers):
    BrainWebForm.answers[:] = answers
