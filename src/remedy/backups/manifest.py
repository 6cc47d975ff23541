"""What is written beside a backup: its manifest, and a checksum file as sha256sum writes it.

Decides what a manifest says and how both are read back: strictly and bounded, since whoever can write to a copy can
write these. They say what a backup should be; that it is so, only reading it shows. Leaves to others: storing them.

A manifest is one JSON object (RFC 8259)::

    {"charset": "utf8mb4", "contents": {…}, "database": "web", "gtid": "0-1-42", "schema_version": 1, …}
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.backups.ports import Damaged
from remedy.backups.rights import Held
from remedy.backups.values import Contents
from remedy.core.canon import Json, canonical, decode, encode
from remedy.core.errors import PlanFileError
from remedy.core.text import printable

#: The largest manifest that is read, in bytes: tens of thousands of tables.
LARGEST: Final = 32 << 20
VERSION: Final = 1

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
#: The year 9999: what comes later cannot be shown as a date.
_LATEST: Final = 253_402_300_799
# GNU coreutils: hash, space, "*" or space, name; a leading backslash says that the name is escaped. BSD: --tag.
_LINE: Final = re.compile(rb"(\\)?([0-9a-fA-F]{64})(?:[ ][ *]?(.*))?")
_TAGGED: Final = re.compile(rb"(\\)?SHA256 ?\((.*)\) ?= ?([0-9a-fA-F]{64})")
_ESCAPE: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup was when it was written.

    `database` is its name in the inventory, `schema` and `host` where it was dumped, `server` the server's version.
    `time` is when the dump was complete (seconds since 1970 UTC), `binlog` ("file:position") and `gtid` where
    replication stood in it. `sha256` and `size` are of the stored bytes. `label` says why it was taken. `rights` are
    who could do what in the schema then (`probes.integrity.rights`), `held` the rights that are told elsewhere
    (`backups.rights`; older manifests have none). `accounts` are the statements that make the server's accounts again,
    and comments that name those which could not be told (`backups.accounts`): with their hashed passwords, which is why
    manifests are as secret as dumps.
    """

    database: str
    schema: str
    host: str
    server: str
    time: int
    sha256: str
    size: int
    binlog: str = ""
    gtid: str = ""
    label: str = ""
    charset: str = ""
    contents: Contents = field(default_factory=Contents)
    rights: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    schema_version: int = VERSION


def bare(contents: Contents) -> Contents:
    """The contents without the text of definitions, which is as long as anybody likes."""
    return replace(contents, objects=tuple(replace(item, sql="") for item in contents.objects))


def encoded(manifest: Manifest) -> bytes:
    """The manifest's canonical JSON and a newline, without the text of definitions."""
    return canonical(encode(replace(manifest, contents=bare(manifest.contents)))) + b"\n"


def decoded(data: bytes) -> Manifest:
    """Read a manifest. Raises Damaged("manifest") for whatever is not exactly one."""
    if len(data) > LARGEST:
        raise _wrong(f"longer than {LARGEST >> 20} MiB")
    try:
        found: Json = json.loads(data, object_pairs_hook=_once)
        canonical(found)  # no lone surrogates, no floats: it can be stored and shown
    except (ValueError, TypeError, RecursionError) as error:
        raise _wrong("not JSON as a manifest has it") from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if type(version) is int and version != VERSION:
        raise _wrong(f"of version {printable(str(version), 20)}, this one reads version {VERSION}")
    try:
        manifest = decode(Manifest, _filled(Manifest, found), where="manifest")
    except (PlanFileError, RecursionError) as error:
        said = error.message if isinstance(error, PlanFileError) else "nested too deeply"
        raise _wrong(printable(said, 200, one_line=True)) from error
    numbers = (manifest.size, *(table.bytes for table in manifest.contents.tables))
    if not _SHA256.fullmatch(manifest.sha256) or min(numbers) < 0 or not 0 <= manifest.time <= _LATEST:
        raise _wrong("its checksum, size or time cannot be right")
    return manifest


def checksum_line(name: str, sha256: str) -> bytes:
    """One line as `sha256sum --binary` writes it. `name` is without folder and control characters."""
    return f"{sha256} *{name}\n".encode()


def checksums(data: bytes) -> tuple[tuple[str, str], ...]:
    r"""Read what sha256sum (also with --tag) wrote: (hash in lower-case hex, name) per line; "" for a hash alone.

    Sample::

        9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 *web-2026-11-20.sql.zst
        SHA256 (web.sql) = 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

    Raises Damaged("checksum") when there is a line that is none, two hashes for one name, or no line at all.
    """
    found: dict[str, str] = {}
    for line in data.removeprefix(b"\xef\xbb\xbf").splitlines():
        if not line.strip() or line.startswith(b"#"):
            continue
        if tagged := _TAGGED.fullmatch(line.strip()):
            escaped, raw, value = tagged.groups()
        elif plain := _LINE.fullmatch(line.rstrip()):
            escaped, value, raw = plain.groups()
        else:
            raise Damaged("checksum", f"a line of the checksum file is none: {printable(line, 80, one_line=True)}")
        name = (raw or b"").decode("utf-8", "backslashreplace")
        if escaped:
            name = _ESCAPE.sub(lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), name)
        digest = value.decode().lower()
        if found.setdefault(name, digest) != digest:
            raise Damaged("checksum", f"the checksum file says two things of {printable(name, 80, one_line=True)}")
    if not found:
        raise Damaged("checksum", "the checksum file is empty")
    return tuple((digest, name) for name, digest in found.items())


def _filled(kind: object, data: Json) -> Json:
    """With what an older version did not write yet: fields that have a default."""
    if isinstance(data, list) and typing.get_origin(kind) is tuple:
        return [_filled(typing.get_args(kind)[0], item) for item in data]
    if not isinstance(data, dict) or not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return data
    hints = typing.get_type_hints(kind)
    filled: dict[str, Json] = {name: _filled(hints.get(name), item) for name, item in data.items()}
    for one in dataclasses.fields(kind):
        if one.name not in filled and one.default is not dataclasses.MISSING:
            filled[one.name] = encode(one.default)
    return filled


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """An object whose keys are there once: of two, programs take different ones."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _wrong(why: str) -> Damaged:
    return Damaged("manifest", f"the manifest cannot be used: {why}")
