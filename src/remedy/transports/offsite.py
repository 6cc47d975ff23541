"""Objects that are given to a bucket with S3 Object Lock, and read back from it.

Decides the request: compliance mode with a retention date (nobody, the account's owner included, deletes or shortens it
before), the SHA-256 of the content, and `If-None-Match: *`, so that nothing takes the place of what is there. A place
that does not lock is an error: nothing counts as kept there. The key needs `s3:PutObject` and `s3:PutObjectRetention`
and nothing else; where it may look too, the lock is read back.
What somebody puts under the same name later (a delete marker first, or without the condition) is a newer version, and
the older one stays: reading takes the oldest version of each name, markers or not.
Leaves to others: requests and what errors mean (`s3`), what is kept and under which name (record).

Follows the Amazon S3 user guide, "Using S3 Object Lock" and "How to prevent object overwrites with conditional writes".
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from remedy.backups.values import Copy
from remedy.core.errors import ConnectionLost, Refused
from remedy.core.offsite import Offsite
from remedy.core.text import printable
from remedy.core.values import Secret
from remedy.transports.s3 import Answer, Service, Taken, Unknown, broken

#: Bytes of an object that are read at most: what is kept here is text of a page.
LIMIT: Final = 256 * 1024
_MODE: Final = "COMPLIANCE"
_MOST: Final = 1_000_000
_RIGHTS: Final = "the key needs s3:PutObject and s3:PutObjectRetention there"
_READING: Final = "comparing needs a key with s3:ListBucketVersions and s3:GetObjectVersion: read_access_key and so on"
_LOCKING: Final = "make the bucket with Object Lock; a bucket that has none cannot keep what must not be taken away"


@dataclass(frozen=True, slots=True)
class Locked:
    """What was kept: locked until when, and whether the lock was read back. It is not where the key may not look."""

    until: datetime
    seen: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """The oldest version of an object. `arrived` is the service's time, not ours; `size` is in bytes."""

    name: str
    version: str
    arrived: datetime
    size: int


