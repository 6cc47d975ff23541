"""Accounts: made again on a server that has lost them, with the passwords that a manifest in a copy keeps.

Decides which manifest is read (the newest that says what the plan says in all but the passwords; of two of one time
that of more copies), and that a statement which the server refuses keeps no other away. A right on a single table,
column or routine can be given only on what exists, and outlives it: where a schema is not restored yet, an empty table
stands in for as long as the right is given. Nothing is ever dropped but what carries the mark of such a stand-in.

Leaves to others: which statements are any (`backups.accounts`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from remedy.backups import accounts, manifest
from remedy.backups.accounts import Place
from remedy.backups.beside import MANIFEST
from remedy.backups.manifest import Manifest
from remedy.backups.ports import Damaged, Store
from remedy.backups.transfers import ACCOUNTS_BEGUN, Accounts
from remedy.backups.values import Copy, Database, File
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed, Interrupted, RemedyError
from remedy.core.ports import Tell
from remedy.core.text import printable
from remedy.probes.database import SESSION, named, quoted
from remedy.transports.transfers.clients import ERROR, Bulk, Login, ask, client
from remedy.transports.transfers.flow import Progress

#: The comment of what stands in for a table or routine that is not restored yet.
STAND_IN: Final = "remedy: stands in until the restore"
#: A client wants a schema to begin in; every server has this one.
_ANY_SCHEMA: Final = "information_schema"
_LINE: Final = re.compile(rb"^ERROR \d+ \(\w+\) at line (\d+)")
_SHOWN: Final = 3


def make(
    spec: Accounts,
    at: str,
    *,
    bulk: Bulk,
    stores: Callable[[Database, Copy], Store],
    tell: Tell,
    result: dict[str, Json],
) -> None:
    """Carry out `spec` on the server behind host `at`. It may be carried out again.

    Raises ChangeFailed when no copy has such a manifest, or the server has refused some of it; Unreachable.
    """
    progress = Progress(tell)
    progress("read the accounts in a manifest", 0, 0)
    statements, copies = _found(spec, stores, progress)
    made = _Making(bulk, Login(at, spec.database.defaults_file), accounts.secrets(statements))
    later = accounts.on_objects(statements)
    at_once = [one for one in statements if one not in later]
    progress("make accounts", 0, 0)
    made.script([f"CREATE DATABASE IF NOT EXISTS {named(ACCOUNTS_BEGUN)}"])
    made.script(at_once)
    if later:
        progress("give rights on tables and routines", 0, 0)
        made.rights(later)
    made.script([f"DROP DATABASE IF EXISTS {named(ACCOUNTS_BEGUN)}"])
    refused = list(dict.fromkeys(name for name, _ in made.refused))
    result.update(
        {
            "accounts": len(accounts.names(statements)),
            "statements": len(statements),
            "copies": [*copies],
            "refused": [*refused],
        }
    )
    if refused:
        said = "; ".join(f"{name}: {why}" for name, why in made.refused[:_SHOWN])
        raise ChangeFailed(
            f"the server refused {len(made.refused)} statements about {len(refused)} accounts: {said}",
            where=at,
            hint="make these by hand: the manifest beside the backup has the statements",
        )


def _found(
    spec: Accounts, stores: Callable[[Database, Copy], Store], progress: Progress
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The statements with their passwords, and the copies that say so."""
    wanted = tuple(one for one in spec.statements if one)
    by_text: dict[tuple[str, ...], tuple[int, list[str]]] = {}
    errors = []
    for copy in spec.database.copies:
        try:
            for one in _manifests(stores(spec.database, copy), progress):
                found = accounts.understood(one.accounts)
                if one.schema == spec.database.schema and accounts.shown(found) == wanted:
                    by_text.setdefault(found, (one.time, []))[1].append(copy.name)
                    break
        except Interrupted:
            raise
        except RemedyError as error:
            errors.append(f"{copy.name}: {error.message}")
    if not by_text:
        said = f" ({'; '.join(errors)})" if errors else ""
        raise ChangeFailed(
            f"no copy has a manifest with the accounts of this plan any more{said}",
            where=spec.database.name,
            hint="plan again, or make the accounts by hand",
        )
    found, (_, copies) = max(by_text.items(), key=lambda one: (one[1][0], len(one[1][1])))
    return found, tuple(copies)


def _manifests(shelf: Store, progress: Progress) -> Iterator[Manifest]:
    """The manifests of a copy, those written last first; what is none is passed over."""
    files = [one for one in shelf.list() if one.kind == "file" and one.name.endswith(MANIFEST)]
    for file in sorted(files, key=lambda one: (one.changed, one.name), reverse=True):
        progress.tick()
        if file.size <= manifest.LARGEST:
            with contextlib.suppress(Damaged):
                yield manifest.decoded(_read(shelf, file))


def _read(shelf: Store, file: File) -> bytes:
    with shelf.read(file) as chunks:
        return b"".join(chunks)


