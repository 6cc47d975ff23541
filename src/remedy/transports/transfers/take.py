"""Take: a dump of the database as it is now, into every copy at once, with a manifest, and read back from each.

Decides when a backup counts: the dump ended well, its text is whole by the same reading that judges backups, every
table and view that the server has is in it, and what a copy gives back has the hash of what was sent. One snapshot, no
locks; a copy that is slower than the dump for long must not keep the snapshot open. Leaves to others: the copies
(`copies`), where they are.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from remedy.backups import accounts, rights
from remedy.backups.manifest import Manifest
from remedy.backups.ports import Damaged, Store
from remedy.backups.rights import Held
from remedy.backups.transfers import Take
from remedy.backups.values import Contents, Copy, Database
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed, RemedyError
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.probes.database import named
from remedy.probes.integrity import held_of, held_sql, rights_sql
from remedy.transports.transfers import dumping
from remedy.transports.transfers.clients import (
    LOCK_WAIT,
    LOCKED,
    Bulk,
    Login,
    Running,
    ServerRefused,
    ask,
    dumper,
    system_dumper,
)
from remedy.transports.transfers.copies import VERIFIED, Copies
from remedy.transports.transfers.flow import Flow, Progress, Stopped, in_thread, wait

OPTIONS: Final = (
    *dumping.SNAPSHOT,
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--default-character-set=utf8mb4",
)
#: Seconds for which the dump waits, in all, for a copy that others are ahead of.
PATIENCE: Final = 10.0
#: Bytes between the dump and those who read it.
_AHEAD: Final = 4 << 20
_LEVEL: Final = 3
_RUN: Final = 128 << 10
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,199}")
_ON: Final = "1"
_WITH_ROWS: Final = frozenset(("BASE TABLE", "SYSTEM VERSIONED"))
#: What may be right in somebody's backup, and cannot be in one made with these options.
_MISSING: Final = frozenset(("rows-left-out", "view-unfinished"))
_MOST_ACCOUNTS: Final = 8 << 20
_ACCOUNTS: Final = "SELECT IF(is_role='Y', user, CONCAT(user, '@', host)) FROM mysql.user ORDER BY 1"


def take(
    spec: Take,
    at: str,
    *,
    bulk: Bulk,
    stores: Callable[[Database, Copy], Store],
    tell: Tell,
    result: dict[str, Json],
    now: Callable[[], float] = time.time,
    patience: float = PATIENCE,
) -> None:
    """Carry out `spec` on host `at`; `result` is filled in as far as it comes.

    Raises ChangeFailed when the dump is not whole (then no copy has anything of it) or when not every copy has it
    verified (then `result` says which have); Unreachable when the host is.
    """
    if not _NAME.fullmatch(spec.name):
        raise ChangeFailed(f"a backup cannot be called {printable(spec.name, 80, one_line=True)!r}")
    login = Login(at, spec.database.defaults_file)
    progress = Progress(tell)
    progress("dump", 0, 0)
    log_bin, there = _asked(bulk, login, spec.database.schema)
    there = {name: kind for name, kind in there.items() if name not in spec.without}
    _unlocked(bulk, login, spec.database.schema, [name for name, kind in there.items() if kind in _WITH_ROWS])
    left_out = (f"--ignore-table={spec.database.schema}.{name}" for name in spec.without)
    history = ("--dump-history",) if "SYSTEM VERSIONED" in there.values() else ()
    options = (*OPTIONS, *(("--master-data=2",) if log_bin else ()), *history, *left_out)
    name = _free_name(spec, stores) if spec.numbered else spec.name
    result["name"] = name
    copies = Copies(spec.copies, lambda copy: stores(spec.database, copy), name, patience)
    try:
        with bulk.start(dumper(login, options, spec.database.schema), at=at) as running:
            dump = _Dump(running, spec.database.schema, copies)
            contents = dump.read(progress)
            dumping.ended_well(*running.finish(), where=at, doing="taking a backup")
        _whole(contents, there, where=at)
        schema = spec.database.schema
        rows = ask(bulk, login, schema, rights_sql(schema))
        lines = tuple(sorted({printable(row[0], 400, one_line=True) for row in rows}))
        manifest = _manifest(spec, at, contents, dump, int(now()), lines)
        manifest = replace(manifest, accounts=_accounts(bulk, login, schema), held=_held(bulk, login, schema))
        result["accounts"] = len(accounts.names(manifest.accounts))
        result["accounts_untold"] = list(accounts.untold(manifest.accounts))
        result.update(
            {
                "sha256": manifest.sha256,
                "size": manifest.size,
                "read": dump.bytes,
                "tables": len(contents.tables),
                "rows": sum(max(0, table.count) for table in contents.tables),
                "time": manifest.time,
            }
        )
        progress("read back", 0, 0)
        copies.finish(manifest, progress.tick)
    except BaseException:
        copies.give_up()
        raise
    finally:
        result["copies"] = dict(copies.states)
    _everywhere(name, copies.states, where=at)


def _free_name(spec: Take, stores: Callable[[Database, Copy], Store]) -> str:
    """The first of name, name-2, name-3 … under which no copy has anything."""
    there: set[str] = set()
    for copy in spec.copies:
        with contextlib.suppress(RemedyError):  # a copy that cannot be listed says so when it is written
            there |= {file.name for file in stores(spec.database, copy).list()}
    names = (spec.name, *(f"{spec.name}-{number}" for number in range(2, 100)))
    endings = (".sql.zst", ".sql.zst.sha256", ".manifest.json")
    return next((name for name in names if not there & {f"{name}{end}" for end in endings}), spec.name)


def _asked(bulk: Bulk, login: Login, schema: str) -> tuple[bool, dict[str, str]]:
    """Whether there is a binary log, and the kind of each table by name."""
    sql = (
        "SELECT @@log_bin, '';\n"
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    (log_bin, _), *tables = ask(bulk, login, schema, sql)
    return log_bin == _ON, {row[0]: row[1] for row in tables}


def _unlocked(bulk: Bulk, login: Login, schema: str, tables: Sequence[str]) -> None:
    """That nobody has locked a table: most versions of mariadb-dump would wait for it a whole day without a word.

    Raises ServerRefused, naming it.
    """
    try:
        _look(bulk, login, schema, tables, LOCKED)
    except ServerRefused as error:
        if error.number != LOCK_WAIT:
            return  # whatever it is, the dump meets it too, and says it better
        raise ServerRefused(
            f"taking a backup: {_locked(bulk, login, schema, tables)} is locked by somebody",
            where=login.at,
            hint="SHOW FULL PROCESSLIST names the session; end it (KILL), then start again",
            number=error.number,
        ) from error


def _look(bulk: Bulk, login: Login, schema: str, tables: Iterable[str], seconds: int) -> None:
    looks = (f"SELECT 1 FROM {named(name)} LIMIT 0" for name in tables)  # noqa: S608 -- names are quoted
    ask(bulk, login, schema, ";\n".join([f"SET SESSION lock_wait_timeout={seconds}", *looks]))


def _locked(bulk: Bulk, login: Login, schema: str, tables: Sequence[str]) -> str:
    """Which one it is."""
    for name in tables:
        try:
            _look(bulk, login, schema, (name,), 1)
        except ServerRefused as error:
            if error.number == LOCK_WAIT:
                return f"table {printable(name, 140, one_line=True)}"
    return "a table"


def _whole(contents: Contents, there: dict[str, str], *, where: str) -> None:
    """That nothing is missing. A dump by an account that may not see a table ends well without it."""
    if fatal := [finding for finding in contents.findings if finding.fatal or finding.code in _MISSING]:
        raise ChangeFailed(f"taking a backup: the dump is not whole: {fatal[0].text}", where=where)
    inside = {table.name for table in contents.tables} | {item.name for item in contents.objects}
    if missing := sorted(set(there) - inside):
        names = printable(", ".join(missing[:5]), 300, one_line=True)
        raise ChangeFailed(
            f"taking a backup: {len(missing)} tables or views are not in the dump: {names}",
            where=where,
            hint="does the login have SELECT, SHOW VIEW, TRIGGER and EVENT on the whole schema?",
        )


def _accounts(bulk: Bulk, login: Login, schema: str) -> tuple[str, ...]:
    """The statements that make the server's accounts again, and which of them could not be told.

    None from a dump program that cannot write them, or for a login that may not read them.
    """
    try:
        there = [name for (name,) in ask(bulk, login, schema, _ACCOUNTS)]
    except ServerRefused:
        return ()
    with bulk.start(system_dumper(login), at=login.at, short=True) as running:
        text = b""
        for chunk in running:
            text += chunk
            if len(text) > _MOST_ACCOUNTS:
                return ()
        running.finish()  # its status is of no use: one account that it cannot show makes it a failure
    return accounts.complete(text, there) if b"CREATE USER" in text else ()


def _held(bulk: Bulk, login: Login, schema: str) -> tuple[Held, ...]:
    """Rights on routines, roles and proxies, without those that the login may not read."""
    lines: list[str] = []
    for sql in held_sql(schema):
        with contextlib.suppress(ServerRefused):
            lines += [row for (row,) in ask(bulk, login, schema, sql)]
    return rights.of(held_of(lines))


def _manifest(  # noqa: PLR0917 -- what a manifest says
    spec: Take, at: str, contents: Contents, dump: _Dump, time_: int, lines: tuple[str, ...]
) -> Manifest:
    return Manifest(
        database=spec.database.name,
        schema=spec.database.schema,
        host=at,
        server=contents.facts.server,
        time=time_,
        sha256=dump.sha256,
        size=dump.size,
        binlog=contents.facts.binlog,
        gtid=contents.facts.gtid,
        label=spec.label,
        charset=contents.facts.charset,
        contents=contents,
        rights=lines,
    )


def _everywhere(name: str, states: dict[str, str], *, where: str) -> None:
    held = [copy for copy, state in states.items() if state == VERIFIED]
    if len(held) == len(states):
        return
    others = "; ".join(f"{copy} {state}" for copy, state in states.items() if state != VERIFIED)
    holds = f"is verified in {', '.join(held)} alone" if held else "is in no copy"
    raise ChangeFailed(f"the backup {name} {holds}: {others}", where=where, hint="mend that copy, take another backup")


class _Dump:
    """The dump on its way: read by one thread, scanned by the caller, compressed and handed on by another."""

    def __init__(self, running: Running, schema: str, copies: Copies) -> None:
        self.bytes = 0
        self.size = 0
        self.sha256 = ""
        self._running = running
        self._schema = schema
        self._copies = copies
        self._condition = threading.Condition()
        self._scan: Flow[bytes] = Flow(_AHEAD, self._condition)
        self._zip: Flow[bytes] = Flow(_AHEAD, self._condition)
        self._error: BaseException | None = None
        self._zipped = False

    def read(self, progress: Progress) -> Contents:
        """To the end of the text. Raises ChangeFailed when no copy takes it, or when it is no dump."""
        reading = dumping.reading_of(self._schema)
        self._running.close_input()
        in_thread(self._split, "dump")
        in_thread(self._compress, "compress")
        try:
            contents = dumping.scanned(reading, self._told(progress), f"{self._schema}.sql")
            with self._condition:
                while not self._zipped:
                    wait(self._condition, lambda: progress.at("dump", self.bytes, 0))
        except Damaged as error:
            raise ChangeFailed(f"taking a backup: the dump cannot be read: {error}") from error
        finally:
            self._scan.stop()
            self._zip.stop()
        if self._error is not None:
            raise self._error
        return contents

    def _told(self, progress: Progress) -> Iterator[bytes]:
        def tick() -> None:
            progress.at("dump", self.bytes, 0)

        for chunk in self._scan.take(tick):
            yield chunk
            tick()

    def _split(self) -> None:
        try:
            for chunk in self._running:
                self.bytes += len(chunk)
                self._zip.put(chunk, len(chunk))
                self._scan.put(chunk, len(chunk))
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 -- raised again by the caller's thread
            self._error = error
        self._scan.close()
        self._zip.close()

    def _compress(self) -> None:
        """Compress, hash, hand on. The copies' ends stay open: whether it was good is known later."""
        import zstandard  # noqa: PLC0415 -- only for taking

        packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compressobj()
        digest = hashlib.sha256()
        try:
            held = b""
            for chunk in self._zip:
                held += packer.compress(chunk)
                if len(held) >= _RUN:
                    digest.update(held)
                    self.size += len(held)
                    self._copies.put(held)
                    held = b""
            held += packer.flush()
            digest.update(held)
            self.size += len(held)
            self._copies.put(held)
            self.sha256 = digest.hexdigest()
        except BaseException as error:  # noqa: BLE001 -- raised again by the caller's thread
            self._error = error
            self._zip.stop()
            self._scan.close()
        with self._condition:
            self._zipped = True
            self._condition.notify_all()
