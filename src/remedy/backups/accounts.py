r"""The accounts of a server, as statements that make them again: kept in a backup's manifest, used by a rebuilt server.

Decides which statements of `mariadb-dump --system=users` are kept: those that make an account or a role and grant it
something, one by one, and none about the accounts that every server has of its own. Passwords are in them as the
server keeps them, hashed. A manifest may have been planted: `understood` reads its statements as strictly as those of a
dump, so that nothing but making accounts can come of them. Leaves to others: running them.

Roles are made first, whatever the order in the dump, where they are written for the importing account's sake as

    /*M!100005 CREATE ROLE 'reader' WITH ADMIN mariadb_dump_import_role */;
    /*M!100005 SET DEFAULT ROLE 'reader' FOR 'site'@'198.18.1.%' */;

and are kept without comment and administrator; grants and accounts are kept as they are:

    CREATE USER `site`@`198.18.1.%` IDENTIFIED BY PASSWORD '*64E2…';
    GRANT SELECT, INSERT ON `site`.* TO `site`@`198.18.1.%`;
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from remedy.backups.ports import Damaged
from remedy.backups.sql import Splitter, Statement

#: Every server makes these itself; root comes back with the socket it is let in by.
OWN: Final = frozenset(
    {"root", "mariadb.sys", "mysql", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint"}
)
#: Backslashes mean what they did in the dump, and no grant makes an account by the way.
_SESSION: Final = "SET SESSION sql_mode='NO_AUTO_CREATE_USER';\n"
_HELPER: Final = "mariadb_dump_import_role"
#: A name in backquotes, a string, a word or number, a mark. Comments, semicolons and control characters are none of it.
_TOKEN: Final = re.compile(
    r"(?P<name>`(?:[^`\x00-\x1f\x7f]|``)*`)|(?P<string>'(?:[^'\\\x00-\x1f\x7f]|\\['\"\\%_]|'')*')"
    r"|(?P<word>[A-Za-z0-9_$]+)|(?P<mark>[(),.*@])|(?P<space> +)"
)
_COMMENT: Final = re.compile(r"/\*M!100005 (?P<inner>.*) \*/", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)|''")
_LONGEST: Final = 100_000
#: What lets an account take all the others'.
_MIGHT: Final = re.compile(r"\b(?:ALL PRIVILEGES|SUPER|FILE|CREATE USER|SET USER)\b")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str

    @property
    def quoted(self) -> bool:
        return self.kind in {"name", "string"}

    @property
    def value(self) -> str:
        """What stands in the quotes."""
        inner = self.text[1:-1]
        if self.kind == "name":
            return inner.replace("``", "`")
        return _ESCAPED.sub(lambda match: match[1] or "'", inner)


@dataclass(frozen=True, slots=True)
class _Read:
    """A statement: its verb ("user", "role", "grant", "default"), whose it is, what it is on or which role it gives.

    `on` is the text between ON and TO, "" for a role that is granted; `might` what a grant allows, as words.
    """

    verb: str
    user: str
    host: str | None
    on: str = ""
    might: str = ""
    given: str = ""

    @property
    def name(self) -> str:
        return self.user if self.host is None else f"{self.user}@{self.host}"


def kept(text: bytes) -> tuple[str, ...]:
    """The statements worth keeping, roles first. What is not understood is left out: it is never run."""
    splitter = Splitter()
    found: dict[str, str] = {}
    try:
        for token in (*splitter.feed(text), *splitter.end()):
            if isinstance(token, Statement) and len(token.text) <= _LONGEST and (one := _kept(token.text)):
                found[one] = one
    except Damaged:
        return ()
    return tuple(sorted(found, key=lambda one: not one.startswith("CREATE ROLE ")))


def understood(statements: Iterable[str]) -> tuple[str, ...]:
    """Those of a manifest's statements that are nothing but what `kept` keeps, each read by itself."""
    return tuple(one for said in statements for one in kept(f"{said};\n".encode()) if one == said)


def name(statement: str) -> str:
    """Whose statement it is: "user@host", a role's name, "" when that cannot be told."""
    found = _read(statement)
    return found.name if found else ""


def names(statements: Iterable[str]) -> tuple[str, ...]:
    """Every account and role, once, in order."""
    return tuple(dict.fromkeys(name(one) for one in statements))


def on_objects(statements: Iterable[str]) -> tuple[str, ...]:
    """The grants on single tables and routines: a server takes them only once those are there."""
    return tuple(
        one
        for one in statements
        if (found := _read(one)) and found.verb == "grant" and found.on and not found.on.endswith(".*")
    )


def powerful(statements: Iterable[str]) -> tuple[str, ...]:
    """Those that may take everything, by rights on the whole server or on its accounts: to be looked at twice."""
    found = [one for one in map(_read, statements) if one]
    return tuple(dict.fromkeys(one.name for one in found if one.verb == "grant" and _is_powerful(one)))


