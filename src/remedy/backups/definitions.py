r"""What CREATE statements define: tables, sequences, views, triggers, routines, events, packages.

Decides the name, the digest of the definition and what is remarkable in it. Digests are those of a form that does not
depend on how the dumper wraps it: a dump made again by the same server has the same digests.

    CREATE TABLE `t` (                               /*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/
      `id` int(11) NOT NULL AUTO_INCREMENT,          /*!50003 TRIGGER `tr` BEFORE INSERT ON `t` FOR EACH ROW BEGIN
      PRIMARY KEY (`id`)                             …
    ) ENGINE=InnoDB AUTO_INCREMENT=4 …               END */;;

Leaves to others: where statements end, and which of them are sent.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from remedy.backups.names import ACCOUNT, IDENT, QUALIFIED, unquoted

# Possessive wherever one run of spaces may follow another: hostile text has long ones.
_VERSION: Final = rb"(?:/\*M?!\d{5,6}\s*+)?+"
_BETWEEN: Final = rb"\s*+(?:\*/)?+\s*+" + _VERSION

TABLE: Final = re.compile(
    rb"CREATE\s+(?:OR\s+REPLACE\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(" + QUALIFIED + rb")(?=\s*\()", re.IGNORECASE
)
SEQUENCE: Final = re.compile(
    rb"CREATE\s+(?:OR\s+REPLACE\s+)?SEQUENCE\s+(?:IF\s+NOT\s+EXISTS\s+)?(" + QUALIFIED + rb")(?=\s|\Z)", re.IGNORECASE
)
SETVAL: Final = re.compile(
    rb"(?:DO|SELECT)\s+SETVAL\(\s*(" + QUALIFIED + rb")\s*,\s*(-?\d+)\s*,\s*[01]\s*(?:,\s*\d+\s*)?\)", re.IGNORECASE
)
INDEX: Final = re.compile(
    rb"CREATE\s+(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+)?(?:INDEX|KEY)\s+"
    + IDENT
    + rb"\s+(?:USING\s+\w+\s+)?ON\s+("
    + QUALIFIED
    + rb")\s*\(",
    re.IGNORECASE,
)
#: What a view is announced as before its real definition (or, until MariaDB 10.5, as a table in such a comment).
PLACEHOLDER: Final = re.compile(
    rb"/\*!50001\s+CREATE\s+(?:VIEW\s+("
    + IDENT
    + rb")\s+AS\s+SELECT\s+(?:NULL|1)\s+AS\s|TABLE\s+("
    + IDENT
    + rb")\s*\()",
    re.IGNORECASE,
)
OBJECT: Final = re.compile(
    _VERSION
    + rb"CREATE"
    + _BETWEEN
    + rb"(?:OR\s+REPLACE\s+)?(?:ALGORITHM\s*=\s*\w+"
    + _BETWEEN
    + rb")?(?:DEFINER\s*=\s*("
    + ACCOUNT
    + rb")"
    + _BETWEEN
    + rb")?(?:SQL\s+SECURITY\s+\w+"
    + _BETWEEN
    + rb")?(?:AGGREGATE\s+)?(VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE\s+BODY|PACKAGE)\s+(?:IF\s+NOT\s+EXISTS\s+)?("
    + QUALIFIED
    + rb")",
    re.IGNORECASE,
)
_USER: Final = re.compile(IDENT + rb"|'(?:[^']|'')*+'")
_LIBRARY: Final = re.compile(rb"\s*RETURNS\s+\w+\s+SONAME\b", re.IGNORECASE)
_WRAPPING: Final = re.compile(rb"/\*M?!\d{5,6}\s*|\*/")
_CHECK_OPTION: Final = re.compile(rb"\*/\s*/\*!\d+\s+(WITH\s+(?:LOCAL|CASCADED)\s+CHECK\s+OPTION)\s*\*/\s*\Z")
_OPTION_LENGTH: Final = 200

_STRING: Final = re.compile(rb"'(?:[^'\\]++|\\.|'')*+'", re.DOTALL)
_LINE_END: Final = re.compile(rb"(?<![ \t\r])[ \t\r]++(?=\n|\Z)")
_COUNTER: Final = re.compile(rb"(\n\)[^\n'\"]*?) AUTO_INCREMENT=\d+")
_ENGINE: Final = re.compile(rb"\n\)[^\n']*?\bENGINE\s*=\s*(\w+)", re.IGNORECASE)
_CHARSET: Final = re.compile(rb"(?:CHARSET\s*=\s*|CHARACTER SET\s*=?\s*)(\w+)", re.IGNORECASE)
_COLLATION: Final = re.compile(rb"COLLATE\s*=?\s*(\w+)", re.IGNORECASE)
_OUTSIDE: Final = re.compile(
    rb"\b(?:DATA|INDEX)\s+DIRECTORY\s*=|\bCONNECTION\s*=|\bENGINE\s*=\s*(?:FEDERATED|CONNECT|SPIDER|OQGRAPH|S3)\b",
    re.IGNORECASE,
)
_ELSEWHERE: Final = re.compile(rb"\bREFERENCES\s+" + IDENT + rb"\s*\.\s*" + IDENT, re.IGNORECASE)
_COLUMN: Final = re.compile(rb"\s+(" + IDENT + rb")\s.*?\bNOT NULL\b")
_UNIQUE: Final = re.compile(rb"\s+UNIQUE KEY " + IDENT + rb" \(((?:" + IDENT + rb"(?:,|(?=\))))+)\)(?! USING HASH)")
_PRIMARY: Final = re.compile(rb"\n[ \t]+PRIMARY KEY \(")
#: mysqldump writes no rows of tables kept elsewhere (`check_if_ignore_table` in client/mysqldump.cc).
_ROWLESS: Final = frozenset((b"mrg_myisam", b"mrg_isam", b"federated", b"connect", b"oqgraph", b"spider", b"vp"))


@dataclass(frozen=True, slots=True)
class TableText:
    """What a CREATE TABLE says. `sql` is what is sent, without a semicolon; `digest` that of the definition.

    `keyed`: the table's rows come back in the order of a key, whatever order they were loaded in. `charsets` and
    `collations` are those that it names. `outside`: it is kept outside the data directory. `elsewhere`: it refers
    to a table of another schema. `engine` is "" when it is not said. `rowless`: dumpers leave its rows out on
    purpose. `sequence`: it is one, as mydumper sees it.
    """

    sql: bytes
    digest: str
    keyed: bool
    charsets: frozenset[str]
    collations: frozenset[str]
    outside: bool
    elsewhere: bool
    rowless: bool
    sequence: bool
    engine: str


@dataclass(frozen=True, slots=True)
class ObjectText:
    """What a CREATE of anything but a table says. `normal` is the definition without what dumpers wrap it in."""

    kind: str
    name: bytes
    definer: str
    normal: bytes


def table(text: bytes, head: re.Match[bytes]) -> TableText:
    """Read a CREATE TABLE whose head is a match of `TABLE`."""
    body = text[head.end() :].rstrip()
    code = _STRING.sub(b"''", body)
    engine = _ENGINE.search(code)
    normal = b"CREATE TABLE " + head[1] + _COUNTER.sub(rb"\1", _LINE_END.sub(b"", body), count=1)
    name = engine[1].lower() if engine else b"innodb"
    return TableText(
        sql=b"CREATE TABLE IF NOT EXISTS " + head[1] + body,
        digest=hashlib.sha256(normal).hexdigest(),
        keyed=name == b"innodb" and _keyed(code),
        charsets=frozenset(found.decode("ascii", "replace").lower() for found in _CHARSET.findall(code)),
        collations=frozenset(found.decode("ascii", "replace").lower() for found in _COLLATION.findall(code)),
        outside=bool(_OUTSIDE.search(code)),
        elsewhere=bool(_ELSEWHERE.search(code)),
        rowless=name in _ROWLESS,
        sequence=b" SEQUENCE=1" in code,
        engine=engine[1].decode("ascii", "replace") if engine else "",
    )


def _keyed(code: bytes) -> bool:
    """Whether InnoDB keeps the rows in the order of a key: the primary one, or the first unique without NULLs."""
    if _PRIMARY.search(code):
        return True
    lines = code.split(b"\n")
    never_null = {match[1] for line in lines if (match := _COLUMN.match(line))}
    keys = [match[1] for line in lines if (match := _UNIQUE.match(line))]
    return any(set(re.findall(IDENT, key)) <= never_null for key in keys)


def described(text: bytes) -> ObjectText | None:
    """Read the CREATE of a view, trigger, routine, event or package; None when it is something else."""
    head = OBJECT.match(text)
    if head is None or _LIBRARY.match(text, head.end()):
        return None
    kind = b" ".join(head[2].lower().split()).decode()
    first, rest = text[: head.end()], text[head.end() :]
    wrapped = first.count(b"/*!") + first.count(b"/*M!") > first.count(b"*/")
    if wrapped:
        option = _CHECK_OPTION.search(rest, max(0, len(rest) - _OPTION_LENGTH))
        rest = rest[: option.start()].rstrip() + b" " + option[1] if option else rest.rstrip().removesuffix(b"*/")
    normal = b" ".join(_WRAPPING.sub(b" ", first).split()) + rest.rstrip()
    return ObjectText(kind, head[3], _account(head[1] or b""), normal)


def _account(definer: bytes) -> str:
    found = _USER.findall(definer)
    return "@".join(unquoted(part).decode("utf-8", "backslashreplace") for part in found)


def sequence(values: bytes, engine: str) -> tuple[bytes, bytes] | None:
    """What mariadb-dump writes after CREATE SEQUENCE and its name, and into SETVAL, for a sequence's one row.

    mydumper takes a sequence for a table. None when `values` (what follows VALUES) is not such a row.

        (1010,1,9223372036854775806,10,1,1000,0,0)
        next value, minimum, maximum, start, increment, cache, cycle, cycles so far
    """
    numbers = re.fullmatch(rb"\s*\((-?\d+(?:,-?\d+){7})\)\s*;\s*", values)
    if numbers is None:
        return None
    following, low, high, start, step, cache, cycle, _ = numbers[1].split(b",")
    tail = b" start with %s minvalue %s maxvalue %s increment by %s" % (start, low, high, step)
    tail += b" nocache" if cache == b"0" else b" cache " + cache
    return tail + (b" nocycle" if cycle == b"0" else b" cycle") + b" ENGINE=" + engine.encode(), following
