"""Copies in S3: a real service over HTTP, and a bad line to it."""

from __future__ import annotations

import hashlib
import http.client
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.worlds.s3 import KEY, SECRET, account, client, enforced, service

from remedy.backups.ports import Damaged
from remedy.backups.values import Copy, File
from remedy.core.errors import (
    AnswerUnusable,
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    Refused,
    RemedyError,
    TimedOut,
    UsageError,
)
from remedy.transports.objects import ObjectShelf

from .conftest import free_port, reveal

MIB = 1024 * 1024
#: The smallest part that a service takes, but for the last.
PART = 5 * MIB


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The service of all tests that need no accounts."""
    with service() as started:
        yield started


@dataclass
class Line:
    """The way to the service: what goes wrong on it. Each rule gets method and path, and may answer for the service.

    A rule returns None for "nothing", or a function that gets the handler and the service's answer.
    """

    url: str = ""
    rules: list[Callable[[str, str], Callable[[BaseHTTPRequestHandler, bytes], None] | None]] = field(
        default_factory=list
    )
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    extra: str = ""


@pytest.fixture
def line(url: str) -> Iterator[Line]:
    """A proxy to the service."""
    made = Line()
    host = url.removeprefix("http://")

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_all(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            made.seen.append((self.command, self.path, dict(self.headers)))
            fault = next((found for rule in made.rules if (found := rule(self.command, self.path))), None)
            if fault is not None and getattr(fault, "instead", False):
                fault(self, b"")
                return
            upstream = http.client.HTTPConnection(host, timeout=30)
            upstream.request(self.command, self.path + made.extra, body, {**self.headers, "Connection": "close"})
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            if getattr(fault, "lost", False):
                self.close_connection = True
                return
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                    self.send_header(name, value)
            size = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", size or "0")
            self.end_headers()
            if fault is not None:
                fault(self, content)
            else:
                self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_all  # noqa: N815 -- the library's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def times(count: int, method: str, fault: Callable[[BaseHTTPRequestHandler, bytes], None], path: str = "") -> Any:  # noqa: ANN401
    """A rule: the first `count` requests of a method meet a fault."""
    left = [count]

    def rule(given: str, where: str) -> Callable[[BaseHTTPRequestHandler, bytes], None] | None:
        if given != method or path not in where or left[0] == 0:
            return None
        left[0] -= 1
        return fault

    return rule


def cut_after(size: int) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    """The connection ends in the middle of the body."""

    def fault(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.wfile.write(content[:size])
        handler.close_connection = True

    return fault


def silent_after(size: int, seconds: float) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    """The body stops, the connection stays."""

    def fault(handler: BaseHTTPRequestHandler, content: bytes) -> None:
        handler.wfile.write(content[:size])
        handler.wfile.flush()
        time.sleep(seconds)
        handler.close_connection = True

    return fault


def without_parts(file: File) -> Any:  # noqa: ANN401
    """The whole object, whatever was asked for."""

    def fault(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response_only(200)
        handler.send_header("ETag", f'"{file.version}"')
        handler.send_header("Content-Length", str(file.size))
        handler.end_headers()
        handler.wfile.write(b"x" * file.size)

    fault.instead = True  # type: ignore[attr-defined]
    return fault


def instead(status: int, code: str = "", headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401
    """An answer that does not come from the service."""

    def fault(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        body = f"<Error><Code>{code}</Code><Message>no \u202e luck</Message></Error>".encode() if code else b""
        handler.send_response_only(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body if handler.command != "HEAD" else b"")

    fault.instead = True  # type: ignore[attr-defined]
    return fault


def lose(*_: object) -> None:
    """The service has done it, and its answer is lost."""


lose.lost = True  # type: ignore[attr-defined]


@dataclass
class Bucket:
    """A bucket of its own for each test."""

    name: str
    s3: Any
    shelves: list[ObjectShelf] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def put(self, name: str, data: bytes) -> None:
        """Somebody else writes an object below the prefix."""
        self.s3.put_object(Bucket=self.name, Key=f"db/{name}", Body=data)

    def get(self, name: str) -> bytes:
        """What is stored."""
        return bytes(self.s3.get_object(Bucket=self.name, Key=f"db/{name}")["Body"].read())

    def uploads(self) -> int:
        """Uploads that were begun and neither completed nor given up."""
        return len(self.s3.list_multipart_uploads(Bucket=self.name).get("Uploads", []))

    def shelf(self, url: str, *, tries: int = 3, **options: Any) -> ObjectShelf:  # noqa: ANN401
        """The copy, reached at `url`, without waiting between tries."""
        known = {"endpoint": url, "bucket": self.name, "prefix": "/db", "access_key": KEY, "secret_key": SECRET}
        copy = Copy("far", **{**known, **{k: options.pop(k) for k in list(options) if k in Copy.__slots__}})
        made = ObjectShelf(copy, reveal, tries=tries, wait=self.waits.append, **{"part": PART, **options})
        self.shelves.append(made)
        return made


@pytest.fixture
def bucket(url: str, request: pytest.FixtureRequest) -> Iterator[Bucket]:
    """An empty bucket."""
    name = "b" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:40]
    made = Bucket(name, client(url))
    made.s3.create_bucket(Bucket=name)
    yield made
    for shelf in made.shelves:
        shelf.close()
    made.s3.close()


def one(shelf: ObjectShelf, name: str = "a.sql") -> File:
    """An object as listed."""
    return next(file for file in shelf.list() if file.name == name)


def read(shelf: ObjectShelf, file: File, start: int = 0, length: int = -1) -> bytes:
    """Bytes of an object."""
    with shelf.read(file, start=start, length=length) as chunks:
        return b"".join(chunks)


# --- listing ---------------------------------------------------------------------------------------------------------


def test_what_is_below_the_prefix_is_listed(bucket: Bucket, url: str) -> None:
    """Names are relative to the prefix; other prefixes that begin alike are not listed; an empty copy is empty."""
    shelf = bucket.shelf(url)
    assert shelf.list() == ()
    for key in ("db/", "db/b/王 😀.sql", "db/a.sql", "db/folder/", "dbx/c.sql", "d.sql"):
        bucket.s3.put_object(Bucket=bucket.name, Key=key, Body=b"12345")
    found = shelf.list()
    assert [(file.name, file.size, file.kind) for file in found] == [
        ("a.sql", 5, "file"),
        ("b/王 😀.sql", 5, "file"),
        ("folder/", 5, "directory"),
    ]
    assert found[0].version == hashlib.md5(b"12345").hexdigest()  # noqa: S324 -- the ETag of a plain object
    assert abs(found[0].changed - time.time()) < 60
    assert len(bucket.shelf(url, prefix="").list()) == 6


def test_more_than_a_page(bucket: Bucket, line: Line) -> None:
    """Listings of several pages are put together, with versions too."""
    bucket.s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    for number in range(7):
        bucket.put(f"{number // 2}", b"")
    line.extra = "&max-keys=2"
    for versioned, wanted in ((False, "0123"), (True, "0011223")):
        found = bucket.shelf(line.url, versioned=versioned).list()
        assert "".join(file.name for file in found) == wanted
    assert len(line.seen) == 6


def test_hostile_keys_are_shown_and_not_read(bucket: Bucket, url: str) -> None:
    """Keys with control characters or that deceive the eye are printable and never read."""
    for name in ("\x1b[2J.sql", "x\u202egnp.sql", "a\tb"):
        bucket.put(name, b"x")
    shelf = bucket.shelf(url)
    found = shelf.list()
    assert {file.name for file in found} == {"\\x1b[2J.sql", "x\\u202egnp.sql", "a\\tb"}
    for file in found:
        with pytest.raises(Refused, match="plain names"):
            read(shelf, file)


def test_older_versions_are_found_again(bucket: Bucket, url: str) -> None:
    """A versioned copy gives what was overwritten or deleted, each version by itself, the newest first."""
    bucket.s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    for data in (b"oldest", b"older", b"newest"):
        bucket.put("a.sql", data)
    bucket.put("b.sql", b"deleted")
    bucket.s3.delete_object(Bucket=bucket.name, Key="db/b.sql")
    shelf = bucket.shelf(url, versioned=True)
    found = shelf.list()
    assert [file.name for file in found] == ["a.sql", "a.sql", "a.sql", "b.sql"]
    assert len({file.version for file in found}) == 4
    assert [read(shelf, file) for file in found] == [b"newest", b"older", b"oldest", b"deleted"]
    assert [file.name for file in bucket.shelf(url).list()] == ["a.sql"]


# --- reading ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(-30, 30), length=st.integers(-1, 30))
def test_ranges_are_those_of_python(bucket: Bucket, url: str, start: int, length: int) -> None:
    """Any part of an object, counted from either end."""
    data = bytes(range(20))
    if not bucket.shelves:
        bucket.put("a.sql", data)
        bucket.shelf(url)
    shelf = bucket.shelves[0]
    assert read(shelf, one(shelf), start, length) == (data[start:] if length < 0 else data[start:][:length])


def test_an_object_that_was_replaced(bucket: Bucket, url: str) -> None:
    """Another object of the same size, or none, is not read in place of the one listed."""
    shelf = bucket.shelf(url)
    bucket.put("a.sql", b"x" * 100)
    file = one(shelf)
    bucket.put("a.sql", b"y" * 100)
    for start, length in ((0, -1), (50, 0)):
        with shelf.read(file, start=start, length=length) as chunks, pytest.raises(Damaged) as caught:
            list(chunks)
        assert caught.value.code == "changed"
    bucket.s3.delete_object(Bucket=bucket.name, Key="db/a.sql")
    with shelf.read(file) as chunks, pytest.raises(Damaged, match="no longer there"):
        list(chunks)


def test_an_object_replaced_while_it_is_read(bucket: Bucket, line: Line) -> None:
    """A read that has to be resumed does not go on in another object."""
    bucket.put("a.sql", b"x" * 3 * MIB)
    shelf = bucket.shelf(line.url)
    file = one(shelf)
    line.rules.append(times(1, "GET", cut_after(2 * MIB), "a.sql"))
    with shelf.read(file) as chunks:
        next(chunks)
        bucket.put("a.sql", b"y" * 3 * MIB)
        with pytest.raises(Damaged) as caught:
            list(chunks)
    assert caught.value.code == "changed"


def test_a_service_that_pins_nothing(bucket: Bucket, line: Line) -> None:
    """Where If-Match is passed over, the answer itself tells that it is another object, or a shorter one."""
    bucket.put("a.sql", b"x" * 100)
    shelf = bucket.shelf(line.url)
    file = one(shelf)
    answer = {"ETag": '"other"', "Last-Modified": "Thu, 20 Nov 2025 10:00:00 GMT", "Content-Range": "bytes 0-99/100"}
    for headers, code in (
        (answer, "changed"),
        ({**answer, "ETag": f'"{file.version}"', "Content-Range": "bytes 0-49/50"}, "short"),
    ):
        line.rules[:] = [times(1, "GET", instead(206, headers=headers), "a.sql")]
        with shelf.read(file) as chunks, pytest.raises(Damaged) as caught:
            list(chunks)
        assert caught.value.code == code


def test_a_service_without_parts(bucket: Bucket, line: Line) -> None:
    """Where Range is passed over, the beginning of an object is not taken for its middle."""
    bucket.put("a.sql", b"x" * 100)
    shelf = bucket.shelf(line.url)
    file = one(shelf)
    line.rules.append(times(1, "GET", without_parts(file), "a.sql"))
    with shelf.read(file, start=50) as chunks, pytest.raises(AnswerUnusable, match="parts of an object"):
        list(chunks)
    line.rules.append(times(1, "GET", without_parts(file), "a.sql"))
    assert read(shelf, file) == b"x" * 100


def test_broken_connections_are_resumed(bucket: Bucket, line: Line) -> None:
    """Cut again and again, answered with errors and silence in between, an object still comes whole, once."""
    data = os.urandom(8 * MIB + 3)
    bucket.put("a.sql", data)
    shelf = bucket.shelf(line.url, idle=0.5)
    file = one(shelf)
    line.rules += [
        times(1, "GET", instead(503, "SlowDown"), "a.sql"),
        times(2, "GET", cut_after(2 * MIB + 1), "a.sql"),
        times(1, "GET", instead(500, "InternalError"), "a.sql"),
        times(1, "GET", silent_after(MIB + 1, 1.5), "a.sql"),
        times(1, "GET", cut_after(0), "a.sql"),
    ]
    assert read(shelf, file, 1) == data[1:]
    ranges = [headers["Range"] for method, path, headers in line.seen if method == "GET" and "a.sql" in path]
    assert ranges[0] == f"bytes=1-{len(data) - 1}"
    assert len(ranges) == 7
    assert len(set(ranges)) == 4
    assert all(headers["If-Match"] for method, path, headers in line.seen if method == "GET" and "a.sql" in path)
    assert bucket.waits


def test_an_object_that_never_comes_whole(bucket: Bucket, line: Line) -> None:
    """A body that always ends too soon is short; so it is when the service says so itself. Tries are bounded."""
    bucket.put("a.sql", b"x" * 100)
    shelf = bucket.shelf(line.url)
    file = one(shelf)
    line.rules.append(times(99, "GET", cut_after(0), "a.sql"))
    with shelf.read(file) as chunks, pytest.raises(Damaged, match="ends it after 0 of 100 bytes, 3 times") as caught:
        list(chunks)
    assert caught.value.code == "short"
    assert sum("a.sql" in path and method == "GET" for method, path, _ in line.seen) == 3
    line.rules.clear()
    with shelf.read(replace(file, size=101)) as chunks, pytest.raises(Damaged) as caught:
        list(chunks)
    assert caught.value.code == "short"


def test_a_service_that_falls_silent(bucket: Bucket, line: Line) -> None:
    """Nothing for the idle time, as often as is tried, is a time-out that says how far it came."""
    bucket.put("a.sql", b"x" * 100)
    shelf = bucket.shelf(line.url, idle=0.3, tries=2)
    file = one(shelf)
    line.rules.append(times(99, "GET", silent_after(10, 1.0), "a.sql"))
    with shelf.read(file) as chunks, pytest.raises(TimedOut, match=r"nothing came for 0.3 s after \d+ of 100 bytes"):
        list(chunks)
    line.rules[:] = [times(99, "GET", silent_after(0, 1.0), "prefix=")]
    line.rules.append(times(99, "GET", silent_after(0, 1.0), "list-type"))
    with pytest.raises(TimedOut):
        shelf.list()


def test_a_service_in_trouble(bucket: Bucket, line: Line) -> None:
    """Errors of the server's own are tried again, then named with their code, made safe."""
    shelf = bucket.shelf(line.url)
    line.rules.append(times(2, "GET", instead(503, "SlowDown")))
    assert shelf.list() == ()
    line.rules.append(times(99, "GET", instead(503, "SlowDown")))
    with pytest.raises(ConnectionLost, match=r"answered 3 times: SlowDown: no \\u202e luck"):
        shelf.list()


