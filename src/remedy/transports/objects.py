"""Copies that are buckets of an S3 service, or part of one.

Decides how objects are listed (older versions too, where the bucket keeps them), how one is read to the end although
connections break (by Range, pinned to the version or ETag that was listed), and how one is written whole or not at all
and never over another. Leaves to others: requests and what errors mean (`s3`), what the objects are (`backups`).

Follows the Amazon S3 API reference. Services that know less of it are met half-way: SHA-256 checksums and conditional
writes are asked for first and left out where they are refused. Every upload is signed with the SHA-256 of its body in
any case, so that what arrives is what was sent.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import secrets
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from remedy.backups.ports import Damaged
from remedy.backups.values import Copy, File
from remedy.core.errors import AnswerUnusable, ConnectionLost, Refused, RemedyError, TimedOut, UsageError
from remedy.core.text import printable
from remedy.core.values import Secret
from remedy.transports.folders import LIMIT, plain, span
from remedy.transports.s3 import Answer, Service, Taken, Unknown, broken, pause

MIB: Final = 1024 * 1024
#: Bytes of a part, and from which part on they are twice as large: 10,000 parts (the most there may be) hold 281 GiB.
PART: Final = 16 * MIB
_DOUBLED: Final = 2_000
#: Bytes read at once, and how many a connection must have brought to count as progress.
_CHUNK: Final = MIB
#: Metadata by which a write is recognised as ours when its answer was lost.
_MARK: Final = "remedy-write"


class ObjectShelf:
    """`copy.prefix` of `copy.bucket`. Implements backups.ports.Shelf and Store. May be shared by threads.

    `tries` is how often a request is made, or a broken read resumed without progress; `idle` and `connect` are seconds.
    """

    def __init__(
        self,
        copy: Copy,
        resolve_secret: Callable[[Secret], str],
        *,
        tries: int = 4,
        idle: float = 30.0,
        connect: float = 5.0,
        part: int = PART,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing is asked yet."""
        self.copy = copy
        self._service = Service(copy, resolve_secret, tries=tries, idle=idle, connect=connect, wait=wait)
        self._tries = tries
        self._idle = idle
        self._part = part
        self._wait = wait
        self._prefix = f"{prefix}/" if (prefix := copy.prefix.strip("/")) else ""
        self._where = printable(f"s3://{copy.bucket}/{self._prefix}", one_line=True)

    def list(self) -> tuple[File, ...]:
        """As backups.ports.Shelf. A versioned copy lists every version of a key under its name, the newest first."""
        operation, field = (
            ("list_object_versions", "Versions") if self.copy.versioned else ("list_objects_v2", "Contents")
        )
        files: list[File] = []
        token: dict[str, object] = {}
        while True:
            page = self._service.call(operation, Prefix=self._prefix, **token)
            files += [self._file(entry) for entry in page.get(field, ()) if entry["Key"] != self._prefix]
            if len(files) > LIMIT:
                raise Refused(f"there are more than {LIMIT} objects", where=self._where, hint="name a narrower prefix")
            if not page.get("IsTruncated"):
                break
            token = _next(page)
        return tuple(sorted(files, key=lambda file: (file.name, -file.changed)))

    @contextlib.contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As backups.ports.Shelf. Raises Refused for what is no object to be read."""
        if file.kind != "file":
            raise Refused("only objects with plain names are read", where=self._name(file.name))
        begin, count = span(file, start, length)
        chunks = self._chunks(file, begin, count)
        try:
            yield chunks
        finally:
            # A generator that another thread is waiting in cannot be closed; it ends when its read does.
            with contextlib.suppress(ValueError):
                chunks.close()

    def write(self, name: str, chunks: Iterable[bytes]) -> File:
        """As backups.ports.Store. Memory: two parts, whatever the size."""
        if not plain(name):
            raise UsageError(f"{printable(name, 100, one_line=True)!r} is no name for a backup", where=self._where)
        mark = secrets.token_hex(16)
        self._refuse_taken(name)
        parts = _parts(chunks, self._part)
        first = next(parts, bytearray())
        second = next(parts, None)
        if second is None:
            answer, size = self._put(name, mark, first), len(first)
        else:
            answer, size = self._multipart(name, mark, itertools.chain((first, second), parts))
        return self._stored(name, size, answer)

    def remove(self, file: File) -> None:
        """As backups.ports.Store. In a versioned copy the very version goes, and leaves no marker."""
        self._look(file)
        self._ask("delete_object", file.name, **self._version(file))

    def close(self) -> None:
        """Let go of the connections; never raises. They open again when needed."""
        self._service.close()

    # --- listing and reading -----------------------------------------------------------------------------------------

    def _file(self, entry: Answer) -> File:
        name = entry["Key"].removeprefix(self._prefix)
        shown = printable(name, 4 * len(name) + 4, one_line=True)
        version = entry.get("VersionId", "") if self.copy.versioned else entry["ETag"].strip('"')
        kind = "other" if shown != name else "directory" if name.endswith("/") else "file"
        return File(shown, entry["Size"], int(entry["LastModified"].timestamp()), version, kind)

    def _version(self, file: File) -> dict[str, str]:
        return {"VersionId": file.version} if self.copy.versioned else {}

    def _pinned(self, file: File) -> dict[str, str]:
        return self._version(file) or {"IfMatch": f'"{file.version}"'}

    def _look(self, file: File) -> None:
        """Ask for the object without its bytes. Raises Damaged when it is no longer the one listed."""
        self._same(file, self._ask("head_object", file.name, **self._pinned(file)))

    def _same(self, file: File, answer: Answer) -> None:
        """Services that pass over what pins a request answer with another object."""
        where = self._name(file.name)
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        size = int(total) if total.isdigit() else answer.get("ContentLength", file.size)
        if not self.copy.versioned:
            same = answer.get("ETag", "").strip('"') == file.version
        elif file.version == "null":  # a bucket that keeps no versions after all: the next write takes its place
            same = int(answer["LastModified"].timestamp()) == file.changed
        else:
            same = answer.get("VersionId", file.version) == file.version
        if not same:
            raise Damaged("changed", "it is no longer the object that was listed", where=where, hint="list it again")
        if size < file.size:
            raise Damaged("short", f"it has {size} bytes where {file.size} are listed", where=where, hint=_OTHER)
        if size > file.size:
            raise Damaged("changed", f"it has {size} bytes where {file.size} are listed", where=where, hint=_OTHER)

    def _chunks(self, file: File, begin: int, count: int) -> Generator[bytes, None, None]:
        if count == 0:
            self._look(file)
            return
        got = mark = idle = 0
        while got < count:
            problem: Exception | None = None
            with contextlib.closing(self._body(file, begin + got, begin + count - 1)) as body:
                while got < count and problem is None:
                    try:
                        chunk = body.read(min(_CHUNK, count - got))
                    except broken() as error:
                        problem = error
                        break
                    if not chunk:
                        break
                    got += len(chunk)
                    yield chunk
            if got == count:
                return
            idle = 0 if got - mark >= min(_CHUNK, count) else idle + 1
            mark = got
            if idle >= self._tries:
                raise self._stuck(file, got, count, problem) from problem
            self._wait(pause(idle))

    def _body(self, file: File, first: int, last: int) -> Any:  # noqa: ANN401 -- botocore has no types
        answer = self._ask("get_object", file.name, Range=f"bytes={first}-{last}", **self._pinned(file))
        body = answer["Body"]
        try:
            self._same(file, answer)
            self._placed(file, first, str(answer.get("ContentRange", "")))
        except BaseException:
            body.close()
            raise
        return body

    def _placed(self, file: File, first: int, given: str) -> None:
        """The bytes given are those that were asked for."""
        if (given or first) and not given.startswith(f"bytes {first}-"):
            raise AnswerUnusable(
                "the service does not give parts of an object", where=self._name(file.name), hint=_OTHER
            )

    def _stuck(self, file: File, got: int, count: int, problem: Exception | None) -> RemedyError:
        where, so_far = self._name(file.name), f"after {got} of {count} bytes, {self._tries} times"
        if problem is not None and "Timeout" in type(problem).__name__:
            return TimedOut(f"nothing came for {self._idle:g} s {so_far}", where=where)
        if problem is None or "Incomplete" in f"{type(problem).__name__} {problem}":
            return Damaged("short", f"the service ends it {so_far}", where=where, hint=_OTHER)
        said = printable(str(problem), 200, one_line=True)
        return ConnectionLost(f"the connection broke {so_far}: {said}", where=where)

    # --- writing -----------------------------------------------------------------------------------------------------

    def _refuse_taken(self, name: str, *, strictly: bool = False) -> None:
        """Who may write need not be allowed to look: a conditional write is enough, unless there is none (strictly)."""
        try:
            self._ask("head_object", name)
        except Damaged:
            return
        except Refused:
            if strictly:
                raise
            return
        raise Taken("there is something of that name, which stays", where=self._name(name), hint="take another name")

    def _put(self, name: str, mark: str, body: bytearray) -> Answer:
        extra = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": _sha256(body)}
        return self._once("put_object", name, mark, extra, Body=body, Metadata={_MARK: mark})

    def _multipart(self, name: str, mark: str, parts: Iterable[bytearray]) -> tuple[Answer, int]:
        extra = {"ChecksumAlgorithm": "SHA256"}
        upload = self._lenient("create_multipart_upload", name, extra, Metadata={_MARK: mark})
        number, summed = upload["UploadId"], upload.get("ChecksumAlgorithm") == "SHA256"
        done: list[dict[str, object]] = []
        size = 0

        def send(part: bytearray, place: int) -> dict[str, object]:
            given = {"ChecksumSHA256": _sha256(part)} if summed else {}
            options = {"UploadId": number, "PartNumber": place, "Body": part, **(extra if summed else {}), **given}
            return {"PartNumber": place, "ETag": self._ask("upload_part", name, **options)["ETag"], **given}

        try:
            # One part is sent while the next is gathered.
            with ThreadPoolExecutor(1) as pool:
                pending: Future[dict[str, object]] | None = None
                for place, part in enumerate(parts, 1):
                    done += [pending.result()] if pending else []
                    pending = pool.submit(send, part, place)
                    size += len(part)
                done += [pending.result()] if pending else []
            whole = {"UploadId": number, "MultipartUpload": {"Parts": done}}
            answer = self._once("complete_multipart_upload", name, mark, {}, **whole)
        except BaseException:
            # Parts that stay cost money and show nowhere.
            with contextlib.suppress(RemedyError):
                self._ask("abort_multipart_upload", name, UploadId=number)
            raise
        return answer, size

    def _lenient(self, operation: str, name: str, extra: Mapping[str, object], **options: object) -> Answer:
        """A request with what some services do not know, and without if this one does not."""
        try:
            return self._ask(operation, name, **options, **extra)
        except Unknown:
            if not extra:
                raise
            return self._ask(operation, name, **options)

    def _once(self, operation: str, name: str, mark: str, extra: Mapping[str, object], **options: object) -> Answer:
        """A request that gives an object its name, unless the name is taken by something else."""
        try:
            try:
                return self._lenient(operation, name, extra, IfNoneMatch="*", **options)
            except Unknown:
                self._refuse_taken(name, strictly=True)
                return self._lenient(operation, name, extra, **options)
        except RemedyError:
            # Its answer may have been lost, and the next try met our own object.
            with contextlib.suppress(RemedyError):
                found = self._ask("head_object", name)
                if found.get("Metadata", {}).get(_MARK) == mark:
                    return found
            raise

    def _stored(self, name: str, size: int, answer: Answer) -> File:
        version = {"VersionId": answer["VersionId"]} if self.copy.versioned and answer.get("VersionId") else {}
        try:
            found = self._ask("head_object", name, **version)
        except Refused:  # who may write need not be allowed to look
            headers = answer["ResponseMetadata"]["HTTPHeaders"]
            found = {**answer, "ContentLength": size, "LastModified": parsedate_to_datetime(headers["date"])}
        if found["ContentLength"] != size:
            raise AnswerUnusable(f"{size} bytes were sent, and the service has others", where=self._name(name))
        kept = found.get("VersionId", "null") if self.copy.versioned else found["ETag"].strip('"')
        modified: datetime = found["LastModified"]
        return File(name, size, int(modified.timestamp()), kept)

    def _ask(self, operation: str, name: str, **options: object) -> Answer:
        """A request about one object."""
        return self._service.call(operation, self._prefix + name, Key=self._prefix + name, **options)

    def _name(self, name: str) -> str:
        return self._where + printable(name, one_line=True)


_OTHER: Final = "take the backup from another copy"


def _next(page: Answer) -> dict[str, object]:
    """Where the next page of a listing starts."""
    if "NextContinuationToken" in page:
        return {"ContinuationToken": page["NextContinuationToken"]}
    return {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}


def _sha256(part: bytes | bytearray) -> str:
    return base64.b64encode(hashlib.sha256(part).digest()).decode()


def _parts(chunks: Iterable[bytes], size: int) -> Iterator[bytearray]:
    """Bytes in parts of `size`, twice that after the first two thousand; the last may be shorter."""
    part, number = bytearray(), 0
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            room = (size if number < _DOUBLED else 2 * size) - len(part)
            part += view[:room]
            view = view[room:]
            if len(view) or room == 0:
                yield part
                part, number = bytearray(), number + 1
    if part:
        yield part
