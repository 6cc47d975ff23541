"""What is said about backups: databases and their copies, files and backups found there, what is known of each.

Every value is frozen and storable as JSON (`core.canon`): plans, verdicts in the record and manifests are made of them.
Times are whole seconds since 1970 UTC, 0 for unknown; sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from remedy.core.values import Secret

#: What a check can reach, lowest first. Each level includes those before it.
#: `intact`: the stored bytes are those that were written, by a checksum beside them or by another copy.
#: `readable`: decrypts and decompresses to the end. `whole`: header, footer, every table and statement complete.
#: `proven`: loaded into a staging instance, checked there, and dumped again with the same content.
LEVELS: Final = ("listed", "intact", "readable", "whole", "proven")


def reaches(level: str, wanted: str) -> bool:
    """Whether `level` is at least `wanted`, both of `LEVELS`."""
    return LEVELS.index(level) >= LEVELS.index(wanted)


@dataclass(frozen=True, slots=True)
class Copy:
    """One place where backups of a database are kept: a folder on an inventory host, or a prefix of an S3 bucket.

    `place` is the building or site, for "two copies in two buildings"; `off_site` marks the far one. With `host` it is
    the folder `path` there. Else it is S3: `endpoint` (URL, "" for the provider's own), `bucket`, `prefix`, `region`;
    `versioned` buckets keep what was overwritten, and older versions are candidates too. A `growing` folder holds logs
    that a server appends to: what was listed of a file is read, though it has grown since.
    """

    name: str
    place: str = ""
    off_site: bool = False
    host: str = ""
    path: str = ""
    endpoint: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    versioned: bool = False
    access_key: Secret | None = None
    secret_key: Secret | None = None
    growing: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """A service that writes to the database: systemd unit or init script `name` on inventory host `host`."""

    host: str
    name: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the site's own that a restored database must answer: one SELECT giving one number.

    It holds when the number is at least `at_least`.
    """

    sql: str
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class Promises:
    """What the emergency plans promise (BZ-BACKUP, PY-DB).

    A backup every day at `daily` (HH:MM, the database host's time), off site every `off_site_days` days, `copies`
    copies in `places` buildings.
    """

    daily: str = "02:00"
    off_site_days: int = 31
    copies: int = 2
    places: int = 2


@dataclass(frozen=True, slots=True)
class Keys:
    """How encrypted backups are opened, by reference.

    `gpg_home` is a folder, `age_identity` a file, on the controller; `openssl` a passphrase, `openssl_options` what
    `openssl enc -d` needs beside it.
    """

    gpg_home: str = ""
    gpg_passphrase: Secret | None = None
    openssl: Secret | None = None
    openssl_options: tuple[str, ...] = ("-aes-256-cbc", "-pbkdf2")
    age_identity: str = ""


@dataclass(frozen=True, slots=True)
class Database:
    """A database of the inventory. `name` is how it is called here, `schema` on the server of `host`.

    `copies` are in order of distance. `timezone` is the IANA zone of the clock that dumps were made by ("" is that of
    the database host). `defaults_file` is an option file on the host with the client's login ("" is root by socket).
    `staging` is the host where backups are proven ("" is the database host itself).
    """

    name: str
    schema: str
    host: str
    copies: tuple[Copy, ...] = ()
    timezone: str = ""
    defaults_file: str = ""
    staging: str = ""
    units: tuple[Unit, ...] = ()
    questions: tuple[Question, ...] = ()
    promises: Promises = field(default_factory=Promises)
    keys: Keys = field(default_factory=Keys)
    binlogs: str = ""
    keep_days: int = 7


@dataclass(frozen=True, slots=True)
class File:
    """Something found in a copy. `name` is relative to the copy, with "/" between folders.

    `changed` is the time after which its bytes cannot have been written (ctime on a host, Last-Modified in S3: unlike
    mtime neither can be set). `version` is the S3 version id or ETag, "" on a host. `kind` is "file", "directory",
    "link" or "other"; only files are ever read.
    """

    name: str
    size: int
    changed: int
    version: str = ""
    kind: str = "file"


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup as it lies in one copy: one file, the parts of a split file in order, or the files of a folder.

    `name` identifies it across copies (the file's name without folder, compression, encryption and part number).
    `format` is the name of a module of `formats`, "" when nothing recognises it. `checksum` and `manifest` are the
    files beside it that say what it should be, `beside` others that belong to it (signatures, other checksums, those of
    single parts). `odd` says what about it cannot be used (a link, a fifo, a gap).
    """

    name: str
    copy: str
    format: str
    files: tuple[File, ...]
    checksum: File | None = None
    manifest: File | None = None
    odd: str = ""
    beside: tuple[File, ...] = ()

    @property
    def size(self) -> int:
        """Bytes stored."""
        return sum(file.size for file in self.files)

    @property
    def changed(self) -> int:
        """The latest time at which its bytes can have been written."""
        return max((file.changed for file in self.files), default=0)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a backup says of itself. `time` is when it was completed; `time_text` as written there, without a zone.

    `tool` and `server` are versions, `database` what was dumped ("" for several), `charset` the client's.
    `binlog` is "file:position" and `gtid` the position of replication, "" when not written.
    """

    time: int = 0
    time_text: str = ""
    tool: str = ""
    server: str = ""
    database: str = ""
    charset: str = ""
    binlog: str = ""
    gtid: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table inside a backup. `create` is the SHA-256 of its definition without AUTO_INCREMENT=n.

    `rows` is the SHA-256 of the text of all its rows in order, however they are grouped into statements ("" when the
    backup leaves its rows out); `count` the number of rows, -1 when the text does not tell. `bytes` of row text.
    """

    name: str
    create: str
    rows: str = ""
    count: int = -1
    bytes: int = 0
    keyed: bool = True


@dataclass(frozen=True, slots=True)
class Object:
    """A view, trigger, procedure, function, event, package or sequence; `digest` is the SHA-256 of its definition.

    `sql` is the definition as it will be sent, with the SET statements around it; empty in manifests and verdicts.
    """

    kind: str
    name: str
    digest: str
    definer: str = ""
    sql: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong or odd about a backup. `code` can be accepted by name (`--accept CODE`) unless it is `fatal`."""

    code: str
    text: str
    fatal: bool = True


@dataclass(frozen=True, slots=True)
class Contents:
    """What one reading found inside: facts, tables in order, objects, the longest statement in bytes.

    `collations` are those that the definitions name, sorted.
    """

    facts: Facts = field(default_factory=Facts)
    tables: tuple[Table, ...] = ()
    objects: tuple[Object, ...] = ()
    longest: int = 0
    findings: tuple[Finding, ...] = ()
    collations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is known of one content, bound to the SHA-256 of its stored bytes (all files in order, concatenated).

    `level` is the highest one reached, `findings` why no higher one. `at` is when it was judged, `seconds` what it
    cost. `read` is the number of bytes after decompression.
    """

    sha256: str
    size: int
    level: str
    contents: Contents = field(default_factory=Contents)
    findings: tuple[Finding, ...] = ()
    at: int = 0
    seconds: int = 0
    read: int = 0
    container: str = ""

    def objections(self, accepted: frozenset[str] = frozenset()) -> tuple[Finding, ...]:
        """The findings that speak against restoring it, less those that may be accepted and were."""
        return tuple(f for f in self.findings if f.fatal or f.code not in accepted)
