"""Whether a backup that is whole is also what one would expect: compared with the server and with the last good backup.

Decides findings from what was read (`Contents`), from what the server shows now (`Live`, which may be ruined or gone)
and from the last backup that was good. Leaves to others: asking the server, and what the operator accepts. Comparison
with what is live alone misleads where an intruder has been; with the last good backup alone, where the site has grown.

    code              accept  said when
    wrong-database    no      it holds another database
    no-tables         no      it holds no table at all
    collation         no      the server does not know a collation that it names (MySQL 8's utf8mb4_0900_* on MariaDB)
    max-packet        no      its longest statement is longer than the server takes
    space             no      it certainly does not fit on the disk
    before-restore    yes     it is what a restore has put aside: the data that was to be replaced
    no-rows           yes     it has tables, and rows in none of them
    missing-tables    yes     tables of the live database or of the last good backup are not in it
    shrunken          yes     a table or the whole has less than half of the rows or bytes it had
    objects-missing   yes     views, triggers, routines or events of the last good backup are not in it
    newer-server      yes     it is from a newer series of the same server
    other-server      yes     it is from MySQL and the server is MariaDB, or the other way round
    charset           yes     it was dumped in a character set that cannot hold what the tables hold
    definers          yes     something new or changed runs with an administrator's rights: planted?
    definer-missing   yes     something belongs to an account that the server does not have
    space-tight       yes     it may not fit on the disk

Sources: MySQL Reference Manual, "mysqldump", "Packet Too Large", "INFORMATION_SCHEMA TABLES" (InnoDB's row counts are
estimates, off by 40 to 50 %); MariaDB 11.4.5 release notes (0900 collations); tried on MariaDB 10.11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from remedy.backups.values import Contents, Finding, Object, Table
from remedy.core.text import printable

#: Every code of this module, and whether it can be accepted.
CODES: Final[dict[str, bool]] = {
    "wrong-database": False,
    "no-tables": False,
    "collation": False,
    "max-packet": False,
    "space": False,
    "before-restore": True,
    "no-rows": True,
    "missing-tables": True,
    "shrunken": True,
    "objects-missing": True,
    "newer-server": True,
    "other-server": True,
    "charset": True,
    "definers": True,
    "definer-missing": True,
    "space-tight": True,
}
#: What a statement needs beside its own bytes within max_allowed_packet (the command byte; measured on 10.11).
PACKET_OVERHEAD: Final = 2
#: Tables with fewer rows or bytes than this may shrink as they like: sessions, caches, queues.
FEW_ROWS: Final = 100
FEW_BYTES: Final = 65_536
#: What a load takes on disk for each byte of row text, and beside it (redo, undo, temporary files). Measured on InnoDB:
#: 0.8 for BLOBs in hexadecimal, 2.0 for text with two indexes, up to 7 for narrow tables of numbers.
GROWTH: Final = 2.0
BESIDE: Final = 256 << 20
#: The first MariaDB that takes MySQL's 0900 collations for its own of Unicode 14 (MDEV-20912), that has those
#: (MDEV-27009).
_TAKES_0900: Final = (11, 4, 5)
_HAS_UCA1400: Final = (10, 10, 1)
_MAX_PACKET: Final = 1 << 30
_SHOWN: Final = 5
_VERSION: Final = re.compile(r"(?:5\.5\.5-(?=10\.|11\.|12\.))?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?")
#: Client character sets that hold every character: nothing is lost in a dump.
_HOLDS_ALL: Final = frozenset({"utf8mb4", "binary", "utf16", "utf32", ""})


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A base table as the server lists it: rows by its own estimate, bytes of data and indexes."""

    name: str
    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Live:
    """What the server shows now. Empty or 0 is "not known" and compared with nothing; `free` is -1 then.

    `tables` are the live schema's, without views. `objects` are its (kind, name, definer). `accounts` are all
    'user'@'host' of the server, `powerful` those with SUPER or SET USER. `max_packet` is max_allowed_packet, `free` the
    bytes free where its data lies, `collations` what it knows, `charset` the schema's default.
    """

    server: str = ""
    tables: tuple[LiveTable, ...] = ()
    objects: tuple[tuple[str, str, str], ...] = ()
    accounts: tuple[str, ...] = ()
    powerful: tuple[str, ...] = ()
    max_packet: int = 0
    free: int = -1
    collations: tuple[str, ...] = ()
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """Which server: "MariaDB", "MySQL" or "" for unknown, and its version."""

    vendor: str
    version: tuple[int, int, int]

    @property
    def series(self) -> tuple[int, int]:
        """Releases of one series read each other's data: 10.11, 8.0."""
        return self.version[:2]


