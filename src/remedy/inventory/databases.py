"""Databases of the inventory: the host variable `remedy_databases`, typed and checked.

Decides names, types and defaults of its keys. Values may be templates; whole parts may be those of another variable
(`copies: "{{ usual_copies }}"`). Secrets stay references: one in clear is refused, since databases go into plans.
Leaves to others: reading the copies, and whether the promises are kept (`backups`).

    remedy_databases:
      site:
        timezone: Asia/Shanghai
        copies:
          - {name: local, path: /var/backups/mariadb, place: machine room}
          - {name: building-b, host: backup01, path: /srv/backups/db01, place: building B}
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from remedy.backups import times
from remedy.backups.values import Copy, Database, Keys, Promises, Question, Unit
from remedy.core.errors import InventoryError, UsageError
from remedy.inventory import buckets
from remedy.inventory.findings import Finding
from remedy.inventory.nested import Around, Setting

KEY: Final = "remedy_databases"
#: Every key below a database; the reference documentation is checked against it.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "": (
        *("schema", "timezone", "defaults_file", "staging", "copies", "units", "questions", "promises", "keys"),
        *("binlogs", "keep_days"),
    ),
    "copies": (
        *("name", "place", "off_site", "host", "path", "endpoint", "bucket", "prefix", "region", "versioned"),
        *("access_key", "secret_key"),
    ),
    "units": ("host", "name"),
    "questions": ("sql", "at_least"),
    "promises": ("daily", "off_site_days", "copies", "places"),
    "keys": ("gpg_home", "gpg_passphrase", "openssl", "openssl_options", "age_identity"),
}
_S3: Final = ("endpoint", "bucket", "prefix", "region", "versioned", "access_key", "secret_key")
#: The old data are kept beside the new as `<schema>__undo`, and a schema's name has at most 64 characters.
_LONGEST_SCHEMA: Final = 64 - len("__undo")
_SYSTEM: Final = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
_NAME: Final = re.compile(r"\w[\w.-]{0,63}\Z")
_UNIT: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\\-]{0,254}\Z")
_CLOCK: Final = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]\Z")
_SELECT: Final = re.compile(r"\s*\(*\s*(?:select|with)\b[^;]*;?\s*\Z", re.IGNORECASE)
_CIPHER: Final = re.compile(r"-aes-(?:128|192|256)-(?:cbc|ctr)\Z")
_OPENSSL: Final = frozenset({"-pbkdf2", "-a", "-base64", "-salt", "-nosalt"})
_OPENSSL_VALUES: Final = {"-iter": re.compile(r"[1-9][0-9]{0,8}\Z"), "-md": re.compile(r"[a-z0-9-]{2,20}\Z")}


@dataclass(frozen=True, slots=True)
class Declared:
    """A database as a host declares it, not read yet."""

    host: str
    name: str
    at: Setting

    def database(self) -> Database:
        """Read it. Raises InventoryError naming key, file and line."""
        return _database(self.name, self.at)


def declared(around: Around) -> tuple[Declared, ...]:
    """The databases of a host, by name. Raises InventoryError when the variable is no map or a name is none."""
    located = around.variables.get(KEY)
    if located is None or located.value is None:
        return ()
    at = Setting(around, KEY, located.where, None).of(located.value)
    found = []
    for name, entry in at.entries().items():
        if not _NAME.match(name):
            entry.wrong(
                "a name of letters, digits, '.', '_' and '-'", "this is how the database is called on the screen"
            )
        found.append(Declared(around.host, name, entry))
    return tuple(found)


def named(found: Collection[Declared]) -> dict[str, Declared]:
    """Every declared database by the name it goes by: its own, or host/name where two hosts use it."""
    times_used = Counter(one.name for one in found)
    return {one.name if times_used[one.name] == 1 else f"{one.host}/{one.name}": one for one in found}


def risks(database: Database, where: str) -> Iterator[Finding]:
    """What is allowed but will hurt when the database is gone."""
    what, copies = f"database {database.name}", database.copies
    if not copies:
        yield Finding("warning", where, f"{what} has no copies", "name where its backups are kept: copies: […]")
        return
    if len(copies) < database.promises.copies:
        text = f"{what} has {len(copies)} of the {database.promises.copies} copies promised"
        yield Finding("warning", where, text, "add a copy, or lower promises.copies")
    places = {copy.place for copy in copies if copy.place}
    if len(places) < database.promises.places:
        text = f"the copies of {what} are in {len(places)} of the {database.promises.places} places promised"
        yield Finding("warning", where, text, "say place: for each copy, and have one in another building")
    if not any(copy.off_site for copy in copies):
        yield Finding("warning", where, f"{what} has no copy off site", "mark the far copy with off_site: true")
    for copy in copies:
        if buckets.in_clear(copy.endpoint):
            text = f"copy {copy.name} of {what} is reached without TLS: data can be read on the way"
            yield Finding("warning", where, text, "use https://")


def _database(name: str, at: Setting) -> Database:
    given = at.entries(KEYS[""])
    readers: dict[str, Callable[[Setting], object]] = {
        "schema": _schema,
        "timezone": _timezone,
        "defaults_file": Setting.path,
        "staging": Setting.host,
        "copies": _copies,
        "units": lambda one: tuple(_unit(item) for item in one.items()),
        "questions": lambda one: tuple(_question(item) for item in one.items()),
        "promises": _promises,
        "keys": _keys,
        "binlogs": Setting.path,
        "keep_days": lambda one: one.whole(0, 36_500),
    }
    made = {key: readers[key](entry) for key, entry in given.items() if entry.value != ""}
    schema = made.pop("schema", None) or _schema(replace(at, value=name))
    return Database(name, schema, at.around.host, **made)  # type: ignore[arg-type]


def _schema(at: Setting) -> str:
    text = at.text("the name of a schema")
    if text.lower() in _SYSTEM:
        at.wrong("a schema of the site's own", "the server's own schemas are not restored from a backup")
    if not 0 < len(text) <= _LONGEST_SCHEMA or text != text.rstrip() or max(text) > "\uffff":
        at.wrong(f"a schema of at most {_LONGEST_SCHEMA} characters", "the old data is kept beside it as NAME__undo")
    return text


def _timezone(at: Setting) -> str:
    text = at.text("a time zone")
    try:
        times.zone(text)
    except UsageError as error:
        raise InventoryError(f"{at.key}: {error.message}", where=at.where, hint=error.hint) from error
    return text


def _copies(at: Setting) -> tuple[Copy, ...]:
    made: dict[str, Copy] = {}
    for item in at.items():
        copy = _copy(item)
        if copy.name in made:
            raise InventoryError(
                f"{item.key}: two copies are called {copy.name!r}", where=item.where, hint="rename one"
            )
        made[copy.name] = copy
    return tuple(made.values())


def _copy(at: Setting) -> Copy:
    given = at.entries(KEYS["copies"])
    if "name" not in given:
        raise InventoryError(f"{at.key} has no name", where=at.where, hint="name it: {name: building-b, …}")
    remote = [key for key in _S3 if key in given]
    if ("path" in given) == ("bucket" in given) or (remote and "path" in given) or ("host" in given and remote):
        raise InventoryError(
            f"{at.key} is neither a folder nor a bucket",
            where=at.where,
            hint="write {name, host, path} for a folder, {name, endpoint, bucket, prefix} for S3",
        )
    if ("access_key" in given) != ("secret_key" in given):
        raise InventoryError(f"{at.key} has one key of two", where=at.where, hint="give access_key and secret_key")
    readers: dict[str, Callable[[Setting], object]] = {
        "name": lambda one: one.text("a name of letters, digits, '.', '_' and '-'", _NAME),
        "place": Setting.text,
        "off_site": Setting.flag,
        "host": Setting.host,
        "path": Setting.path,
        "endpoint": buckets.endpoint,
        "bucket": lambda one: one.text("the name of a bucket", buckets.BUCKET),
        "prefix": buckets.prefix,
        "region": lambda one: one.text("the name of a region", buckets.BUCKET),
        "versioned": Setting.flag,
        "access_key": Setting.secret,
        "secret_key": Setting.secret,
    }
    made = {key: readers[key](entry) for key, entry in given.items() if entry.value != "" or key == "name"}
    if "path" in given:
        made.setdefault("host", at.around.host)
    return Copy(**made)  # type: ignore[arg-type]


def _unit(at: Setting) -> Unit:
    here = at.rendered()
    if isinstance(here.value, str):
        host, colon, name = here.value.partition(":")
        if not colon:
            here.wrong("{host: HOST, name: UNIT}, or HOST:UNIT")
        return Unit(replace(here, value=host).host(), replace(here, value=name).text("the name of a service", _UNIT))
    given = here.entries(KEYS["units"])
    if set(given) != {"host", "name"}:
        here.wrong("a map with host and name")
    return Unit(given["host"].host(), given["name"].text("the name of a service", _UNIT))


def _question(at: Setting) -> Question:
    here = at.rendered()
    if isinstance(here.value, str):
        return Question(here.text("one SELECT", _SELECT, "one statement that gives one number"))
    given = here.entries(KEYS["questions"])
    if "sql" not in given:
        here.wrong("a map with sql", "{sql: SELECT COUNT(*) FROM notice, at_least: 1}")
    sql = given["sql"].text("one SELECT", _SELECT, "one statement that gives one number")
    return Question(sql, given["at_least"].whole(0, 10**12 - 1) if "at_least" in given else 1)


def _promises(at: Setting) -> Promises:
    given = at.entries(KEYS["promises"])
    made: dict[str, object] = {key: entry.whole(1, 3_660) for key, entry in given.items() if key != "daily"}
    if "daily" in given:
        made["daily"] = given["daily"].text("a time HH:MM in quotes", _CLOCK, 'write "02:00", in quotes')
    return Promises(**made)  # type: ignore[arg-type]


def _keys(at: Setting) -> Keys:
    given = at.entries(KEYS["keys"], secret=True)
    readers: dict[str, Callable[[Setting], object]] = {
        "gpg_home": Setting.local,
        "gpg_passphrase": Setting.secret,
        "openssl": Setting.secret,
        "openssl_options": _openssl,
        "age_identity": Setting.local,
    }
    return Keys(**{key: readers[key](entry) for key, entry in given.items() if entry.value != ""})  # type: ignore[arg-type]


def _openssl(at: Setting) -> tuple[str, ...]:
    """The options of `openssl enc -d` that say how it was encrypted; none that reads or writes a file."""
    here = at.rendered()
    if isinstance(here.value, str):
        here = replace(here, value=here.value.split())
    words = tuple(
        str(item.value) if isinstance(item.value, int) else item.text("options of openssl enc") for item in here.items()
    )
    ciphers, left = 0, iter(words)
    for word in left:
        if _CIPHER.match(word):
            ciphers += 1
        elif word in _OPENSSL_VALUES:
            if not _OPENSSL_VALUES[word].match(next(left, "")):
                here.wrong(f"a value after {word}")
        elif word not in _OPENSSL:
            replace(here, value=word).wrong("-aes-256-cbc or alike, -pbkdf2, -iter N, -md DIGEST, -a, -salt or -nosalt")
    if ciphers != 1:
        here.wrong("exactly one cipher, such as -aes-256-cbc")
    return words