def again(statements: Iterable[str]) -> str:
    """A script that makes them, one statement a line; an account that is there already is not made anew."""
    made = (re.sub(r"\A(CREATE (?:USER|ROLE)) (?!IF NOT EXISTS)", r"\1 IF NOT EXISTS ", one) for one in statements)
    return _SESSION + "".join(f"{one};\n" for one in made)


def _is_powerful(grant: _Read) -> bool:
    if grant.on == "*.*":
        return bool(_MIGHT.search(grant.might))
    return grant.on.startswith("`mysql`.") or (grant.might == "PROXY" and grant.given in OWN)


def _kept(raw: bytes) -> str:
    """The statement as it is kept, "" for one that is not."""
    try:
        sql = raw.decode().strip()
    except UnicodeDecodeError:
        return ""
    if inside := _COMMENT.fullmatch(sql):
        sql = inside["inner"]
        if not sql.startswith(("CREATE ROLE ", "SET DEFAULT ROLE ")):
            return ""  # who grants what is written a second time, for every server
    found = _read(sql)
    if found is None or found.user in OWN or _HELPER in {found.user, found.given}:
        return ""
    if found.verb == "role":
        return f"CREATE ROLE {_named(found.user)}"
    if found.verb == "default":
        return f"SET DEFAULT ROLE {_named(found.given)} FOR {_named(found.user)}@{_named(found.host or '')}"
    return sql


def _read(sql: str) -> _Read | None:
    """What a statement is, None for one that is none of ours from its first to its last character."""
    tokens: list[_Token] = []
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            return None
        at = match.end()
        if match.lastgroup != "space":
            tokens.append(_Token(match.lastgroup or "", match[0]))
    words = " ".join(token.text for token in tokens[:5] if token.kind == "word")
    if words.startswith("CREATE USER"):
        return _of_account(tokens, 5 if words.startswith("CREATE USER IF NOT EXISTS") else 2)
    if words.startswith("CREATE ROLE"):
        return _of_role(tokens, 5 if words.startswith("CREATE ROLE IF NOT EXISTS") else 2)
    if words.startswith("SET DEFAULT ROLE"):
        return _of_default(tokens)
    return _of_grant(tokens) if words.startswith("GRANT") else None


def _who(tokens: list[_Token], at: int) -> tuple[str, str | None, int]:
    """The account or role that is named at a place, and the place after it; ("", None, -1) for none."""
    if at >= len(tokens) or not tokens[at].quoted:
        return "", None, -1
    if at + 2 < len(tokens) and tokens[at + 1].text == "@" and tokens[at + 2].quoted:
        return tokens[at].value, tokens[at + 2].value, at + 3
    return tokens[at].value, None, at + 1


def _is_options(tokens: list[_Token]) -> bool:
    """Whether what follows an account is about this one alone: words, numbers, strings."""
    return all(token.kind in {"word", "string"} for token in tokens)


def _of_account(tokens: list[_Token], at: int) -> _Read | None:
    user, host, end = _who(tokens, at)
    return _Read("user", user, host) if host is not None and _is_options(tokens[end:]) else None


def _of_role(tokens: list[_Token], at: int) -> _Read | None:
    user, host, end = _who(tokens, at)
    rest = [token.text for token in tokens[end:]]
    alone = not rest or rest[:2] == ["WITH", "ADMIN"]
    return _Read("role", user, None) if user and host is None and alone else None


def _of_default(tokens: list[_Token]) -> _Read | None:
    """Only of one that is given: none is what an account has anyway."""
    role, host, end = _who(tokens, 3)
    if not role or host is not None or end >= len(tokens) or tokens[end].text != "FOR":
        return None
    user, host, end = _who(tokens, end + 1)
    return _Read("default", user, host, given=role) if host is not None and end == len(tokens) else None


def _of_grant(tokens: list[_Token]) -> _Read | None:
    words = [token.text if token.kind == "word" else "" for token in tokens]
    to = words.index("TO") if "TO" in words else 0
    user, host, end = _who(tokens, to + 1)
    rest = tokens[end:]
    if not to or end < 0 or not _is_options(rest):
        return None
    on = words.index("ON") if "ON" in words[:to] else to
    said = " ".join(token.text for token in tokens[1:on])
    place = "".join(token.text for token in tokens[on + 1 : to])
    if said == "PROXY":
        return _Read("grant", user, host, "", said, _who(tokens, on + 1)[0])
    given = tokens[1].value if on == to and tokens[1].quoted else ""
    return _Read("grant", user, host, place, said, given)


def _named(text: str) -> str:
    return "`" + text.replace("`", "``") + "`"
