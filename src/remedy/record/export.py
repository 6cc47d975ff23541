"""Hands the record over as a folder that anybody can check with stock tools.

Decides the layout, and that `sh VERIFY.txt` checks it with sha256sum, ssh-keygen, sed, grep, find and sort alone:

    VERIFY.txt          what this is and how to check it; also a shell script
    SHA256SUMS          of every other file
    entries/00000001.json …   the very bytes that are hashed: sha256sum of one is "prev" in the next
    bodies/00000001.json …    body and salt: sha256sum of one is "body_sha256" in the entry of the same name
    checkpoint.txt, checkpoint.txt.sig    the newest checkpoint; its "head" is sha256sum of the last entry
    allowed_signers     the key that signed it

An export covers the entries that the newest checkpoint signs. For one incident, all entries are there (the chain needs
them) but only that incident's bodies: what the others say stays at home.
Leaves to others: signing a checkpoint first (journal), and telling the receiver the key's fingerprint by another way.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from pathlib import Path
from typing import Final

from remedy.core.errors import RecordBroken, UsageError
from remedy.record import checkpoints
from remedy.record.chain import COLUMNS, DAMAGED, ZERO, linked
from remedy.record.store import untorn

_SELECT: Final = f"SELECT {COLUMNS} FROM entry WHERE seq <= ? ORDER BY seq"  # noqa: S608 -- a constant
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9._-]+")
_DAMAGED: Final = "`remedy incident verify` shows the extent; for examination, copy the database file as it is"

_VERIFY: Final = """\
# INCIDENT RECORD, {what}
#
# {count} entries, written by remedy and signed by the key
#   {fingerprint}
# A key inside this folder proves nothing by itself: compare this fingerprint with the one you were told by another way.
#
# Check it with:   cd THIS_FOLDER && sh VERIFY.txt
# It needs sh, sha256sum, ssh-keygen, find, sort, sed, grep, cut and xargs; remedy need not be installed.
# Nothing is proven unless the last line it prints is:   VERIFIED
# Who doubts this file too can type the commands from remedy's reference of the record format.
set -eu
export LC_ALL=C
fail() {{ echo "NOT VERIFIED: $1"; exit 1; }}

# 1. Every file is as it was written, none is missing and none was planted.
test "$(find . ! -type d ! -path ./SHA256SUMS | sort)" = "$(sed 's/^[0-9a-f]*  //' SHA256SUMS | sort)" \\
  || fail "files were added or removed"
sha256sum --strict --quiet -c SHA256SUMS || fail "a file was changed"
test -z "$(find . ! -type d ! -path './entries/[0-9]*.json' ! -path './bodies/[0-9]*.json' ! -path ./SHA256SUMS \\
  ! -path ./VERIFY.txt ! -path ./allowed_signers ! -path ./checkpoint.txt ! -path ./checkpoint.txt.sig)" \\
  || fail "there are files that do not belong here"

# 2. Each entry names the hash of the one before; the checkpoint names the hash of the last one, and how many there are.
entries() {{ find entries -name '*.json' | sort; }}
hashes=$(entries | xargs sha256sum | cut -c 1-64)
prevs=$(entries | xargs grep -ho '"prev":"[0-9a-f]*"' | cut -d '"' -f 4)
zero=0000000000000000000000000000000000000000000000000000000000000000
head=$(sed -n 's/^head //p' checkpoint.txt)
test "$zero
$hashes" = "$prevs
$head" || fail "the chain of entries is broken"
test "$(entries | grep -c .)" = "$(sed -n 2p checkpoint.txt)" || fail "the number of entries is not the signed one"

# 3. Each body belongs to its entry, and no body is missing.
mine() {{ entries | xargs grep -lF '{pattern}'; }}
test "$(mine | sed 's|^entries|bodies|')" = "$(find bodies ! -type d | sort)" || fail "bodies are missing or too many"
mine | xargs grep -Ho '"body_sha256":"[0-9a-f]*"' \\
  | sed 's|^entries/\\(.*\\):"body_sha256":"\\(.*\\)"$|\\2  bodies/\\1|' \\
  | sha256sum --strict --quiet -c - || fail "a body is not the one its entry names"

# 4. The checkpoint is signed.
ssh-keygen -Y verify -f allowed_signers -I {identity} -n {namespace} -s checkpoint.txt.sig < checkpoint.txt \\
  || fail "the signature is wrong"