class _Making:
    """Runs statements on one server, past those that it refuses."""

    def __init__(self, bulk: Bulk, login: Login, secrets: frozenset[str]) -> None:
        self.refused: list[tuple[str, str]] = []
        self._bulk = bulk
        self._login = login
        self._secrets = sorted(secrets, key=len, reverse=True)

    def script(self, statements: Sequence[str]) -> None:
        """Run each; whoever's was refused is in `refused`, with what the server said. Raises Unreachable."""
        command = client(self._login, _ANY_SCHEMA)
        lines = [f"{SESSION};", *accounts.again(statements).splitlines()]
        before = len(lines) - len(statements)
        with self._bulk.start(replace(command, argv=(*command.argv, "--force")), at=self._login.at) as running:
            with contextlib.suppress(OSError, RemedyError):  # it has ended: its status says why
                running.write("".join(f"{line}\n" for line in lines).encode())
                running.close_input()
            for _ in running:
                pass
            status, said = running.finish()
        errors = ERROR.findall(said)
        for error in errors:
            line = _LINE.match(error)
            number = int(line[1]) - before - 1 if line else -1
            whose = accounts.name(statements[number]) if 0 <= number < len(statements) else ""
            self.refused.append((printable(whose, 100, one_line=True), self._told(error)))
        if status and not errors:
            raise ChangeFailed(f"making accounts: the client ended with status {status}", where=self._login.at)

    def _told(self, error: bytes) -> str:
        """What the server said: it repeats the statement from the place that it does not like."""
        text = error.decode("utf-8", "backslashreplace")
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return printable(text, 200, one_line=True)

    def rights(self, grants: Sequence[str]) -> None:
        """Give rights on tables and routines, which may not be there yet."""
        places: dict[tuple[str, ...], Place] = {}
        for one in filter(None, map(accounts.place, grants)):
            same = places.setdefault((one.kind, one.schema, one.name), one)
            columns = tuple(dict.fromkeys((*same.columns, *one.columns)))
            places[one.kind, one.schema, one.name] = replace(same, columns=columns)
        schemas = tuple(dict.fromkeys(one.schema for one in places.values()))
        self._away(schemas)  # of an attempt that was cut short
        there = set(self._there(schemas))
        missing = [one for key, one in places.items() if key not in there]
        new = dict.fromkeys(one.schema for one in missing)
        stands = [*(f"CREATE DATABASE IF NOT EXISTS {named(schema)}" for schema in new), *map(_stand_in, missing)]
        known = len(self.refused)
        self.script(stands)
        del self.refused[known:]  # what cannot be made has its right refused, and that is told
        try:
            self.script(grants)
        finally:
            self._away(schemas)

    def _there(self, schemas: Sequence[str], comment: str = "") -> list[tuple[str, ...]]:
        """Tables, views and routines: kind, schema, name; with `comment` those that carry it."""
        if not schemas:
            return []
        listed, marked = ", ".join(map(quoted, schemas)), quoted(comment)
        asked = (
            f"SELECT {kind}, {of}_schema, {of}_name FROM {of}s WHERE BINARY {of}_schema IN ({listed})"  # noqa: S608
            + (f" AND {of}_comment={marked}" if comment else "")
            for kind, of in (("'TABLE'", "table"), ("UPPER(routine_type)", "routine"))
        )
        return ask(self._bulk, self._login, _ANY_SCHEMA, ";\n".join(asked))

    def _away(self, schemas: Sequence[str]) -> None:
        """Remove stand-ins, and a schema in which they were all there was. Rights on them stay (MariaDB, DROP TABLE).

        Those on routines stay only without automatic_sp_privileges (MariaDB, DROP PROCEDURE).
        """
        rows = self._there(schemas, STAND_IN)
        drops = [f"DROP {kind} {named(schema)}.{named(name)}" for kind, schema, name in rows]
        if any(kind != "TABLE" for kind, _, _ in rows):
            drops = [
                "SET @privileges=@@GLOBAL.automatic_sp_privileges",
                "SET GLOBAL automatic_sp_privileges=0",
                *drops,
                "SET GLOBAL automatic_sp_privileges=@privileges",
            ]
        for schema in dict.fromkeys(schema for _, schema, _ in rows):
            left = " + ".join(
                f"(SELECT COUNT(*) FROM {of}s WHERE BINARY {of}_schema={quoted(schema)})"  # noqa: S608 -- a literal
                for of in ("table", "routine", "event")
            )
            gone = quoted(f"DROP DATABASE {named(schema)}")
            drops += [f"SET @gone=IF({left}, 'DO 0', {gone})", "PREPARE gone FROM @gone", "EXECUTE gone"]
        if drops:
            ask(self._bulk, self._login, _ANY_SCHEMA, ";\n".join(drops))


def _stand_in(place: Place) -> str:
    """What a right can be given on: a table with the columns that it names, a routine that does nothing."""
    at = f"{named(place.schema)}.{named(place.name)}"
    if place.kind == "TABLE":
        columns = ", ".join(f"{named(column)} INT" for column in place.columns or ("a",))
        return f"CREATE TABLE {at} ({columns}) ENGINE=InnoDB COMMENT='{STAND_IN}'"
    returns, does = (" RETURNS INT", "RETURN 0") if place.kind == "FUNCTION" else ("", "DO 0")
    return f"CREATE {place.kind} {at}(){returns} NO SQL COMMENT '{STAND_IN}' {does}"