class OffsiteStore:
    """One place. `tries` is how often a request is made, `idle` and `connect` are seconds. May be shared by threads."""

    def __init__(
        self,
        place: Offsite,
        resolve_secret: Callable[[Secret], str],
        *,
        clock: Callable[[], datetime],
        tries: int = 2,
        idle: float = 10.0,
        connect: float = 3.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is asked yet. `clock` gives times with a zone."""
        self.place = place
        self._clock = clock
        self._prefix = f"{prefix}/" if (prefix := place.prefix.strip("/")) else ""
        self._where = printable(f"s3://{place.bucket}/{self._prefix}", one_line=True)
        self._may_look = True

        def service(access: Secret | None, secret: Secret | None) -> Service:
            copy = Copy(
                place.name,
                endpoint=place.endpoint,
                bucket=place.bucket,
                region=place.region,
                versioned=True,
                access_key=access,
                secret_key=secret,
            )
            return Service(copy, resolve_secret, tries=tries, idle=idle, connect=connect, wait=wait)

        self._writing = service(place.access_key, place.secret_key)
        self._reading = (
            service(place.read_access_key, place.read_secret_key) if place.read_access_key else self._writing
        )

    def keep(self, name: str, data: bytes) -> Locked:
        """Have an object kept, locked from now on for the place's days. What is there under that name stays.

        Raises Unreachable when it cannot be sent, Refused when it is not taken, not locked, or something else is there
        under that name.
        """
        until = (self._clock() + timedelta(days=self.place.days)).replace(microsecond=0)
        try:
            answer = self._put(name, data, until)
        except Taken:  # sent before, and nobody heard that it had arrived
            return self._look(name, {}, data, self._clock())
        return self._look(name, answer, data, until - timedelta(days=1))

    def list(self, below: str) -> tuple[Stored, ...]:
        """What is there below a prefix, by name: of each name its oldest version. Raises Unreachable, Refused."""
        found: dict[str, Stored] = {}
        token: dict[str, object] = {}
        prefix = self._prefix + below
        while True:
            try:
                page = self._reading.call("list_object_versions", prefix, Prefix=prefix, **token)
            except Refused as error:
                raise Refused(error.message, where=error.where, hint=_READING) from error
            for entry in page.get("Versions", ()):
                name = entry["Key"].removeprefix(self._prefix)
                one = Stored(name, entry["VersionId"], entry["LastModified"], entry["Size"])
                # newest first, as the service lists them: the last one of a name is the oldest
                if name not in found or one.arrived <= found[name].arrived:
                    found[name] = one
            if len(found) > _MOST:
                raise Refused(f"there are more than {_MOST} objects", where=self._where, hint="name one of them")
            if not page.get("IsTruncated"):
                return tuple(found[name] for name in sorted(found))
            token = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def read(self, stored: Stored) -> bytes:
        """The content of what was listed, at most `LIMIT` bytes. Raises Unreachable, Refused."""
        key = self._prefix + stored.name
        answer = self._reading.call("get_object", key, Key=key, VersionId=stored.version)
        where = self._where + printable(stored.name, one_line=True)
        with contextlib.closing(answer["Body"]) as body:
            try:
                data: bytes = body.read(LIMIT + 1)
            except broken() as error:
                said = printable(str(error), 200, one_line=True)
                raise ConnectionLost(f"the connection broke: {said}", where=where, hint="try again") from error
        if len(data) > LIMIT:
            raise Refused(f"it has more than {LIMIT} bytes: remedy has not put it there", where=where)
        return data

    def close(self) -> None:
        """Let go of the connections; never raises."""
        self._writing.close()
        self._reading.close()

    def _put(self, name: str, data: bytes, until: datetime) -> Answer:
        key = self._prefix + name
        lock: dict[str, object] = {
            "ObjectLockMode": _MODE,
            "ObjectLockRetainUntilDate": until,
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": _sha256(data),
        }
        try:
            try:
                return self._writing.call("put_object", key, Key=key, Body=data, IfNoneMatch="*", **lock)
            except Unknown:  # a service without conditional writes: its versions keep what is there all the same
                return self._writing.call("put_object", key, Key=key, Body=data, **lock)
        except Taken:
            raise
        except Unknown as error:
            text = f"it does not keep objects locked: {error.message}"
            raise Refused(text, where=self._where, hint=_LOCKING) from error
        except Refused as error:
            raise Refused(
                error.message, where=error.where, hint=_RIGHTS if "denied" in error.message else error.hint
            ) from error

    def _look(self, name: str, answer: Answer, data: bytes, least: datetime) -> Locked:
        """What is there now, if we may look; else what was asked for. Raises Refused."""
        key = self._prefix + name
        version = {"VersionId": answer["VersionId"]} if answer.get("VersionId") else {}
        if not self._may_look:
            return Locked(least, seen=False)
        try:
            found = self._writing.call("head_object", key, Key=key, ChecksumMode="ENABLED", **version)
        except Refused:
            self._may_look = False
            return Locked(least, seen=False)
        where = self._where + name
        if found["ContentLength"] != len(data) or found.get("ChecksumSHA256", _sha256(data)) != _sha256(data):
            raise Refused("something else is there under this name", where=where, hint="look at it from over there")
        mode, until = found.get("ObjectLockMode"), found.get("ObjectLockRetainUntilDate")
        if mode is None or until is None:  # no lock, or no permission to see it (s3:GetObjectRetention)
            return Locked(least, seen=False)
        if mode != _MODE or until < least:
            text = f"it is kept, but locked as {printable(str(mode), 40, one_line=True)} until {until:%Y-%m-%d} only"
            raise Refused(text, where=where, hint=_LOCKING)
        return Locked(until, seen=True)


def _sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
