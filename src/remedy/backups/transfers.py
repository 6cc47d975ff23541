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
    Result: {"sha256", "size", "read", "tables", "rows", "copies": {name: "verified" | "failed: why"}, "time"}.
    """

    database: Database
    copies: tuple[Copy, ...]
    name: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """Load tables and rows of `backup` from `copy` into the empty schema `into`, by `clients` clients at once.

    The stream is hashed and judged again on the way: it fails unless its SHA-256 is `sha256` and its tables and
    objects are those of `contents`. `login` is the option file (on the database host) of an account that can touch
    nothing but `into`; with `socket` the server behind it is asked, "" is the client's default.
    `objects` is True to send views, triggers, routines and events too (into an isolated instance).
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


@dataclass(frozen=True, slots=True)
class Compare:
    """Dump the schema `into` again and compare it, table by table, with `contents`; then CHECK TABLE everything.

    With `objects` views, triggers, routines and events are compared too.
    Result: {"tables", "rows", "equal": n, "different": [{"table", "what"}], "checked": n, "bytes"}; it fails when
    anything differs that is not named in `accepted`.
    """

    database: Database
    contents: Contents
    into: str
    login: str
    socket: str = ""
    clients: int = 2
    objects: bool = False
    accepted: tuple[str, ...] = ()


KINDS: Final[dict[str, type]] = {"take": Take, "load": Load, "compare": Compare}


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
