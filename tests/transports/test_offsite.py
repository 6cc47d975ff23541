"""Places that keep objects locked: a real service over HTTP that knows Object Lock, conditions and permissions.

What moto does not do, and so no test here shows: it takes a checksum that is not the content's, lets a retention in
compliance mode be shortened, and does not look at signatures of requests. Refusing to delete, refusing locks in buckets
without them, conditions, versions and permissions are its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.worlds.s3 import KEY, SECRET, account, client, enforced, free_port, service

from remedy.core.errors import ConnectFailed, ConnectionLost, Refused, RemedyError
from remedy.core.offsite import Offsite
from remedy.transports.offsite import LIMIT, OffsiteStore

from .conftest import reveal

Opener = Callable[..., OffsiteStore]
NAME = "6d0f/00000001-9f86d081884c7d65.txt"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The service."""
    with service() as started:
        yield started


@pytest.fixture
def s3(url: str) -> Iterator[Any]:
    """Somebody else with every right."""
    made = client(url)
    yield made
    made.close()


@pytest.fixture
def place(url: str, s3: Any, request: pytest.FixtureRequest) -> Offsite:  # noqa: ANN401 -- boto3
    """A bucket with Object Lock, of this test alone."""
    bucket = "o" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:40]
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return Offsite("city-b", bucket, endpoint=url, prefix="remedy/", days=30, access_key=KEY, secret_key=SECRET)


@pytest.fixture
def opener() -> Iterator[Opener]:
    """Opens places; closed after the test."""
    made: list[OffsiteStore] = []

    def opened(place: Offsite, **options: Any) -> OffsiteStore:  # noqa: ANN401 -- as given
        options = {"clock": lambda: datetime.now(UTC), "wait": lambda _: None, **options}
        made.append(OffsiteStore(place, reveal, **options))
        return made[-1]

    yield opened
    for store in made:
        store.close()


def test_what_is_kept_is_locked_until_its_day(place: Offsite, opener: Opener, s3: Any) -> None:  # noqa: ANN401
    """An object is kept in compliance mode for the place's days with its SHA-256, and nobody deletes that version."""
    kept = opener(place).keep(NAME, b"text")
    assert kept.seen
    assert timedelta(days=29) < kept.until - datetime.now(UTC) < timedelta(days=31)
    found = s3.head_object(Bucket=place.bucket, Key=f"remedy/{NAME}", ChecksumMode="ENABLED")
    assert found["ObjectLockMode"] == "COMPLIANCE"
    assert base64.b64decode(found["ChecksumSHA256"]) == hashlib.sha256(b"text").digest()
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=place.bucket, Key=f"remedy/{NAME}", VersionId=found["VersionId"])
    bypass = {"BypassGovernanceRetention": True, "VersionId": found["VersionId"]}
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=place.bucket, Key=f"remedy/{NAME}", **bypass)


def test_keeping_again_is_harmless(place: Offsite, opener: Opener, s3: Any) -> None:  # noqa: ANN401
    """What is there already is not written a second time, and counts as kept."""
    first = opener(place).keep(NAME, b"text")
    assert opener(place).keep(NAME, b"text").until == first.until
    assert len(s3.list_object_versions(Bucket=place.bucket)["Versions"]) == 1


def test_something_else_of_that_name_stays_and_is_told(place: Offsite, opener: Opener, s3: Any) -> None:  # noqa: ANN401
    """An object that somebody planted under the name is not overwritten and not taken for ours."""
    s3.put_object(Bucket=place.bucket, Key=f"remedy/{NAME}", Body=b"planted")
    with pytest.raises(Refused, match="something else is there"):
        opener(place).keep(NAME, b"text")
    assert s3.get_object(Bucket=place.bucket, Key=f"remedy/{NAME}")["Body"].read() == b"planted"


def test_a_bucket_that_does_not_lock_keeps_nothing(place: Offsite, opener: Opener, s3: Any) -> None:  # noqa: ANN401
    """Without Object Lock nothing is stored and nothing counts as kept."""
    s3.create_bucket(Bucket="plain-bucket")
    with pytest.raises(Refused, match="does not keep objects locked") as caught:
        opener(replace(place, bucket="plain-bucket")).keep(NAME, b"text")
    assert "make the bucket with Object Lock" in caught.value.hint
    assert "Contents" not in s3.list_objects_v2(Bucket="plain-bucket")


