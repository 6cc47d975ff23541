"""A way to the store off site that has bad days: an HTTP proxy on this machine, between remedy and the lab's S3.

Decides what goes wrong with which request. Leaves to others: the store itself (`remedy.lab.offsite`), which answers
everything that is let through.
"""

from __future__ import annotations

import http.client
import http.server
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from urllib.parse import urlsplit

from remedy.lab import offsite

_DENIED = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
_BROKEN = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We encountered an error</Message></Error>'


class _Proxy(http.server.BaseHTTPRequestHandler):
    """Passes a request on, unless the day is a bad one."""

    protocol_version = "HTTP/1.1"
    #: "": all is well. "no-list", "no-read": 403. "half": the connection ends half-way through the first object, and
    #: from then on it is 500. "hiccup": 500 for the first two answers. "slow": an object comes in ten pieces.
    day: ClassVar[str] = ""
    hiccups: ClassVar[int] = 0
    broken: ClassVar[bool] = False

    def do_GET(self) -> None:
        """Any question."""
        self._pass("GET")

    def do_HEAD(self) -> None:
        """Any question without its answer's body."""
        self._pass("HEAD")

    def _pass(self, method: str) -> None:
        listing = urlsplit(self.path).path.count("/") < len(("bucket", "key"))
        if (self.day, listing) in {("no-list", True), ("no-read", False)}:
            self._answer(403, _DENIED)
        elif not listing and ((self.day == "hiccup" and _Proxy.hiccups > 0) or (self.day == "half" and _Proxy.broken)):
            _Proxy.hiccups -= 1
            self._answer(500, _BROKEN)
        else:
            self._through(method, listing=listing)

    def _through(self, method: str, *, listing: bool) -> None:
        store = urlsplit(offsite.ENDPOINT)
        connection = http.client.HTTPConnection(store.hostname or "", store.port, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.request(method, self.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length", "server", "date"}:
                self.send_header(name, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(body)))
        self.end_headers()
        if self.day == "half" and self.path.partition("?")[0].endswith(".zst"):
            self.wfile.write(body[: len(body) // 2])
            _Proxy.broken = True
            self.close_connection = True
        elif self.day == "slow" and not listing:
            step = len(body) // 10 + 1
            for begin in range(0, len(body), step):
                self.wfile.write(body[begin : begin + step])
                self.wfile.flush()
                time.sleep(0.03)
        else:
            self.wfile.write(body)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
        """Nothing is logged."""


def bad_day(day: str) -> None:
    """From now on the way is like this."""
    _Proxy.day = day
    _Proxy.hiccups = 2
    _Proxy.broken = False


@contextmanager
def proxy() -> Iterator[str]:
    """Serve on loopback; the endpoint to put into an inventory."""
    bad_day("")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