def server(text: str) -> Server:
    """The server in a version text.

    Sample::

        10.11.19-MariaDB-0+deb12u1-log    5.5.5-10.6.12-MariaDB    8.0.36-0ubuntu0.22.04.1    8.0.36-28 (Percona)
    """
    found = _VERSION.search(text[:200])
    if not found:
        return Server("", (0, 0, 0))
    version = (int(found[1]), int(found[2]), int(found[3] or 0))
    return Server("MariaDB" if "mariadb" in text.lower() or version[0] in {10, 11, 12} else "MySQL", version)


def findings(
    contents: Contents, schema: str, *, live: Live | None = None, last: Contents | None = None
) -> tuple[Finding, ...]:
    """What is odd about a backup of `schema`, fatal things first.

    `live` is None when the server says nothing at all, `last` when no good backup is known. Lists of names are cut
    after five.
    """
    around = live or Live()
    found = [
        *_database(contents, schema, around, last),
        *_tables(contents, around, last),
        *_objects(contents, around, last),
        *_versions(contents, around),
        *_text(contents, around, last),
        *_limits(contents, around, last),
    ]
    return tuple(sorted(found, key=lambda finding: list(CODES).index(finding.code)))


def _finding(code: str, text: str) -> Finding:
    return Finding(code, text, fatal=not CODES[code])


def _names(names: Iterable[str]) -> str:
    row = sorted(names)
    more = f" and {len(row) - _SHOWN} more" if len(row) > _SHOWN else ""
    return ", ".join(_name(name) for name in row[:_SHOWN]) + more


def _name(text: str) -> str:
    return printable(text, 80, one_line=True)


def _database(contents: Contents, schema: str, live: Live, last: Contents | None) -> Iterator[Finding]:
    inside = contents.facts.database
    if inside and inside != schema:
        yield _finding("wrong-database", f"it is a backup of {_names([inside])}, not of {_names([schema])}")
    if not contents.tables:
        other = "" if inside == schema else f" of {_names([schema])}"
        yield _finding("no-tables", f"there is no table{other} in it")
        return
    if not any(_has_rows(table) for table in contents.tables):
        tables = last.tables if last else ()
        before = sum(table.rows for table in live.tables) or sum(max(0, table.count) for table in tables)
        lost = f", and {before:,} rows are known of" if before else ""
        yield _finding("no-rows", f"none of its {len(contents.tables)} tables has a row{lost}")


def _tables(contents: Contents, live: Live, last: Contents | None) -> Iterator[Finding]:
    if not contents.tables:
        return
    have = {table.name: table for table in contents.tables}
    for source, names in (
        ("the last good backup", [table.name for table in last.tables] if last else []),
        ("the live database", [table.name for table in live.tables]),
    ):
        missing = set(names) - set(have)
        if missing:
            text = f"{len(missing)} of {len(names)} tables of {source} are not in it: {_names(missing)}"
            yield _finding("missing-tables", text)
    if not any(_has_rows(table) for table in contents.tables):
        return  # "no-rows" has said it
    if last:
        before = {table.name: table for table in last.tables}
        pairs = {name: (have[name], before[name]) for name in have if name in before}
        rows = {name: (_rows(now), _rows(old)) for name, (now, old) in pairs.items()}
        yield from _shrunken(rows, FEW_ROWS, "rows of the last good backup")
        # The text of rows and InnoDB's pages (a physical backup counts no rows) cannot be compared.
        alike = {name: pair for name, pair in pairs.items() if (pair[0].count < 0) == (pair[1].count < 0)}
        sizes = {name: (now.bytes, old.bytes) for name, (now, old) in alike.items()}
        yield from _shrunken(sizes, FEW_BYTES, "bytes of the last good backup")
    estimates = {table.name: (_rows(have[table.name]), table.rows) for table in live.tables if table.name in have}
    yield from _shrunken(estimates, FEW_ROWS, "rows of the live database, as it estimates them")