def test_leaving_early_ends_the_connection(bucket: Bucket, url: str) -> None:
    """Whoever has seen enough leaves; the next read works."""
    bucket.put("a.sql", bytes(20 * MIB))
    shelf = bucket.shelf(url)
    file = one(shelf)
    for _ in range(3):
        with shelf.read(file) as chunks:
            assert len(next(chunks)) == MIB


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded() -> Iterator[tuple[str, Callable[..., dict[str, Any]]]]:
    """A service that checks signatures and permissions, and a way to get keys that allow some actions."""
    with service() as url:
        iam = client(url, "iam")

        yield url, partial(account, iam)
        iam.close()


def test_permissions_are_named(guarded: tuple[str, Callable[..., dict[str, Any]]]) -> None:
    """Who may list but not read, or not even list, is told which permission is missing, on which bucket."""
    url, keys = guarded
    s3 = client(url)
    s3.create_bucket(Bucket="backups")
    s3.put_object(Bucket="backups", Key="db/a.sql", Body=b"x" * 100)
    s3.close()
    lister, reader, writer = keys("s3:ListBucket"), keys("s3:ListBucket", "s3:GetObject"), keys("s3:PutObject")
    bucket = Bucket("backups", None)
    with enforced(url):
        shelf = bucket.shelf(url, **lister)
        file = one(shelf)
        with shelf.read(file) as chunks, pytest.raises(Refused, match="access denied") as caught:
            list(chunks)
        assert caught.value.hint == "the key needs s3:GetObject on backups"
        assert caught.value.where == "s3://backups/db/a.sql"
        assert read(bucket.shelf(url, **reader), file) == b"x" * 100
        for name, permission in (("b.sql", "s3:PutObject"),):
            with pytest.raises(Refused, match="access denied") as caught:
                bucket.shelf(url, **reader).write(name, [b"x"])
            assert permission in caught.value.hint
        for versioned, permission in ((False, "s3:ListBucket"), (True, "s3:ListBucketVersions")):
            with pytest.raises(Refused, match="access denied") as caught:
                bucket.shelf(url, versioned=versioned, **writer).list()
            assert caught.value.hint == f"the key needs {permission} on backups"
    for shelf in bucket.shelves:
        shelf.close()


