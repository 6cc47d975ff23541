"""Dumps of a schema as it is now: made on the host, streamed here, read by the format that reads backups.

Decides how mariadb-dump is called and when its dump is whole: status 0, no complaint, and a structure that ends as it
should. mariadb-dump ends with status 0 after several kinds of failure, so none of the three is enough. Leaves to
others: what is done with the bytes.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable
from typing import Final

from remedy.backups import formats
from remedy.backups.formats import Piece, Reading
from remedy.backups.values import Contents
from remedy.core.errors import ChangeFailed
from remedy.core.text import printable
from remedy.core.values import Command
from remedy.transports.transfers.clients import Bulk, Running
from remedy.transports.transfers.flow import Stopped

#: One consistent snapshot, without locks, a row at a time.
SNAPSHOT: Final = ("--single-transaction", "--skip-lock-tables", "--quick", "--no-tablespaces")
#: What mariadb-dump writes is a dump, whatever the backup that is compared was.
FORMAT: Final = "dump"

_COMPLAINT: Final = re.compile(
    rb"^(?:ERROR|Could not open required|\S*(?:mariadb|mysql)[\w-]*: (?!\[?Warning|Deprecated))[^\r\n]*", re.MULTILINE
)
_VIEW: Final = re.compile(rb"View '([^']+)' references invalid|SHOW (?:FIELDS FROM|CREATE \w+) `([^`]+)`")
_DEFINER: Final = re.compile(rb"definer \('([^']*)'@'([^']*)'\) does not exist")


def scanned(
    reading: Reading, chunks: Iterable[bytes], name: str, on_piece: Callable[[Piece], None] = lambda _: None
) -> Contents:
    """Read a whole dump; `on_piece` gets every piece in order. Raises Damaged."""
    reading.begin(name)
    for chunk in chunks:
        for piece in reading.feed(chunk):
            on_piece(piece)
    for piece in reading.end():
        on_piece(piece)
    return reading.close()


def reading_of(schema: str) -> Reading:
    """A reading of what mariadb-dump writes."""
    return formats.named(FORMAT).reading(schema)


def ended_well(status: int, said: bytes, *, where: str, doing: str) -> None:
    """Raise ChangeFailed unless a dumper's end was a good one; a view that stood in its way is named."""
    complaints = _COMPLAINT.findall(said)
    if not status and not complaints:
        return
    line = printable(complaints[-1], 300, one_line=True) if complaints else "no word of why"
    hint = ""
    if b"command not found" in said or status == 127:  # noqa: PLR2004 -- the shell's status for it
        hint = "install mariadb-client on the database host"
    if b"Lock wait timeout" in said:
        hint = "somebody holds a lock on it: SHOW FULL PROCESSLIST names the session; end it (KILL), then start again"
    if definer := _DEFINER.search(said):
        account = printable(b"'%s'@'%s'" % definer.groups(), 100, one_line=True)
        hint = f"create the account {account}, or give what it defines another definer"
    if view := _VIEW.search(said):
        name = printable(view[1] or view[2], 140, one_line=True)
        hint = f"{name} cannot be opened: something it names, or its definer, is gone; drop or mend it"
    raise ChangeFailed(f"{doing}: the dump ended with status {status}: {line}", where=where, hint=hint)


class Leash:
    """A Bulk that can end everything that was started through it. May be shared by threads."""

    def __init__(self, bulk: Bulk) -> None:
        """Start through `bulk`."""
        self._bulk = bulk
        self._lock = threading.Lock()
        self._running: list[Running] = []
        self._ended = False

    def start(self, command: Command, *, at: str, short: bool = False) -> Running:
        """As Bulk. Raises Stopped after `kill`."""
        with self._lock:
            if self._ended:
                raise Stopped
        running = self._bulk.start(command, at=at, short=short)
        with self._lock:
            self._running.append(running)
            ended = self._ended
        if ended:
            running.kill()
            raise Stopped
        return running

    def kill(self) -> None:
        """End all, and start no more."""
        with self._lock:
            self._ended, running, self._running = True, self._running, []
        for one in running:
            with contextlib.suppress(Exception):
                one.kill()