def _has_rows(table: Table) -> bool:
    return table.count > 0 or table.bytes > 0


def _rows(table: Table) -> int:
    """The number of rows, -1 when it was not counted."""
    return table.count if _has_rows(table) else 0


def _shrunken(pairs: dict[str, tuple[int, int]], few: int, what: str) -> Iterator[Finding]:
    """Tables with less than half of what they had, and the same of their sum; what was not counted is left out."""
    counted = {name: pair for name, pair in pairs.items() if min(pair) >= 0}
    smaller = {name: pair for name, pair in counted.items() if pair[1] >= few and pair[0] * 2 < pair[1]}
    if smaller:
        worst = sorted(smaller, key=lambda name: (smaller[name][0] - smaller[name][1], name))
        listed = [f"{_name(name)} {smaller[name][0]:,} of {smaller[name][1]:,}" for name in worst[:_SHOWN]]
        more = f" and {len(worst) - _SHOWN} more" if len(worst) > _SHOWN else ""
        yield _finding("shrunken", f"less than half of the {what}: {', '.join(listed)}{more}")
    now, old = (sum(pair[side] for pair in counted.values()) for side in (0, 1))
    if old >= few and now * 2 < old:
        yield _finding("shrunken", f"in all {now:,} of {old:,} {what}")


def _objects(contents: Contents, live: Live, last: Contents | None) -> Iterator[Finding]:
    have = {(one.kind, one.name) for one in contents.objects}
    if last:
        missing = {(one.kind, one.name) for one in last.objects} - have
        if missing:
            text = f"{len(missing)} objects of the last good backup are not in it: "
            yield _finding("objects-missing", text + _names(f"{kind} {name}" for kind, name in missing))
    new = _powers(contents, live, last) if last or live.objects else []
    if new:
        source = "the last good backup" if last else "the live database"
        listed = _names(f"{one.kind} {one.name} ({account(one.definer)})" for one in new)
        text = f"{len(new)} objects run with an administrator's rights and did not so in {source}: {listed}"
        yield _finding("definers", f"{text}. Read their text before you accept them")
    accounts = {account(one) for one in live.accounts}
    strange = [one for one in contents.objects if accounts and one.definer and account(one.definer) not in accounts]
    if strange:
        who = _names({account(one.definer) for one in strange})
        text = f"{len(strange)} objects belong to accounts that the server does not have, and fail when used: {who}"
        yield _finding("definer-missing", text)


def _powers(contents: Contents, live: Live, last: Contents | None) -> list[Object]:
    """Objects that run with an administrator's rights and were not there, or read otherwise: a way back in?"""
    powerful = {account(one) for one in live.powerful}
    now = [one for one in contents.objects if _is_powerful(account(one.definer), powerful)]
    if not last:
        before = {(kind, name, account(definer)) for kind, name, definer in live.objects}
        return [one for one in now if (one.kind, one.name, account(one.definer)) not in before]
    digests = {(one.kind, one.name, account(one.definer)): one.digest for one in last.objects}
    # Another tool writes the same definition in other words.
    alike = last.facts.tool == contents.facts.tool
    found = []
    for one in now:
        digest = digests.get((one.kind, one.name, account(one.definer)))
        if digest is None or (alike and digest != one.digest):
            found.append(one)
    return found


def account(text: str) -> str:
    """An account as user@host, however it is quoted: `root`@`localhost`, 'root'@'localhost', root@localhost."""
    user, _, host = text.rpartition("@")
    return f"{_unquoted(user)}@{_unquoted(host).lower()}" if user else _unquoted(text)


