r"""What kinds of statements there are in dumps beside definitions and rows: patterns, and what they stand for.

Follows what mysqldump, mariadb-dump and mydumper write, and what a planted dump might hold beside that. Definitions are
in `definitions`, schemas in `schemas`, settings in `session`. Leaves to others: what is done about each.

    /*!40000 ALTER TABLE `orders` DISABLE KEYS */      LOCK TABLES `orders` WRITE      GRANT ALL ON *.* TO …
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from remedy.backups.names import QUALIFIED

_WORD: Final = re.compile(rb"(?:/\*M?!\d*\s*)?([A-Za-z]+)")
DROP: Final = re.compile(
    rb"DROP\s+(?:TABLE|VIEW|SEQUENCE|TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE(?:\s+BODY)?)\s+"
    rb"(?:/\*!\d+\s+)?(?:IF\s+EXISTS\s*)?(?:\*/\s*)?(" + QUALIFIED + rb")\s*",
    re.IGNORECASE,
)
ALTER: Final = re.compile(
    rb"ALTER\s+TABLE\s+(" + QUALIFIED + rb")\s+(DISABLE|ENABLE|ADD|MODIFY|CHANGE)\s", re.IGNORECASE
)
LOCK: Final = re.compile(rb"LOCK\s+TABLES?\s+(" + QUALIFIED + rb")\s+(?:WRITE|READ)\b", re.IGNORECASE)
GTID: Final = re.compile(rb"SET\s+@@(?:GLOBAL\.)?GTID_PURGED\s*=.*?'([^']*)'\s*", re.IGNORECASE | re.DOTALL)
ROLE: Final = re.compile(rb"SET\s+(?:PASSWORD|ROLE|DEFAULT\s+ROLE|RESOURCE)\b", re.IGNORECASE)
FILE: Final = re.compile(rb"\bINTO\s+(?:OUTFILE|DUMPFILE)\b|\bLOAD_FILE\s*\(|\bCURRENT_ROLE\b", re.IGNORECASE)
SERVER: Final = re.compile(
    rb"(?:CREATE|ALTER|DROP|RENAME)\s+(?:OR\s+REPLACE\s+)?"
    rb"(?:USER|ROLE|SERVER|TABLESPACE|UNDO\s+TABLESPACE|LOGFILE|INSTANCE|(?:AGGREGATE\s+)?FUNCTION)\b",
    re.IGNORECASE,
)
PRIVILEGES: Final = frozenset(
    b"GRANT REVOKE INSTALL UNINSTALL SHUTDOWN KILL LOAD RESET PURGE RESTART CLONE IMPORT BACKUP BINLOG HANDLER "
    b"EXECUTE".split()
)
HARMLESS: Final = frozenset(b"COMMIT START BEGIN ANALYZE FLUSH".split())
REPLICATION: Final = re.compile(
    rb"(?:CHANGE|STOP|START|RESET)\s+(?:ALL\s+)?(?:MASTER|SLAVES?|REPLICA\w*)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Said:
    """A statement: `plain` without a version comment around it, `text` as it stands there, and its delimiter."""

    plain: bytes
    text: bytes
    delimiter: bytes


def word(plain: bytes) -> bytes:
    """The first word of a statement in capitals, b"" when it does not begin with one."""
    match = _WORD.match(plain)
    return match[1].upper() if match else b""


def bare(text: bytes) -> bytes:
    """A statement without the version comment around it: `/*!40101 SET NAMES utf8mb4 */` is SET NAMES utf8mb4."""
    text = text.strip()
    if text.startswith((b"/*!", b"/*M!")) and text.find(b"*/") == len(text) - 2:
        return re.sub(rb"\A/\*M?!\d*\s*", b"", text)[:-2].rstrip()
    return text
