r"""The accounts of a server, as statements that make them again: kept in a backup's manifest, used by a rebuilt server.

Decides which statements of `mariadb-dump --system=users` are kept: those that make an account or a role and grant it
something, one by one, and none about the accounts that every server has of its own. Passwords are in them as the
server keeps them, hashed; `shown` are the statements as plans and the record have them, without those. A manifest may
have been planted: `understood` reads its statements as strictly as those of a dump, so that nothing but making accounts
can come of them. An account that the server could not tell is named in a comment, so that whoever makes the others
again knows that one is missing. Leaves to others: running them.

Roles are made first, whatever the order in the dump, where they are written for the importing account's sake as

    /*M!100005 CREATE ROLE 'reader' WITH ADMIN mariadb_dump_import_role */;
    /*M!100005 SET DEFAULT ROLE 'reader' FOR 'site'@'198.18.1.%' */;

and are kept without comment and administrator; grants and accounts are kept as they are:

    CREATE USER `site`@`198.18.1.%` IDENTIFIED BY PASSWORD '*64E2…';
    GRANT SELECT, INSERT ON `site`.* TO `site`@`198.18.1.%`;
    -- not told: old@198.18.1.9
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from remedy.backups.ports import Damaged
from remedy.backups.sql import Splitter, Statement
from remedy.core.text import printable

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
#: In place of a password, a hash or whatever else an account is let in by.
HIDDEN: Final = "'…'"
_UNTOLD: Final = "-- not told: "
#: A statement of a dump about an account, whether or not it is understood.
_ABOUT: Final = re.compile(rb"(?:/\*M!100005 )?(?:CREATE (?:USER|ROLE)|GRANT|SET DEFAULT ROLE (?!NONE\b)) ?")
#: Schemas in which nothing is made, whatever a grant names.
_OF_THE_SERVER: Final = frozenset({"mysql", "sys", "information_schema", "performance_schema"})
_ROUTINES: Final = frozenset({"PROCEDURE", "FUNCTION"})
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


@dataclass(frozen=True, slots=True)
class Place:
    """A single table or routine that a grant is on: `kind` is "TABLE", "PROCEDURE" or "FUNCTION"; columns it names."""

    kind: str
    schema: str
    name: str
    columns: tuple[str, ...] = ()


def kept(text: bytes) -> tuple[str, ...]:
    """The statements worth keeping, roles first. What is not understood is left out: it is never run."""
    found: dict[str, str] = {}
    for statement in _split(text):
        if one := _kept(statement):
            found[one] = one
    return tuple(sorted(found, key=lambda one: not one.startswith("CREATE ROLE ")))


def understood(statements: Iterable[str]) -> tuple[str, ...]:
    """Those of a manifest's statements that are nothing but what `kept` keeps, each read by itself."""
    return tuple(one for said in statements for one in kept(f"{said};\n".encode()) if one == said)


def complete(text: bytes, there: Iterable[str]) -> tuple[str, ...]:
    """What is kept of a dump, and in comments which of the accounts `there` it does not tell, or not wholly.

    Those are named as `name` names them. A dump tells of each account what makes it and at least one grant.
    """
    found = kept(text)
    reads = [one for one in map(_read, found) if one]
    made = {one.name for one in reads if one.verb in {"user", "role"}}
    granted = {one.name for one in reads if one.verb == "grant"}
    odd = [one.decode("utf-8", "backslashreplace") for one in _split(text) if not _is_known(one)]
    notes = []
    for one in there:
        user = one.rpartition("@")[0] or one
        if user in OWN or user.startswith("remedy_"):
            continue
        if one not in made:
            notes.append(one)
        elif one not in granted or any(_named(user) in said for said in odd):
            notes.append(f"{one} (some of its rights)")
    return (*found, *(_UNTOLD + printable(note, 200, one_line=True) for note in notes))


def untold(statements: Iterable[str]) -> tuple[str, ...]:
    """The accounts of which a manifest says that they could not be told when it was written."""
    return tuple(
        printable(one.removeprefix(_UNTOLD), 200, one_line=True) for one in statements if one.startswith(_UNTOLD)
    )