def _unquoted(text: str) -> str:
    quote = text[:1]
    if quote in {"`", "'", '"'} and text.endswith(quote) and len(text) > 1:
        return text[1:-1].replace(quote * 2, quote)
    return text


def _is_powerful(who: str, powerful: set[str]) -> bool:
    """Whether an account has an administrator's rights; by its name where the server was not asked."""
    return who in powerful if powerful else who.partition("@")[0] in {"root", "admin", "mysql"}


def _versions(contents: Contents, live: Live) -> Iterator[Finding]:
    made, here = server(contents.facts.server), server(live.server)
    if not made.vendor or not here.vendor:
        return
    said, target = f"{made.vendor} {_name(contents.facts.server)}", f"{here.vendor} {_name(live.server)}"
    if made.vendor != here.vendor:
        yield _finding("other-server", f"it is from {said}, the server is {target}: it may not understand definitions")
    elif made.series > here.series:
        series = ".".join(str(part) for part in made.series)
        text = f"it is from {said}, the server is {target}"
        yield _finding("newer-server", f"{text}: upgrade the server to {series} first, or try on a staging host")


def _text(contents: Contents, live: Live, last: Contents | None) -> Iterator[Finding]:
    """Collations and character sets."""
    unknown = [name for name in contents.collations if not _knows(name, live)]
    if unknown:
        yield _finding(
            "collation",
            f"the server ({_name(live.server)}) does not know {_names(unknown)}: restore it on a server that does "
            "(0900: MySQL 8, MariaDB 11.4.5), convert its tables there to utf8mb4_unicode_520_ci, and dump it again",
        )
    dumped = contents.facts.charset.lower()
    wide = [name for name in (*contents.collations, *(last.collations if last else ())) if name.startswith("utf8mb4")]
    if dumped not in _HOLDS_ALL and (wide or live.charset.lower() == "utf8mb4"):
        yield _finding(
            "charset",
            f"it was dumped as {printable(dumped, 40, one_line=True)}, its tables are utf8mb4: characters that do not "
            "fit there (王 in latin1, 😀 in utf8mb3) have become question marks and cannot be brought back",
        )


def _knows(name: str, live: Live) -> bool:
    """Whether the server has a collation. MariaDB lists uca1400 ones without their character set."""
    here = server(live.server)
    if "_0900_" in name and here.vendor == "MariaDB":
        return here.version >= _TAKES_0900
    if live.collations:
        return name in live.collations or name.partition("_")[2] in live.collations
    if "uca1400" in name and here.vendor:
        return here.vendor == "MariaDB" and here.version >= _HAS_UCA1400
    return True


def _limits(contents: Contents, live: Live, last: Contents | None) -> Iterator[Finding]:
    need = contents.longest + PACKET_OVERHEAD
    if live.max_packet and need > live.max_packet:
        takes = live.max_packet - PACKET_OVERHEAD
        what = f"its longest statement has {contents.longest:,} bytes, the server takes {takes:,}"
        size = 1 << (need - 1).bit_length()
        todo = f"SET GLOBAL max_allowed_packet={size}" if size <= _MAX_PACKET else "no server takes more than 1 GiB"
        yield _finding("max-packet", f"{what}: {todo}")
    if live.free < 0:
        return
    text = sum(table.bytes for table in contents.tables)
    least, likely = text // 2, estimate(contents, live, last)
    if live.free < least:
        yield _finding("space", f"it needs about {likely:,} bytes beside the live data, {live.free:,} are free")
    elif live.free < likely:
        yield _finding("space-tight", f"it may need {likely:,} bytes beside the live data, {live.free:,} are free")


def estimate(contents: Contents, live: Live | None = None, last: Contents | None = None) -> int:
    """The bytes that loading it beside the live data will take, by what the live data takes for its text."""
    text = sum(table.bytes for table in contents.tables)
    growth = GROWTH
    stored = sum(table.bytes for table in live.tables) if live else 0
    before = sum(table.bytes for table in last.tables) if last else 0
    if stored and before:
        growth = min(max(stored / before, 1.0), 8.0)
    return int(text * growth) + BESIDE
