r"""To which schema the statements of a dump belong, and which of them reach elsewhere.

Decides whether what follows belongs to the wanted schema. A dump of one database names none in its statements:

    -- Host: localhost    Database: web              all that follows is web's; a USE would be somebody else's

One made with --databases or --all-databases changes between them, each announced:

    -- Current Database: `web`
    CREATE DATABASE /*!32312 IF NOT EXISTS*/ `web` …;
    USE `web`;
"""

from __future__ import annotations

import re
from typing import Final

from remedy.backups.findings import Findings
from remedy.backups.names import IDENT, unquoted

_USE: Final = re.compile(rb"USE\s+(" + IDENT + rb")\s*", re.IGNORECASE)
_DATABASE: Final = re.compile(
    rb"(CREATE|DROP|ALTER)\s+(?:DATABASE|SCHEMA)\s+(?:/\*!\d+\s+)?(?:IF\s+(?:NOT\s+)?EXISTS\s*)?(?:\*/\s*)?("
    + IDENT
    + rb")(?=[\s;/]|\Z)",
    re.IGNORECASE,
)
#: More schemas than these are not kept apart.
_MOST: Final = 10_000


class Schemas:
    """Follows USE and CREATE DATABASE."""

    def __init__(self, wanted: str, findings: Findings) -> None:
        """`wanted` is the schema whose statements are to be told from others'."""
        self.wanted = wanted.encode()
        #: The schema that the header names: b"" for several, None when it names none.
        self.header: bytes | None = None
        #: The schemas that were gone into, in order.
        self.seen: dict[bytes, None] = {}
        self._announced: set[bytes] = set()
        self._findings = findings
        self._current: bytes | None = None
        self._content = False
        self._dropped = b""
        self._created = b""
        self._waiting = b""

    @property
    def mine(self) -> bool:
        """Whether what comes now belongs to the wanted schema."""
        if self._current is None:
            return self.header in (None, b"", self.wanted)
        return self._current == self.wanted

    @property
    def elsewhere(self) -> bool:
        """Whether what comes now is announced as another schema's."""
        return self._current not in (None, self.wanted)

    @property
    def wrong(self) -> bool:
        """Whether other schemas are named and the wanted one is not."""
        return self.wanted not in self.seen and bool(self.seen or not self.mine)

    @property
    def named(self) -> bytes:
        """The schemas that are named."""
        return b", ".join(self.seen) or self.header or b""

    @property
    def only(self) -> bytes:
        """The one schema that the dump is of, b"" for several or when it is not said."""
        if self.header or not self.seen:
            return self.header or b""
        return next(iter(self.seen)) if len(self.seen) == 1 else b""

    def announce(self, name: bytes) -> None:
        """A comment says that the statements of a schema follow."""
        if len(self._announced) < _MOST:
            self._announced.add(name)

    def begin(self, header: bytes) -> None:
        """A header names the schema (b"" for several). Counts before anything is made: later it is no header."""
        if not self._content:
            self.header = header

    def content(self) -> None:
        """Something was made in the present schema."""
        self._content = True

    def use(self, text: bytes) -> bool:
        """Take a USE statement; False when it is none."""
        match = _USE.fullmatch(text)
        if match is None:
            return False
        name = unquoted(match[1])
        one = self._current is None and self._content
        silent = self.header is not None and name not in self._announced
        if name != self.wanted and (one or silent):
            self._findings.add("other-schema", text)
        if not one or name != self.wanted or not self.mine:
            self._current = name
        if len(self.seen) < _MOST:
            self.seen[name] = None
        return True

    def database(self, text: bytes) -> bool:
        """Take CREATE, DROP or ALTER DATABASE; False when it is none of these."""
        match = _DATABASE.match(text)
        if match is None:
            return False
        word, name = match[1].upper(), unquoted(match[2])
        if word == b"CREATE":
            self._created = name
            if name != self.wanted and self._current is None and self._content:
                self._findings.add("other-schema", text)
        elif word == b"DROP":
            self._dropped = name
        elif name not in (self.wanted, self._current, self.header):
            self._findings.add("other-schema", text)
        return True

    def next(self) -> None:
        """The next statement begins. A schema may be dropped only where it is made again at once."""
        self._waiting, self._dropped, self._created = self._dropped, b"", b""

    def after(self) -> None:
        """The statement was taken."""
        if self._waiting not in (b"", self.wanted, self._created):
            self._findings.add("other-schema", b"DROP DATABASE " + self._waiting)

    def close(self) -> None:
        """The dump has ended."""
        self.next()
        self.after()
        others = [name for name in self.seen if name != self.wanted]
        if others:
            self._findings.add("several-databases", b", ".join(others))