def test_a_key_that_may_only_write(guarded: tuple[str, Callable[..., dict[str, Any]]]) -> None:
    """An upload needs no more than s3:PutObject, and still does not replace anything."""
    url, keys = guarded
    s3 = client(url)
    s3.create_bucket(Bucket="dropbox")
    bucket = Bucket("dropbox", s3)
    shelf = bucket.shelf(url, **keys("s3:PutObject"))
    with enforced(url):
        file = shelf.write("a.sql", [b"x" * 100])
        large = shelf.write("b.sql", [bytes(PART + 1)])
        for name in ("a.sql", "b.sql"):
            with pytest.raises(Refused, match="something of that name"):
                shelf.write(name, [bytes(PART + 1)])
    assert (file.size, large.size) == (100, PART + 1)
    assert abs(file.changed - time.time()) < 60
    assert bucket.get("a.sql") == b"x" * 100
    shelf.close()
    s3.close()


def test_keys_that_are_none(guarded: tuple[str, Callable[..., dict[str, Any]]]) -> None:
    """An unknown key, and one with the wrong secret, are failed logins; the secret does not show."""
    url, keys = guarded
    client(url).create_bucket(Bucket="anything")
    right = keys("s3:ListBucket")
    bucket = Bucket("anything", None)
    with enforced(url):
        wrongs: list[dict[str, Any]] = [{"access_key": KEY, "secret_key": SECRET}, {**right, "secret_key": SECRET}]
        for wrong in wrongs:
            with pytest.raises(AuthenticationFailed) as caught:
                bucket.shelf(url, **wrong).list()
            assert "access_key" in caught.value.hint
            assert SECRET.value not in caught.value.message
    for shelf in bucket.shelves:
        shelf.close()


