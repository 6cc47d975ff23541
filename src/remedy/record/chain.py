"""The chain: which bytes of an entry are hashed, and how entries are tied together.

Decides the format of an entry (version 1). The hash of an entry is SHA-256 over its *header*, canonical JSON:

    {"actor":{"machine":"adm1","pid":812,"sudo_user":"","uid":0,"user":"root","version":"0.1.0"},
     "body_sha256":"9c56…","incident":"INC-20261120-1","key":"","kind":"note","prev":"0000…","run":"","seq":1,
     "time":"2026-11-20T06:32:59.000001Z","v":1}

(on one line, no spaces). `prev` is the hash of the entry before, sixty-four zeros for the first. The body is not in
the header but bound by it: `body_sha256` is SHA-256 over the *content*, `{"body":{…},"salt":"…"}`, with 32 random
bytes of salt. So a body can be withheld when entries are handed over and nobody can guess it from its hash.

Leaves to others: storing (store), appending (appending) and checking a whole record (verify).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from json.encoder import encode_basestring as _quoted  # what json.dumps(text, ensure_ascii=False) calls
from typing import Final, cast

from remedy.core.errors import RecordBroken
from remedy.core.values import Entry

#: The hash before the first entry.
ZERO: Final = "0" * 64
#: The `v` of headers: raised when the hashed bytes change their meaning.
ENTRY_FORMAT: Final = 1
#: Bytes of salt in each content.
SALT_BYTES: Final = 32
#: What to do about a damaged record.
DAMAGED: Final = "`remedy incident verify` shows what is damaged"


@dataclass(frozen=True, slots=True)
class Link:
    """One entry with everything that is stored of it. `actor` and `body` are canonical JSON, hashes lower-case hex."""

    seq: int
    hash: str
    prev: str
    time: str
    kind: str
    incident: str
    run: str
    key: str
    actor: str
    body_sha256: str
    salt: str
    body: str

    def header(self) -> bytes:
        """The bytes whose SHA-256 is the entry's hash. The actor's stored text is used as it is."""
        return (
            f'{{"actor":{self.actor},"body_sha256":{_quoted(self.body_sha256)},"incident":{_quoted(self.incident)},'
            f'"key":{_quoted(self.key)},"kind":{_quoted(self.kind)},"prev":{_quoted(self.prev)},'
            f'"run":{_quoted(self.run)},"seq":{self.seq},"time":{_quoted(self.time)},"v":{ENTRY_FORMAT}}}'
        ).encode()

    def content(self) -> bytes:
        """The bytes whose SHA-256 is `body_sha256`: the body with its salt."""
        return content(self.body, self.salt)

    def computed(self) -> str:
        """The hash this entry ought to have."""
        return hashlib.sha256(self.header()).hexdigest()

    def entry(self) -> Entry:
        """The entry as callers see it."""
        return Entry(self.seq, self.hash, self.prev, self.time, self.kind, self.incident, self.run, self.key, self.body)


#: The stored columns, in the order of `Link`'s fields.
COLUMNS: Final = "seq, hash, prev, time, kind, incident, run, key, actor, body_sha256, salt, body"


def linked(row: Sequence[object], *, where: str) -> Link:
    """An entry from its stored columns.

    Raises RecordBroken when one is not of its type: in a damaged file anything can be.
    """
    seq, *texts = row
    if not isinstance(seq, int) or not all(isinstance(text, str) for text in texts):
        raise RecordBroken(f"entry {seq} cannot be read: the file is damaged", where=where, hint=DAMAGED)
    return Link(seq, *cast("list[str]", texts))


def content(body: str, salt: str) -> bytes:
    """The content bytes of a body (canonical JSON) and its salt (hex)."""
    return f'{{"body":{body},"salt":{_quoted(salt)}}}'.encode()


def forge(
    *, seq: int, prev: str, time: str, kind: str, incident: str, run: str, key: str, actor: str, salt: str, body: str
) -> Link:
    """A new entry with its hashes computed."""
    bound = hashlib.sha256(content(body, salt)).hexdigest()
    link = Link(seq, "", prev, time, kind, incident, run, key, actor, bound, salt, body)
    return replace(link, hash=link.computed())


def stamp(moment: datetime) -> str:
    """A moment as the record writes it: UTC, microseconds, `Z` (RFC 3339). Raises ValueError without a time zone."""
    if moment.tzinfo is None:
        msg = "the record's clock must give times with a time zone"
        raise ValueError(msg)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