def test_a_weaker_lock_is_told(place: Offsite, opener: Opener, s3: Any) -> None:  # noqa: ANN401
    """An object that is there with a lock that its owner can lift is not taken for one that is kept."""
    day = datetime.now(UTC) + timedelta(days=900)
    lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": day, "ChecksumAlgorithm": "SHA256"}
    s3.put_object(Bucket=place.bucket, Key=f"remedy/{NAME}", Body=b"text", **lock)
    with pytest.raises(Refused, match="locked as GOVERNANCE"):
        opener(place).keep(NAME, b"text")


def test_the_oldest_version_is_what_is_read(place: Offsite, opener: Opener, s3: Any) -> None:  # noqa: ANN401
    """Delete markers and newer versions put over an object change nothing of what is read."""
    store = opener(place)
    store.keep(NAME, b"text")
    s3.delete_object(Bucket=place.bucket, Key=f"remedy/{NAME}")
    s3.put_object(Bucket=place.bucket, Key=f"remedy/{NAME}", Body=b"planted")
    store.keep("6d0f/00000002-00.txt", b"second")
    found = store.list("6d0f/")
    assert [one.name for one in found] == [NAME, "6d0f/00000002-00.txt"]
    assert store.read(found[0]) == b"text"
    assert abs(found[0].arrived - datetime.now(UTC)) < timedelta(minutes=5)
    assert store.list("other/") == ()


def test_what_is_too_long_is_not_read(place: Offsite, opener: Opener, s3: Any) -> None:  # noqa: ANN401
    """An object of any size that somebody put there costs no memory."""
    s3.put_object(Bucket=place.bucket, Key="remedy/big.txt", Body=b"x" * (LIMIT + 2))
    store = opener(place)
    with pytest.raises(Refused, match="remedy has not put it there"):
        store.read(store.list("big")[0])


def test_a_place_that_is_not_there(place: Offsite, opener: Opener) -> None:
    """A place that cannot be reached is an error within the time given, not a wait."""
    with pytest.raises(ConnectFailed):
        opener(replace(place, endpoint=f"http://127.0.0.1:{free_port()}"), tries=1).keep(NAME, b"text")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (409, "ConditionalRequestConflict", ConnectionLost),
        (503, "SlowDown", ConnectionLost),
        (501, "NotImplemented", Refused),
    ],
)
def test_trouble_is_no_success(place: Offsite, opener: Opener, status: int, code: str, kind: type[RemedyError]) -> None:
    """A conflict, a busy service and one that knows no locks are errors: nothing counts as kept."""

    class Answers(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = f"<Error><Code>{code}</Code></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        there = replace(place, endpoint=f"http://127.0.0.1:{server.server_address[1]}")
        with pytest.raises(kind):
            opener(there).keep(NAME, b"text")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_key_that_may_only_write_is_enough(opener: Opener) -> None:
    """Put and retention are all that sending needs; the lock is then not seen, and that is said; reading is refused."""
    with service() as url:
        s3, iam = client(url), client(url, "iam")
        s3.create_bucket(Bucket="records", ObjectLockEnabledForBucket=True)
        keys = partial(account, iam)
        writer = Offsite("city-b", "records", endpoint=url, **keys("s3:PutObject", "s3:PutObjectRetention"))
        auditor = keys("s3:ListBucketVersions", "s3:GetObjectVersion", "s3:GetObject")
        both = replace(writer, read_access_key=auditor["access_key"], read_secret_key=auditor["secret_key"])
        nobody = replace(writer, **keys("s3:ListAllMyBuckets"))
        with enforced(url):
            kept = opener(writer).keep(NAME, b"text")
            assert not kept.seen
            assert not opener(writer).keep(NAME, b"text").seen
            with pytest.raises(Refused, match="access denied") as caught:
                opener(writer).list("")
            assert "read_access_key" in caught.value.hint
            with pytest.raises(Refused, match="access denied") as caught:
                opener(nobody).keep(NAME, b"text")
            assert "s3:PutObjectRetention" in caught.value.hint
            store = opener(both)
            [found] = store.list("")
            assert store.read(found) == b"text"
        assert s3.head_object(Bucket="records", Key=NAME)["ObjectLockMode"] == "COMPLIANCE"
        s3.close()
        iam.close()
