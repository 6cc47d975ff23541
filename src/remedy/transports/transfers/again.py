"""Again: what was loaded is dumped once more, so that it can be held against the backup.

Decides how tables are named to the dump program, in which character set, and when a new dump is whole. Leaves to
others: in which of `written.WAYS` (given), and what is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from remedy.backups.formats import Piece
from remedy.backups.ports import Damaged
from remedy.backups.values import Contents
from remedy.core.errors import ChangeFailed
from remedy.transports.transfers import dumping
from remedy.transports.transfers.clients import Login, dumper
from remedy.transports.transfers.dumping import Leash

_CHARSET: Final = re.compile(r"[a-z0-9_]{1,32}")
#: The client's character sets in which the name of a table is written as on the command line.
_UNICODE: Final = frozenset(("utf8mb4", "utf8", "utf8mb3", "binary"))
#: What definitions alone have not got, on purpose.
_WITHOUT_ROWS: Final = frozenset(("no-data", "no-tables"))


def _nowhere(_: Piece) -> None:
    """Pieces of a dump that is only looked at."""


@dataclass(frozen=True, slots=True)
class Again:
    """Dumps the schema `into`, or some of its tables, as `contents` were written; `count` hears of bytes read."""

    leash: Leash
    login: Login
    into: str
    contents: Contents
    count: Callable[[int], None] = lambda _: None

    def tables(
        self,
        names: tuple[str, ...],
        way: tuple[str, ...],
        on_piece: Callable[[Piece], None] = _nowhere,
        *,
        short: bool = False,
    ) -> Contents:
        """What these tables hold now, or all of them where they go `all_at_once`. Raises ChangeFailed, Unreachable."""
        options = (*dumping.SNAPSHOT, "--skip-triggers", self._charset(), *way)
        return self._dump(self.login, options, () if self.all_at_once else names, on_piece, short=short)

    def definitions(self, login: Login) -> Contents:
        """Everything but rows, as `login` may see it. Raises ChangeFailed, Unreachable."""
        options = (*dumping.SNAPSHOT, "--no-data", "--routines", "--events", "--triggers", self._charset())
        return self._dump(login, options, (), _nowhere)

    @property
    def all_at_once(self) -> bool:
        """Whether tables cannot be dumped by their names: the dump program says them in its own character set.

        The server then finds an "Illegal mix of collations" (1267) in its question for a table.
        """
        ascii_names = all(table.name.isascii() for table in self.contents.tables)
        return not ascii_names and self._charset().partition("=")[2] not in _UNICODE

    def _charset(self) -> str:
        charset = self.contents.facts.charset
        return f"--default-character-set={charset if _CHARSET.fullmatch(charset) else 'utf8mb4'}"

    def _dump(
        self,
        login: Login,
        options: tuple[str, ...],
        tables: tuple[str, ...],
        on_piece: Callable[[Piece], None],
        *,
        short: bool = False,
    ) -> Contents:
        with self.leash.start(dumper(login, options, self.into, tables), at=login.at, short=short) as running:
            running.close_input()
            try:
                reading = dumping.reading_of(self.into)
                contents = dumping.scanned(reading, self._counted(running), "again.sql", on_piece)
            except Damaged as error:
                raise ChangeFailed(f"comparing: the new dump cannot be read: {error}", where=login.at) from error
            dumping.ended_well(*running.finish(), where=login.at, doing="comparing")
        if fatal := [one for one in contents.findings if one.fatal and (tables or one.code not in _WITHOUT_ROWS)]:
            raise ChangeFailed(f"comparing: the new dump is not whole: {fatal[0].text}", where=login.at)
        return contents

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.count(len(chunk))
            yield chunk
