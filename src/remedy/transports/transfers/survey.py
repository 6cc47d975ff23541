"""Survey and staged reading: what is in an isolated server, by the same dump that everything is compared with.

Decides that a server which was started on a physical backup, or to which binary logs were applied, is read like a
backup: CHECK TABLE over everything, then one dump, whose tables and hashes are its contents. Dumped once more, the same
contents come out, piece by piece, for a loader. Leaves to others: where the server comes from, and what is loaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from remedy.backups.formats import Piece
from remedy.backups.ports import Damaged
from remedy.backups.transfers import Staged, Survey
from remedy.backups.values import Contents, Judgement
from remedy.core.canon import Json, encode
from remedy.core.errors import ChangeFailed
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.probes.database import named
from remedy.transports.transfers import dumping
from remedy.transports.transfers.clients import Bulk, Login, ask, dumper
from remedy.transports.transfers.compare import checked
from remedy.transports.transfers.dumping import Leash
from remedy.transports.transfers.flow import Progress
from remedy.transports.transfers.take import OPTIONS

_TABLES: Final = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
    " AND table_type NOT IN ('VIEW', 'SEQUENCE')"
)
#: Tables that one client checks before it is asked anew.
_AT_ONCE: Final = 50
_SHOWN: Final = 3


def survey(spec: Survey, at: str, *, bulk: Bulk, tell: Tell, result: dict[str, Json]) -> None:
    """Carry out `spec` on host `at`; `result` is filled in as far as it comes.

    Raises ChangeFailed when a table is damaged or the dump is not whole, Unreachable.
    """
    login, progress, leash = Login(at, spec.login, spec.socket), Progress(tell), Leash(bulk)
    try:
        tables = [row[0] for row in ask(leash, login, spec.schema, _TABLES)]
        result["checked"] = _check(leash, login, spec.schema, tables, progress)
        contents, count = _dumped(
            leash, login, spec.schema, on_piece=lambda _: None, progress=progress, what="read it back"
        )
    finally:
        leash.kill()
    missing = sorted(set(tables) - {table.name for table in contents.tables})
    if missing:
        names = printable(", ".join(missing[:_SHOWN]), 200, one_line=True)
        raise ChangeFailed(f"{len(missing)} tables of the server are not in its dump: {names}", where=at)
    rows = sum(max(0, table.count) for table in contents.tables)
    result |= {"contents": encode(contents), "tables": len(contents.tables), "rows": rows, "bytes": count}


def read_staged(
    staged: Staged,
    schema: str,
    sha256: str,
    *,
    bulk: Bulk,
    on_piece: Callable[[Piece], None],
    tell: Tell,
    now: Callable[[], float] = time.time,
) -> Judgement:
    """Dump `schema` of a staged server as if it were a backup being read; `on_piece` gets every piece in order.

    `sha256` is that of the backup the server was started on: it goes into the judgement. Raises ChangeFailed,
    Unreachable.
    """
    begun, leash = time.monotonic(), Leash(bulk)
    login = Login(staged.at, staged.login, staged.socket)
    try:
        contents, count = _dumped(leash, login, schema, on_piece=on_piece, progress=Progress(tell), what="load")
    finally:
        leash.kill()
    seconds = round(time.monotonic() - begun)
    return Judgement(sha256, count, "whole", contents, at=int(now()), seconds=seconds, read=count)


def _check(leash: Leash, login: Login, schema: str, tables: list[str], progress: Progress) -> int:
    damaged: list[str] = []
    for first in range(0, len(tables), _AT_ONCE):
        some = tables[first : first + _AT_ONCE]
        progress.at("check tables", first, len(tables))
        answers = ask(leash, login, schema, ";\n".join(f"CHECK TABLE {named(name)}" for name in some))
        damaged += [f"{n}: {said}" for n, said in zip(some, checked(answers, len(some)), strict=True) if said]
    if damaged:
        shown = printable("; ".join(damaged[:_SHOWN]), 400, one_line=True)
        raise ChangeFailed(f"{len(damaged)} of {len(tables)} tables are damaged: {shown}", where=login.at)
    return len(tables)


def _dumped(
    leash: Leash, login: Login, schema: str, *, on_piece: Callable[[Piece], None], progress: Progress, what: str
) -> tuple[Contents, int]:
    """What is in the schema, and the bytes of its dump."""
    count = 0
    reading = dumping.reading_of(schema)
    with leash.start(dumper(login, OPTIONS, schema), at=login.at) as running:
        running.close_input()
        try:
            reading.begin("staged.sql")
            for chunk in running:
                count += len(chunk)
                _each(reading.feed(chunk), on_piece)
                progress.at(what, count, 0)
            _each(reading.end(), on_piece)
        except Damaged as error:
            raise ChangeFailed(f"the staged server's dump cannot be read: {error}", where=login.at) from error
        dumping.ended_well(*running.finish(), where=login.at, doing="the staged server is dumped")
    contents = reading.close()
    if fatal := [finding for finding in contents.findings if finding.fatal]:
        raise ChangeFailed(f"the staged server's dump is not whole: {fatal[0].text}", where=login.at)
    return contents, count


def _each(pieces: Iterator[Piece], on_piece: Callable[[Piece], None]) -> None:
    for piece in pieces:
        on_piece(piece)
