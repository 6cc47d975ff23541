"""What the statements of a logical backup mean: what is sent as it is, what is sent anew, what is left out.

Decides for every statement which `Piece` it becomes, and keeps account of what has been seen: tables and their rows,
definitions, the settings they stand under, findings. Nothing is sent that is not understood, and nothing that belongs
to another schema: a backup may have been planted. Leaves to others: where statements end (`sql`), to which schema they
belong (`schemas`), what comments and file names say (`formats`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from remedy.backups import charsets, definitions, session, statements
from remedy.backups.findings import Findings
from remedy.backups.formats import Piece
from remedy.backups.names import decoded, parts, unquoted
from remedy.backups.objects import Objects, Sequence
from remedy.backups.ports import Damaged
from remedy.backups.schemas import Schemas
from remedy.backups.sql import Rows
from remedy.backups.statements import Said
from remedy.backups.tables import Tables
from remedy.backups.values import Contents, Facts

#: More tables, views and sequences than any database has; they are kept in memory until the end.
_MOST: Final = 200_000
#: A text with so many statements that nobody understands is no dump.
_UNKNOWN: Final = 10_000


class Interpreter:
    """Takes the statements of one backup in order; `contents` says what was there."""

    def __init__(self, schema: str, defaults: dict[str, bytes]) -> None:
        """`schema` is the one that is wanted; `defaults` are the settings where the backup makes none."""
        self.findings = Findings()
        self.session = session.Session()
        self.schemas = Schemas(schema, self.findings)
        self.tables = Tables(self.findings)
        self.objects = Objects()
        #: What is said of the server's GTID position.
        self.gtid = ""
        self._defaults = defaults
        self._setup: dict[str, bytes] | None = None
        self._setup_sent = False
        self._sequences: dict[str, Sequence] = {}
        self._views: set[str] = set()
        self._open: bytes | None = None

    def statement(self, text: bytes, delimiter: bytes = b";") -> Iterator[Piece]:
        """Take one statement. Raises Damaged("too-big" or "not-text") when it is not worth going on."""
        plain = statements.bare(text)
        key = statements.word(plain)
        if key != b"SET" or b"@saved_" in plain or b"@PREV_" in plain:
            self._freeze()
        self.schemas.next()
        handler = self._HANDLERS.get(key, Interpreter._other)
        made = handler(self, Said(plain, text, delimiter))
        self.schemas.after()
        yield from self._sent(made or Piece("left", "", text + b";\n"))

    def rows(self, rows: Rows, *, one_line: bool, double_quotes: bool = False) -> Iterator[Piece]:
        """Take an INSERT; `one_line` and `double_quotes` as for `RowDigest`."""
        self._freeze()
        schema, ident = parts(rows.table)
        name = self._name(ident)
        piece = Piece("left", "", rows.text)
        if rows.behind:
            self.findings.add("behind-rows", rows.behind)
        elif schema:
            self.findings.add("other-schema", rows.text[: rows.head])
        elif not self.schemas.mine:
            pass
        elif name not in self.tables:
            self.findings.add("no-structure", rows.text[: rows.head])
        elif self.tables[name].sequence:
            piece = self._sequence_row(name, rows) or piece
        elif not self.tables.rows(name, rows, one_line=one_line, double_quotes=double_quotes):
            self._unknown(rows.text)
        else:
            piece = Piece("rows", name, self._with_settings(rows.text), self.tables[name].keyed)
        yield from self._sent(piece)

    def section(self, ident: bytes) -> None:
        """The backup says that the rows of a table follow, if it has any."""
        if self.schemas.mine:
            self.tables.section(self._name(unquoted(ident)))

    @property
    def made(self) -> int:
        """How many definitions there were so far."""
        return len(self.tables) + len(self._sequences) + len(self._views) + len(self.objects)

    @property
    def charset(self) -> str:
        """The client's character set."""
        return (self._setup or self._defaults)["character_set_client"].decode("ascii", "replace").lower()

    def view(self, ident: bytes) -> None:
        """The backup announces a view that is to be defined later."""
        if self.schemas.mine:
            self._check_number()
            self._views.add(self._name(unquoted(ident)))

    def contents(self, facts: Facts, longest: int) -> Contents:
        """What there was, once the backup has ended."""
        self._close_table()
        self.schemas.close()
        for view in sorted(self._views - self.objects.names("view")):
            self.findings.add("view-unfinished", view)
        if self.objects.binary:
            self.findings.add("binary-text")
        if self.charset in charsets.WIDE:
            self.findings.add("wide-charset", self.charset)
        self.tables.check_charset(self.charset)
        return Contents(
            facts,
            self.tables.described(),
            self.objects.ordered(self._sequences),
            longest,
            self.findings.found(),
            tuple(sorted(self.tables.collations() | self.objects.collations())),
        )

    # What is sent.

    def _freeze(self) -> None:
        """The header has ended: what it set is what every session gets."""
        if self._setup is None:
            self._setup = self._defaults | self.session.settings(session.READING)

    def _sent(self, piece: Piece) -> Iterator[Piece]:
        if piece.kind != "left" and not self._setup_sent:
            self._setup_sent = True
            settings = (self._setup or {}) | {"foreign_key_checks": b"0", "unique_checks": b"0"}
            yield Piece("setup", "", session.made(settings))
        yield piece

    def _now(self, name: str) -> bytes | None:
        return self.session.get(name) or self._defaults.get(name)

    def _with_settings(self, text: bytes) -> bytes:
        """Rows that stand under other settings than the header's take theirs with them."""
        setup = self._setup or {}
        changed = [name for name in session.READING if self._now(name) != setup.get(name)]
        if changed:
            now = {name: self._now(name) or setup[name] for name in changed}
            text = session.made(now) + text + session.made({name: setup[name] for name in changed})
        if self.session.get("system_versioning_insert_history") == b"1":
            text = b"SET system_versioning_insert_history=1;\n" + text
        return text

    # What statements mean. Each returns the piece that a statement becomes, None when it is left out.

    def _set(self, said: Said) -> None:
        if gtid := statements.GTID.fullmatch(said.plain):
            self.gtid = gtid[1].decode("ascii", "replace")
            self.findings.add("gtid-purged")
            return
        made = session.assignments(said.plain)
        if made is None:
            self._doubtful(said.plain, statements.ROLE.match(said.plain))
            return
        for one in made:
            if one.scope == "global" and one.name == "gtid_slave_pos":
                self.gtid = one.value.strip(b"'").decode("ascii", "replace")
                self.findings.add("replication", said.plain)
            elif one.scope in ("global", "persist", "persist_only"):
                self.findings.add("privilege", said.plain)
            elif one.scope not in ("session", "user") or (one.scope == "session" and one.name not in session.HARMLESS):
                self._unknown(said.plain)
        self.session.apply(one for one in made if one.scope in ("session", "user"))

    def _use(self, said: Said) -> None:
        if not self.schemas.use(said.plain):
            self._unknown(said.plain)

    def _create(self, said: Said) -> Piece | None:
        if placeholder := definitions.PLACEHOLDER.match(said.text):
            self.view(placeholder[1] or placeholder[2])
        elif self.schemas.database(said.plain):
            pass
        elif head := definitions.TABLE.match(said.text):
            return self._table(said.text, head)
        elif head := definitions.SEQUENCE.match(said.text):
            return self._sequence(said.text, head)
        elif head := definitions.INDEX.match(said.text):
            return self._changed(head[1], said.text)
        elif made := definitions.described(said.text):
            return self._object(made, said.text, said.delimiter)
        else:
            self._doubtful(said.plain, statements.SERVER.match(said.plain))
        return None

    def _table(self, text: bytes, head: re.Match[bytes]) -> Piece | None:
        name = self._owned(head[1], text)
        if name is None:
            return None
        self._close_table()
        made = definitions.table(text, head)
        if name in self.tables or name in self._sequences:
            self.findings.add("duplicate-table", name)
            return None
        self.tables.add(name, made)
        return None if made.sequence else self._structure(name, made.sql + b";\n")

    def _structure(self, name: str, sql: bytes) -> Piece:
        charset = self._now("character_set_client")
        if charset and charset != (self._setup or {}).get("character_set_client"):
            sql = session.around(sql, {"character_set_client": charset})
        return Piece("structure", name, sql)

    def _changed(self, table: bytes, text: bytes) -> Piece | None:
        """ALTER TABLE or CREATE INDEX, as some dumpers write keys after the rows."""
        name = self._owned(table, text)
        if name is None:
            return None
        if name not in self.tables:
            self.findings.add("no-structure", text)
            return None
        return self._structure(name, text + b";\n")

    def _sequence(self, text: bytes, head: re.Match[bytes]) -> Piece | None:
        name = self._owned(head[1], text)
        if name is None:
            return None
        made = Sequence(head[1], b" " + text[head.end() :].strip())
        self._sequences[name] = made
        return self._structure(name, made.sql)

    def _value(self, said: Said) -> Piece | None:
        """DO SETVAL or SELECT SETVAL; any other SELECT or DO is nothing that a dumper writes."""
        head = definitions.SETVAL.fullmatch(said.plain)
        if head is None:
            self._doubtful(said.plain, statements.FILE.search(said.plain))
            return None
        name = self._owned(head[1], said.text)
        made = self._sequences.get(name or "")
        if name is None or made is None:
            return None
        self._sequences[name] = Sequence(made.ident, made.options, head[2])
        return self._structure(name, b"DO SETVAL(" + made.ident + b", " + head[2] + b", 0);\n")

    def _sequence_row(self, name: str, rows: Rows) -> Piece | None:
        found = definitions.sequence(rows.text[rows.head :], self.tables[name].engine)
        if found is None:
            self._unknown(rows.text)
            return None
        made = Sequence(rows.table, *found)
        self._sequences[name] = made
        return self._structure(name, made.sql)

    def _object(self, made: definitions.ObjectText, text: bytes, delimiter: bytes) -> Piece | None:
        schema, ident = parts(made.name)
        self.schemas.content()
        if not self.schemas.mine:
            return None
        if schema and schema != self.schemas.wanted:
            self.findings.add("other-schema", text)
            return None
        name = self._name(ident)
        script = self.objects.add(made, name, text, delimiter, self.session)
        if script is None:
            self._unknown(text)
        return Piece("object", name, script) if script else None

    def _drop(self, said: Said) -> None:
        if self.schemas.database(said.plain):
            return
        head = statements.DROP.fullmatch(said.plain)
        if head is None:
            self._doubtful(said.plain, statements.SERVER.match(said.plain))
        elif parts(head[1])[0] not in (b"", self.schemas.wanted) and self.schemas.mine:
            self.findings.add("other-schema", said.plain)

    def _alter(self, said: Said) -> Piece | None:
        if self.schemas.database(said.plain):
            return None
        head = statements.ALTER.match(said.plain)
        if head is None:
            self._doubtful(said.plain, statements.SERVER.match(said.plain))
            return None
        if head[2].upper() in (b"DISABLE", b"ENABLE"):
            self.section(head[1])
            return None
        return self._changed(head[1], said.plain)

    def _lock(self, said: Said) -> None:
        head = statements.LOCK.match(said.plain)
        if head is None:
            self._unknown(said.plain)
            return
        self._close_table()
        self._open = head[1]
        self.section(head[1])

    def _unlock(self, said: Said) -> None:  # noqa: ARG002 -- the form of a handler
        self._open = None

    def _other(self, said: Said) -> None:
        key = statements.word(said.plain)
        if statements.REPLICATION.match(said.plain):
            self.findings.add("replication", said.plain)
        elif key not in statements.HARMLESS:
            self._doubtful(said.plain, key in statements.PRIVILEGES or statements.SERVER.match(said.plain))

    _HANDLERS: Final[dict[bytes, Callable[[Interpreter, Said], Piece | None]]] = {
        b"SET": _set,
        b"USE": _use,
        b"CREATE": _create,
        b"DROP": _drop,
        b"ALTER": _alter,
        b"LOCK": _lock,
        b"UNLOCK": _unlock,
        b"DO": _value,
        b"SELECT": _value,
    }

    # Names and ends.

    def _owned(self, qualified: bytes, text: bytes) -> str | None:
        """The name of something to be made in the wanted schema, None when it belongs elsewhere."""
        schema, ident = parts(qualified)
        self.schemas.content()
        self._check_number()
        if schema:
            self.findings.add("other-schema", text)
        return self._name(ident) if self.schemas.mine and not schema else None

    def _name(self, ident: bytes) -> str:
        """A name as text, by the character set that holds where it stands."""
        charset = self._now("character_set_client") or b""
        name, known = decoded(ident, charset.decode("ascii", "replace").lower())
        if not known and self.schemas.mine:
            self.findings.add("names", ident)
        return name

    def _check_number(self) -> None:
        if self.made > _MOST:
            raise Damaged("too-big", f"more than {_MOST} tables and other objects")

    def _doubtful(self, text: bytes, privileged: object) -> None:
        if privileged:
            self.findings.add("privilege", text)
        else:
            self._unknown(text)

    def _unknown(self, text: bytes) -> None:
        if not self.schemas.elsewhere:
            self.findings.add("unknown-statement", text)
            if self.findings.count("unknown-statement") > _UNKNOWN:
                raise Damaged("not-text", f"more than {_UNKNOWN} statements that no dumper writes")

    def _close_table(self) -> None:
        if self._open is not None:
            self.findings.add("table-open", self._open)
            self._open = None
