"""Checkpoints: a signed statement of what the record was at one size.

Decides the text that is signed: a C2SP tlog-checkpoint body (origin, size, base64 of the RFC 6962 root) with three
extension lines, so that the number, the newest entry's hash and the time are signed too:

    remedy-record/6d0f…
    42
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
    number 3
    head 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    time 2026-11-20T06:32:59.000001Z

A signed checkpoint is this body, an empty line, and its SSHSIG in namespace `remedy-checkpoint-v1`. Each is kept in
the database and as two files, `checkpoints/NNNNNNNN.txt` and `.txt.sig`, to be copied elsewhere.
Leaves to others: when to sign (the engine), sending copies away, checking a record against them (verify).
"""

from __future__ import annotations

import base64
import binascii
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.core.errors import RecordBroken, RecordUnavailable
from remedy.record import sshsig
from remedy.record.chain import DAMAGED
from remedy.record.files import put_new

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: SSHSIG namespace of checkpoints.
NAMESPACE: Final = "remedy-checkpoint-v1"
#: Who signs, in allowed_signers files.
IDENTITY: Final = "remedy-record"

_ORIGIN: Final = "remedy-record/"
_BODY: Final = re.compile(
    r"(remedy-record/[0-9a-f]+)\n(0|[1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\n"
    r"number ([1-9][0-9]{0,17})\nhead ([0-9a-f]{64})\ntime ([0-9TZ:.-]+)\n"
)
_FILE: Final = re.compile(r"([0-9]{8,})\.txt")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What one checkpoint states: at `size` entries the tree's root was `root` and the newest hash `head`."""

    origin: str
    size: int
    root: bytes
    number: int
    head: str
    time: str

    @property
    def body(self) -> str:
        """The text that is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\nnumber {self.number}\nhead {self.head}\ntime {self.time}\n"


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint's body and the armored signature over it."""

    number: int
    body: str
    signature: str

    @property
    def text(self) -> str:
        """Both in one text, for mail, chat and printed reports."""
        return f"{self.body}\n{self.signature}"


def origin(record_id: str) -> str:
    """The first line of every checkpoint of one record."""
    return f"{_ORIGIN}{record_id}"


def is_one(text: str) -> bool:
    """Whether a text means to be a checkpoint."""
    return text.startswith(_ORIGIN)


def parse(body: str, *, where: str = "") -> Checkpoint:
    """A checkpoint from its body, strictly. Raises RecordBroken, about the record at `where`."""
    found = _BODY.fullmatch(body)
    if not found:
        text = "the newest checkpoint in it is none" if where else "this is no checkpoint of an incident record"
        raise RecordBroken(text, where=where, hint=DAMAGED if where else "")
    name, size, root, number, head, time = found.groups()
    try:
        return Checkpoint(name, int(size), base64.b64decode(root, validate=True), int(number), head, time)
    except binascii.Error as error:
        raise RecordBroken("the checkpoint's root is no base64", where=where) from error


def parse_signed(text: str) -> Signed:
    """Body and signature from `Signed.text`. The signature is not checked. Raises RecordBroken."""
    body, gap, signature = text.replace("\r\n", "\n").partition("\n\n")
    if not gap:
        raise RecordBroken("this is no signed checkpoint: there is no empty line between text and signature")
    return Signed(parse(body + "\n").number, body + "\n", signature)


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> Signed:
    """Sign it."""
    return Signed(checkpoint.number, checkpoint.body, sshsig.sign(key, checkpoint.body.encode(), namespace=NAMESPACE))


def opened(signed: Signed) -> tuple[Checkpoint, sshsig.PublicKey]:
    """What a signed checkpoint states and which key says so. Raises RecordBroken when the signature is wrong."""
    checkpoint = parse(signed.body)  # first: what matches is ASCII
    return checkpoint, sshsig.verify(signed.body.encode(), signed.signature, namespace=NAMESPACE)


def stored(db: sqlite3.Connection, *, after: int = 0, most: int = -1) -> list[Signed]:
    """The checkpoints in the database with a number above `after`, in order; at most so many, all when negative."""
    query = "SELECT number, body, signature FROM checkpoint WHERE number > ? ORDER BY number LIMIT ?"
    rows = db.execute(query, (after, most))  # a negative limit is none
    return [_stored(row) for row in rows]


def newest(db: sqlite3.Connection) -> Signed | None:
    """The last checkpoint in the database."""
    row = db.execute("SELECT number, body, signature FROM checkpoint ORDER BY number DESC LIMIT 1").fetchone()
    return _stored(row) if row else None


def _stored(row: tuple[int, object, object]) -> Signed:
    """A row as it is there: in a damaged file anything can be, and is then no checkpoint (`opened`)."""
    return Signed(row[0], str(row[1]), str(row[2]))


def folder(record: Path) -> Path:
    """Where the checkpoint files of a record lie."""
    return record.with_name(f"{record.name}.checkpoints")


def file_numbers(record: Path) -> list[int]:
    """The numbers of the checkpoint files next to a record, in order. Raises OSError."""
    directory = folder(record)
    if not directory.is_dir():
        return []
    return sorted(int(match[1]) for path in directory.iterdir() if (match := _FILE.fullmatch(path.name)))


def is_written(record: Path, number: int) -> bool:
    """Whether the files of a checkpoint are there. Raises RecordUnavailable when the folder cannot be looked into."""
    path = _path(record, number)
    try:
        return path.exists()
    except OSError as error:
        raise RecordUnavailable(
            f"the checkpoint files cannot be read: {error.strerror}", where=str(path.parent), hint="check its owner"
        ) from error


def read_file(record: Path, number: int) -> Signed:
    """A checkpoint from its two files. Raises RecordBroken when one is missing or unreadable."""
    path = _path(record, number)
    try:
        body = path.read_text(encoding="utf-8")
        signature = path.with_name(path.name + ".sig").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordBroken(f"the checkpoint file cannot be read ({error})", where=str(path)) from error
    return Signed(number, body, signature)


def write_files(record: Path, signed: Signed) -> None:
    """Put a checkpoint next to the record; files that are there already stay. Raises RecordUnavailable."""
    path = _path(record, signed.number)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        put_new(path.with_name(path.name + ".sig"), signed.signature.encode())
        put_new(path, signed.body.encode())  # last: a .txt without its .sig never exists
    except OSError as error:
        raise RecordUnavailable(
            f"the checkpoint cannot be written: {error.strerror}", where=str(path), hint="check free space and owner"
        ) from error


def _path(record: Path, number: int) -> Path:
    return folder(record) / f"{number:08d}.txt"