def test_no_key_at_all(bucket: Bucket, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a key in the inventory, in the environment and in the usual files, that is what is said."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(AuthenticationFailed, match="no access key"):
        bucket.shelf(url, access_key=None, secret_key=None).list()


def test_places_that_are_not_there(bucket: Bucket, url: str) -> None:
    """A missing bucket, a closed port, a name nobody knows and an address that is none are told apart."""
    with pytest.raises(Refused, match="there is no bucket nowhere"):
        bucket.shelf(url, bucket="nowhere").list()
    with pytest.raises(Refused, match="there is no bucket nowhere"):
        bucket.shelf(url, bucket="nowhere").write("a.sql", [b"x"])
    with pytest.raises(ConnectFailed, match="cannot be reached"):
        bucket.shelf(f"http://127.0.0.1:{free_port()}").list()
    with pytest.raises(ConnectFailed, match="cannot be reached"):
        bucket.shelf("http://no-such-host.invalid").list()
    for nonsense in ("no url", "http://"):
        with pytest.raises(UsageError):
            bucket.shelf(nonsense).list()
    with pytest.raises(ConnectFailed, match="TLS"):
        bucket.shelf(url.replace("http:", "https:")).list()


def test_a_dead_service_takes_the_connect_time_out(bucket: Bucket) -> None:
    """An address that drops everything costs one connect time-out."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        with socket.create_connection(sock.getsockname()):
            start = time.monotonic()
            with pytest.raises(ConnectFailed, match=r"no answer from .* within 0\.5 s"):
                bucket.shelf(f"http://127.0.0.1:{sock.getsockname()[1]}", connect=0.5).list()
            assert time.monotonic() - start < 2


def test_boto3_is_needed_only_here() -> None:
    """Without boto3 the module loads, and a copy in S3 says how to install it."""
    program = """
import sys
sys.modules["boto3"] = None
from remedy.backups.values import Copy
from remedy.core.errors import UsageError
from remedy.transports.objects import ObjectShelf
try:
    ObjectShelf(Copy("far", bucket="b"), str).list()
except UsageError as error:
    print(error.hint)
"""
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)
    assert done.stdout == "pip install 'remedy[s3]'\n"


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("size", [0, 100, PART, PART + 1, 3 * PART + 7])
def test_what_is_written_is_there(bucket: Bucket, url: str, size: int, *, versioned: bool) -> None:
    """The file returned is the one listed, with its checksum, whatever its size; removing it leaves nothing."""
    if versioned:
        bucket.s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    data = os.urandom(size)
    shelf = bucket.shelf(url, versioned=versioned)
    file = shelf.write("web-2025.sql.zst", (data[at : at + 700_001] for at in range(0, size, 700_001)))
    assert shelf.list() == (file,)
    assert bucket.get("web-2025.sql.zst") == data
    assert read(shelf, file) == data
    stored = bucket.s3.head_object(Bucket=bucket.name, Key="db/web-2025.sql.zst", ChecksumMode="ENABLED")
    assert "ChecksumSHA256" in stored or size > PART
    shelf.remove(file)
    assert shelf.list() == ()
    assert bucket.uploads() == 0


@pytest.mark.parametrize("size", [100, PART + 1])
def test_nothing_is_written_over(bucket: Bucket, line: Line, size: int) -> None:
    """An object of that name stays, one that appears while the upload runs too."""
    bucket.put("a.sql", b"old")
    shelf = bucket.shelf(line.url)
    with pytest.raises(Refused, match="something of that name"):
        shelf.write("a.sql", [bytes(size)])

    def chunks() -> Iterator[bytes]:
        yield bytes(size)
        bucket.put("b.sql", b"old")

    with pytest.raises(Refused, match="something of that name"):
        shelf.write("b.sql", chunks())
    assert (bucket.get("a.sql"), bucket.get("b.sql")) == (b"old", b"old")
    assert bucket.uploads() == 0


@pytest.mark.parametrize("size", [100, PART + 1])
@pytest.mark.parametrize("status", [400, 501])
def test_a_service_that_knows_less(bucket: Bucket, line: Line, size: int, status: int) -> None:
    """Where checksums and conditions are refused, the upload does without, and looks again before it takes a name."""

    def knows_less(method: str, path: str) -> Any:  # noqa: ANN401
        headers = {name.lower() for name in line.seen[-1][2]}
        unknown = {"if-none-match", "x-amz-checksum-sha256", "x-amz-checksum-algorithm"} & headers
        return instead(status, "NotImplemented") if unknown and method in {"PUT", "POST"} and path else None

    line.rules.append(knows_less)
    shelf = bucket.shelf(line.url)
    assert shelf.write("a.sql", [bytes(size)]).size == size
    assert bucket.get("a.sql") == bytes(size)

    def chunks() -> Iterator[bytes]:
        yield bytes(size)
        bucket.put("b.sql", b"old")

    with pytest.raises(Refused, match="something of that name"):
        shelf.write("b.sql", chunks())
    assert bucket.get("b.sql") == b"old"
    assert bucket.uploads() == 0


def test_without_conditions_and_without_looking_nothing_is_written(bucket: Bucket, line: Line) -> None:
    """Where nothing can tell whether a name is taken, it is not taken."""

    def blind(method: str, _: str) -> Any:  # noqa: ANN401
        if method == "HEAD":
            return instead(403)
        conditional = "if-none-match" in {name.lower() for name in line.seen[-1][2]}
        return instead(501, "NotImplemented") if conditional else None

    bucket.put("a.sql", b"old")
    line.rules.append(blind)
    with pytest.raises(Refused, match="access denied"):
        bucket.shelf(line.url).write("a.sql", [b"new"])
    assert bucket.get("a.sql") == b"old"


@pytest.mark.parametrize("size", [100, 2 * PART])
def test_a_lost_answer_is_not_a_taken_name(bucket: Bucket, line: Line, size: int) -> None:
    """When the service has stored it and the answer got lost, the next try recognises its own object."""
    method = "PUT" if size < PART else "POST"
    line.rules.append(times(1, method, lose, "a.sql" if size < PART else "uploadId"))
    file = bucket.shelf(line.url).write("a.sql", [bytes(size)])
    assert file.size == size
    assert bucket.get("a.sql") == bytes(size)
    assert bucket.uploads() == 0


def test_parts_are_sent_again(bucket: Bucket, line: Line) -> None:
    """A part that fails in passing is sent again; the object is exact."""
    data = os.urandom(3 * PART + 1)
    line.rules += [
        times(1, "PUT", instead(500, "InternalError"), "partNumber=2"),
        times(1, "PUT", lose, "partNumber=3"),
    ]
    bucket.shelf(line.url).write("a.sql", [data])
    assert bucket.get("a.sql") == data


def test_a_failed_upload_leaves_no_parts(bucket: Bucket, line: Line) -> None:
    """When a part cannot be sent, or the source breaks, what was sent already is given up."""
    shelf = bucket.shelf(line.url)

    def chunks() -> Iterator[bytes]:
        yield bytes(2 * PART)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.write("a.sql", chunks())
    line.rules.append(times(99, "PUT", instead(503, "SlowDown"), "partNumber=2"))
    with pytest.raises(ConnectionLost):
        shelf.write("a.sql", [bytes(3 * PART)])
    line.rules[:] = [times(99, "PUT", instead(507, "InsufficientStorage"), "partNumber=2")]
    with pytest.raises(RemedyError):
        shelf.write("a.sql", [bytes(3 * PART)])
    line.rules.clear()
    assert bucket.uploads() == 0
    assert shelf.list() == ()


def test_a_full_service_says_so(bucket: Bucket, line: Line) -> None:
    """A quota is no passing trouble: it is said at once, with what to do."""
    line.rules.append(times(99, "PUT", instead(403, "QuotaExceeded")))
    with pytest.raises(Refused, match=r"no space .*make room there"):
        bucket.shelf(line.url).write("a.sql", [b"x"])
    assert not bucket.waits


def test_only_what_was_written_is_removed(bucket: Bucket, url: str) -> None:
    """An object that somebody has replaced meanwhile stays."""
    shelf = bucket.shelf(url)
    file = shelf.write("a.sql", [b"x" * 100])
    bucket.put("a.sql", b"y" * 100)
    with pytest.raises(Damaged, match="no longer the object"):
        shelf.remove(file)
    assert bucket.get("a.sql") == b"y" * 100


@pytest.mark.parametrize("name", ["", "..", "a/b", "-n", ".hidden", "a\nb"])
def test_names_nobody_should_give(bucket: Bucket, url: str, name: str) -> None:
    """A name that hides or needs quoting is refused before anything is sent."""
    with pytest.raises(UsageError, match="no name for a backup"):
        bucket.shelf(url).write(name, [b"x"])


def test_memory_stays_flat(bucket: Bucket, url: str) -> None:
    """What is uploaded and read back passes through in parts."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    shelf = bucket.shelf(url)
    chunk = os.urandom(MIB)
    shelf.write("warm.sql", [chunk] * 11)
    before = most = resident()

    def chunks() -> Iterator[bytes]:
        nonlocal most
        for _ in range(100):
            most = max(most, resident())
            yield chunk

    file = shelf.write("a.sql", chunks())
    with shelf.read(file) as stream:
        for _ in stream:
            most = max(most, resident())
    assert most - before < 8 * PART
