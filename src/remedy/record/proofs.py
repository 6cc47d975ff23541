r"""Hands over a few entries with proofs that they are in the signed record, and nothing of the rest.

Decides the document. Each entry comes with the very bytes that are hashed (`header`, `content`) and its audit path in
the tree that a checkpoint signs. The path consists of hashes alone, and each hash covers 32 random bytes (the salt of a
content), so nothing about the other entries can be guessed from it:

    {"checkpoint":"remedy-record/6d0f…\n42\n…","entries":[{"content":"{\"body\":…}","header":"{\"actor\":…}",
     "path":["9f86…","60ad…"]}],"remedy_proof":1,"signature":"-----BEGIN SSH SIGNATURE-----\n…"}

Leaves to others: signing a checkpoint first (journal), telling the receiver the key's fingerprint by another way.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from remedy.core.canon import Json, canonical
from remedy.core.errors import RecordBroken, UsageError
from remedy.record import checkpoints
from remedy.record.chain import COLUMNS, DAMAGED, Link, linked
from remedy.record.checkpoints import Checkpoint, Signed
from remedy.record.merkle import implied, prove
from remedy.record.store import untorn

#: The `remedy_proof` of the document: raised when what is in it changes its meaning.
FORMAT: Final = 1
#: Bytes of a document that is read at most.
LIMIT: Final = 256 * 1024 * 1024
_SELECT: Final = f"SELECT {COLUMNS} FROM entry WHERE seq <= ? ORDER BY seq"  # noqa: S608 -- a constant


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry that was proven: its number, what its header and body say."""

    seq: int
    header: dict[str, Any]
    body: Json


def hand_over(path: Path, seqs: Collection[int], *, incident: str = "") -> dict[str, Json]:
    """The document for these entries of the record at `path`, all of one incident if one is named.

    Sign a checkpoint first: entries after the newest one cannot be proven. Time grows with the record, memory with what
    is handed over. Raises UsageError (no such signed entry, or it is another incident's), RecordBroken (the record is
    damaged), RecordUnavailable.
    """
    wanted = sorted(set(seqs))
    if not wanted:
        raise UsageError("no entry is named", hint="--entries 3,5-7")

    def read(db: sqlite3.Connection) -> dict[str, Json]:
        signed = checkpoints.newest(db)
        if signed is None:
            raise UsageError("nothing is signed yet", where=str(path), hint="sign a checkpoint first")
        checkpoint, _ = _opened(signed, path)
        if missing := [seq for seq in wanted if not 0 < seq <= checkpoint.size]:
            raise UsageError(
                f"there is no signed entry {missing[0]}", where=str(path), hint=f"there are {checkpoint.size}"
            )
        kept: dict[int, Link] = {}
        leaves = _leaves(db, path, checkpoint, frozenset(wanted), kept)
        try:
            root, paths = prove(leaves, checkpoint.size, [seq - 1 for seq in wanted])
        except ValueError as error:
            raise RecordBroken("entries are missing", where=str(path), hint=DAMAGED) from error
        if root != checkpoint.root:
            raise RecordBroken("the entries are not those signed", where=str(path), hint=DAMAGED)
        if other := [seq for seq in wanted if incident and kept[seq].incident != incident]:
            raise UsageError(
                f"entry {other[0]} is not one of {incident}", hint="`remedy incident show -v` numbers them"
            )
        entries: list[Json] = [
            {
                "header": kept[seq].header().decode(),
                "content": kept[seq].content().decode(),
                "path": [node.hex() for node in paths[seq - 1]],
            }
            for seq in wanted
        ]
        return {
            "remedy_proof": FORMAT,
            "checkpoint": signed.body,
            "signature": signed.signature,
            "entries": entries,
        }

    return untorn(path, read)


def check(text: str, trusted: Collection[str], *, where: str = "") -> tuple[Checkpoint, str, tuple[Proven, ...]]:
    """What a document proves: the signed checkpoint, the fingerprint that signed it, the entries.

    Raises RecordBroken when anything in it does not fit, or the key is none of the `trusted`; UsageError when it is no
    such document.
    """
    try:
        given = json.loads(text)
        if given["remedy_proof"] != FORMAT:
            raise UsageError(f"this proof has a format that this remedy does not know: {FORMAT} is known", where=where)
        signed = Signed(0, str(given["checkpoint"]), str(given["signature"]))
        rows = [(str(one["header"]), str(one["content"]), [*map(str, one["path"])]) for one in given["entries"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            "this is no proof of entries", where=where, hint="`remedy incident export --proofs`"
        ) from error
    checkpoint, key = checkpoints.opened(signed)
    if key.fingerprint not in trusted:
        raise RecordBroken(f"it is signed by {key.fingerprint}, which is none of the keys named", where=where)
    if not rows:
        raise RecordBroken("it proves no entry at all", where=where)
    return checkpoint, key.fingerprint, tuple(_proven(*row, checkpoint, where) for row in rows)


def _proven(header: str, content: str, path: list[str], checkpoint: Checkpoint, where: str) -> Proven:
    try:
        said = json.loads(header)
        body = json.loads(content)["body"]
        seq = said["seq"]
        if canonical(said).decode() != header or type(seq) is not int:
            raise RecordBroken("a header is not written as remedy writes it", where=where)
        root = implied(hashlib.sha256(header.encode()).digest(), seq - 1, checkpoint.size, [*map(bytes.fromhex, path)])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordBroken(f"an entry cannot be read: {error}", where=where) from error
    if hashlib.sha256(content.encode()).hexdigest() != said.get("body_sha256"):
        raise RecordBroken(f"entry {seq}: the body is not the one its header names", where=where)
    if root != checkpoint.root:
        raise RecordBroken(f"entry {seq} is not in the record that the checkpoint signs", where=where)
    return Proven(seq, said, body)


def _leaves(
    db: sqlite3.Connection, path: Path, checkpoint: Checkpoint, wanted: frozenset[int], kept: dict[int, Link]
) -> Iterator[bytes]:
    """The hash of every signed entry, computed anew; the wanted entries are kept on the way."""
    for number, row in enumerate(db.execute(_SELECT, (checkpoint.size,)), 1):
        link = linked(row, where=str(path))
        digest = hashlib.sha256(link.header())
        if link.seq != number or digest.hexdigest() != link.hash:
            raise RecordBroken(f"entry {link.seq} does not verify", where=str(path), hint=DAMAGED)
        if number in wanted:
            if hashlib.sha256(link.content()).hexdigest() != link.body_sha256:
                raise RecordBroken(f"entry {link.seq} does not verify", where=str(path), hint=DAMAGED)
            kept[number] = link
        yield digest.digest()


def _opened(signed: Signed, path: Path) -> tuple[Checkpoint, object]:
    try:
        return checkpoints.opened(signed)
    except RecordBroken as error:
        raise RecordBroken(f"its newest checkpoint: {error.message}", where=str(path), hint=DAMAGED) from error
