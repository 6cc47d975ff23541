"""The long streams a plan may ask for, as values. `core.values.Transfer` names one of `KINDS` and holds its options.

Decides what each needs to know; carried out by `remedy.transports.transfers` (one module of the same name each).
Every result is a JSON object: hashes of what was read and written, and how much.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from remedy.backups.values import Backup, Contents, Copy, Database
from remedy.core.canon import canonical, decode, encode
from remedy.core.errors import PlanFileError
from remedy.core.values import Transfer


@dataclass(frozen=True, slots=True)
class Take:
    """Dump `database` as it is now, in one consistent snapshot, into every one of `copies` at once.

    Writes `<name>.sql.zst`, `<name>.sql.zst.sha256` (as sha256sum writes it) and `<name>.manifest.json`, the data last
    under its final name. Then reads it back from each copy and compares. `label` says why (for the manifest).
    `without` names views that cannot be opened, because what they read is gone: they are left out. With `numbered` a
    name under which a copy has something already gets a number: an attempt that was cut short may have left it there.
    Result: {"name", "sha256", "size", "read", "tables", "rows", "copies": {name: "verified" | "failed: why"}, "time"}.
    """

    database: Database
    copies: tuple[Copy, ...]
    name: str
    label: str = ""
    without: tuple[str, ...] = ()
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Staged:
    """An isolated server on host `at` that holds what is to be restored: `login` is an option file there."""

    at: str
    login: str
    socket: str


@dataclass(frozen=True, slots=True)
class Load:
    """Load tables and rows of `backup` from `copy` into the empty schema `into`, by `clients` clients at once.

    The stream is hashed and judged again on the way: it fails unless its SHA-256 is `sha256` and its tables and
    objects are those of `contents`. `login` is the option file (on the database host) of an account that can touch
    nothing but `into`; with `socket` the server behind it is asked, "" is the client's default.
    `objects` is True to send views, triggers, routines and events too (into an isolated instance).
    With `staged` the rows come from a dump of the server that was started on the backup, or on which binary logs were
    applied to it; `contents` are then what its `Survey` found, and `sha256` names the backup without being compared.
    Result: {"sha256", "read", "tables", "statements", "bytes"}.
    """

    database: Database
    copy: Copy
    backup: Backup
    sha256: str
    contents: Contents
    into: str
    login: str
    socket: str = ""
    clients: int = 2
    objects: bool = False
    staged: Staged | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """Dump the schema `into` again and compare it, table by table, with `contents`; then CHECK TABLE everything.

    With `objects` views, triggers, routines and events are compared too. With `copy` and `backup` tables whose text
    differs are read there once more, and compared without regard to order and form.
    Result: {"tables", "rows", "equal": n, "different": [{"table", "what"}], "notes": [the same], "checked": n,
    "bytes"}; it fails when anything differs that is not named in `accepted` (a table, or "view v").
    """

    database: Database
    contents: Contents
    into: str
    login: str
    socket: str = ""
    clients: int = 2
    objects: bool = False
    accepted: tuple[str, ...] = ()
    copy: Copy | None = None
    backup: Backup | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bring the files of `backup` from `copy` into the folder `into` of the host, which is made anew for it.

    Those of a folder keep their paths below it, a stream is unpacked there; names that lead out of it are refused. With
    the format `LOGS` they are binary logs, which arrive decompressed. Fails unless the stored bytes have the hash
    `sha256` ("" is any).
    Result: {"sha256", "files", "bytes"}.
    """

    database: Database
    copy: Copy
    backup: Backup
    sha256: str
    into: str


@dataclass(frozen=True, slots=True)
class Survey:
    """Dump the schema `schema` of an isolated server, and say what is in it; CHECK TABLE everything first.

    `login` is an option file of the host, of an account that may read everything. This is how the contents of a
    physical backup, or of one that binary logs were applied to, become known.
    Result: {"contents", "tables", "rows", "checked", "bytes"}; it fails when a table is damaged or the dump not whole.
    """

    schema: str
    login: str
    socket: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """Make the accounts of `statements` on the server of `database`, rights on single tables and routines included.

    The statements are as `backups.accounts.shown` gives them: passwords are not in plans, nor in the record. They are
    read in a manifest of one of the database's copies, which has to say the same in all else.
    Result: {"accounts", "statements", "copies": [where that manifest is], "refused": [whose a statement was]}; it fails
    when the server refuses one, or an account is there that the manifest only names.
    """

    database: Database
    statements: tuple[str, ...]


#: `Backup.format` of binary logs to be fetched; no module of `formats`, for nobody restores from these alone.
LOGS: Final = "logs"

#: A schema that is there for as long as accounts are being made: their number does not tell of their rights.
ACCOUNTS_BEGUN: Final = "remedy__accounts"

KINDS: Final[dict[str, type]] = {
    "take": Take,
    "load": Load,
    "compare": Compare,
    "fetch": Fetch,
    "survey": Survey,
    "accounts": Accounts,
}


def transfer(value: object) -> Transfer:
    """One of the values above as a plan keeps it."""
    kind = next(name for name, made in KINDS.items() if isinstance(value, made))
    return Transfer(kind, canonical(encode(value)).decode())


def of(made: Transfer) -> object:
    """The value that a plan's transfer holds. Raises PlanFileError when it holds none."""
    if made.kind not in KINDS:
        raise PlanFileError(f"no transfer is called {made.kind!r}", hint="a plan from another version")
    try:
        data = json.loads(made.spec)
    except ValueError as error:
        raise PlanFileError(f"the options of {made.kind} are no JSON", where="Transfer.spec") from error
    value: object = decode(KINDS[made.kind], data, where=made.kind)
    return value