echo "Compare the fingerprint above with the one you were told."
echo VERIFIED
"""


def export(path: Path, directory: Path, *, incident: str = "") -> Path:
    """Write the record at `path`, or what belongs to one incident, to a new folder; returns `directory`.

    Sign a checkpoint first: entries after the newest one are left out. Nothing is changed in the record.
    Raises UsageError (the folder is not empty, cannot be written, there is no such incident or no checkpoint yet),
    RecordUnavailable (no record there), RecordBroken (the record is damaged: damaged goods are not handed over).
    """
    if incident and not _SAFE_ID.fullmatch(incident):
        raise UsageError(f"there is no incident {incident!r}", hint="`remedy incident list` shows them all")

    def write(db: sqlite3.Connection) -> Path:
        signed = checkpoints.newest(db)
        if signed is None:
            raise UsageError("nothing is signed yet", where=str(path), hint="sign a checkpoint first")
        return _Folder(directory, signed, incident, path).write(db)

    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError("the folder for the export is not empty", where=str(directory), hint="name a new one")
        return untorn(path, write)
    except OSError as error:
        raise UsageError(
            f"the export cannot be written: {error.strerror}", where=str(directory), hint="name another folder"
        ) from error


class _Folder:
    """One export being written."""

    def __init__(self, directory: Path, signed: checkpoints.Signed, incident: str, record: Path) -> None:
        self._directory, self._signed, self._incident, self._record = directory, signed, incident, record
        self._sums: list[str] = []
        try:
            self._checkpoint, self._key = checkpoints.opened(signed)
        except RecordBroken as error:
            raise RecordBroken(f"its newest checkpoint: {error.message}", where=str(record), hint=DAMAGED) from error

    def write(self, db: sqlite3.Connection) -> Path:
        directory = self._directory
        for folder in (directory, directory / "entries", directory / "bodies"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        bodies = self._entries(db)
        if not bodies:
            raise UsageError(f"there is no signed entry of incident {self._incident!r}", where=str(self._record))
        self._put("checkpoint.txt", self._signed.body.encode())
        self._put("checkpoint.txt.sig", self._signed.signature.encode())
        signer = self._key.allowed_signer(checkpoints.IDENTITY, checkpoints.NAMESPACE)
        self._put("allowed_signers", signer.encode())
        self._put("VERIFY.txt", self._instructions().encode())
        (directory / "SHA256SUMS").write_bytes("".join(self._sums).encode())
        return directory

    def _entries(self, db: sqlite3.Connection) -> int:
        """Write every signed entry, checking the chain on the way; returns the number of bodies written."""
        head, count, bodies = ZERO, 0, 0
        for row in db.execute(_SELECT, (self._checkpoint.size,)):
            link = linked(row, where=str(self._record))
            header, content = link.header(), link.content()
            digest = hashlib.sha256(header).hexdigest()
            bound = hashlib.sha256(content).hexdigest() == link.body_sha256
            if (link.seq, link.prev, link.hash, bound) != (count + 1, head, digest, True):
                raise RecordBroken(f"entry {link.seq} does not verify", where=str(self._record), hint=_DAMAGED)
            head, count = digest, link.seq
            name = f"{link.seq:08d}.json"
            self._put(f"entries/{name}", header)
            if self._incident in {"", link.incident}:
                self._put(f"bodies/{name}", content)
                bodies += 1
        if (count, head) != (self._checkpoint.size, self._checkpoint.head):
            raise RecordBroken("the entries are not those signed", where=str(self._record), hint=_DAMAGED)
        return bodies

    def _put(self, name: str, data: bytes) -> None:
        (self._directory / name).write_bytes(data)
        self._sums.append(f"{hashlib.sha256(data).hexdigest()}  ./{name}\n")

    def _instructions(self) -> str:
        what = f"{self._incident} (bodies of other incidents withheld)" if self._incident else "complete"
        return _VERIFY.format(
            what=what,
            count=self._checkpoint.size,
            fingerprint=self._key.fingerprint,
            pattern=f'"incident":"{self._incident}"' if self._incident else '"body_sha256":"',
            identity=checkpoints.IDENTITY,
            namespace=checkpoints.NAMESPACE,
        )