def shown(statements: Iterable[str]) -> tuple[str, ...]:
    """The same statements as anybody may see them: without passwords, "" in place of what is not understood."""
    return tuple(
        one if one.startswith(_UNTOLD) else _without_secrets(one)[0] if understood((one,)) else "" for one in statements
    )


def secrets(statements: Iterable[str]) -> frozenset[str]:
    """What `shown` hides, as it stands between its quotes."""
    return frozenset(secret for one in statements for secret in _without_secrets(one)[1])


def name(statement: str) -> str:
    """Whose statement it is: "user@host", a role's name, "" when that cannot be told."""
    found = _read(statement)
    return found.name if found else ""


def names(statements: Iterable[str]) -> tuple[str, ...]:
    """Every account and role, once, in order."""
    return tuple(dict.fromkeys(said for one in statements if (said := name(one))))


def on_objects(statements: Iterable[str]) -> tuple[str, ...]:
    """The grants on single tables and routines: a server takes them only once those are there."""
    return tuple(
        one
        for one in statements
        if (found := _read(one)) and found.verb == "grant" and found.on and not found.on.endswith(".*")
    )


def place(statement: str) -> Place | None:
    """What a grant of `on_objects` is on; None for one in a schema of the server's own, and for packages."""
    found = _read(statement)
    tokens = _tokens(found.on) if found and found.verb == "grant" else None
    if not found or not tokens:
        return None
    kind = tokens[0].text if tokens[0].kind == "word" else "TABLE"
    ident = [token.value for token in tokens if token.kind == "name"]
    if kind not in {"TABLE", *_ROUTINES} or len(ident) != 2 or ident[0].lower() in _OF_THE_SERVER:  # noqa: PLR2004 -- schema and name
        return None
    columns = [token.value for token in _tokens(found.might) or () if token.kind == "name"]
    return Place(kind, ident[0], ident[1], tuple(dict.fromkeys(columns)))


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


def _split(text: bytes) -> Iterator[bytes]:
    """The statements of a dump, as far as it can be read."""
    splitter = Splitter()
    try:
        for token in (*splitter.feed(text), *splitter.end()):
            if isinstance(token, Statement) and len(token.text) <= _LONGEST:
                yield token.text
    except Damaged:
        return


def _is_known(statement: bytes) -> bool:
    """Whether a statement is kept, is not about accounts, or is one that a dump writes for its own sake."""
    if not _ABOUT.match(statement) or _kept(statement):
        return True
    sql = statement.decode("utf-8", "replace").strip()
    inside = _COMMENT.fullmatch(sql)
    return _read(inside["inner"] if inside else sql) is not None


def _without_secrets(sql: str) -> tuple[str, list[str]]:
    """A statement without what an account is let in by, and that: every string after IDENTIFIED but names of plugins.

    CREATE USER `a`@`%` IDENTIFIED VIA ed25519 USING 'rZk…' OR unix_socket REQUIRE SUBJECT '/CN=a'
    CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x2441…
    """
    made, hidden, last, inside = "", [], "", False
    for token in _tokens(sql, spaces=True) or ():
        text = token.text
        if token.kind == "word" and not (inside and text.startswith("0x")):
            inside = text == "IDENTIFIED" or (inside and text != "REQUIRE")
        elif token.kind == "word":
            hidden.append(text)
            text = HIDDEN
        elif token.kind == "string" and inside and last not in {"VIA", "WITH"} and text not in {"''", HIDDEN}:
            hidden.append(text[1:-1])
            text = HIDDEN
        if token.kind != "space":
            last = token.text
        made += text
    return made, hidden


def _tokens(sql: str, *, spaces: bool = False) -> list[_Token] | None:
    """The tokens of a statement, None when there is anything else in it."""
    tokens: list[_Token] = []
    at = 0
    while at < len(sql):
        match = _TOKEN.match(sql, at)
        if match is None:
            return None
        at = match.end()
        if spaces or match.lastgroup != "space":
            tokens.append(_Token(match.lastgroup or "", match[0]))
    return tokens


def _read(sql: str) -> _Read | None:
    """What a statement is, None for one that is none of ours from its first to its last character."""
    tokens = _tokens(sql)
    if tokens is None:
        return None
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
