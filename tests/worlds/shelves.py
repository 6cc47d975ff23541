"""Copies in memory: real bytes behind the port, with the faults that real ones have."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from remedy.backups.ports import Damaged
from remedy.backups.values import Copy, File
from remedy.core.errors import Unreachable

_CHUNK = 8192

_HEAD = """\
/*M!999999\\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: {schema}
-- ------------------------------------------------------
-- Server version\t10.11.19-MariaDB-log

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
"""
_TABLE = """
--
-- Table structure for table `{name}`
--

DROP TABLE IF EXISTS `{name}`;
CREATE TABLE `{name}` (
  `id` int(11) NOT NULL,
  `text` varchar(64) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

--
-- Dumping data for table `{name}`
--

LOCK TABLES `{name}` WRITE;
/*!40000 ALTER TABLE `{name}` DISABLE KEYS */;
INSERT INTO `{name}` VALUES
{rows};
/*!40000 ALTER TABLE `{name}` ENABLE KEYS */;
UNLOCK TABLES;
"""
_END = """
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;
/*!40101 SET SQL_MODE=@OLD_SQL_MODE */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on {made}
"""


def dump(made: str, *, rows: int = 200, schema: str = "site", tables: tuple[str, ...] = ("notice", "orders")) -> bytes:
    """A dump as mariadb-dump 10.11 writes it, completed at `made` ("2026-11-19  2:00:07")."""
    texts = []
    for name in tables:
        lines = ",\n".join(f"({n},'{name} 王 {n}')" for n in range(rows))
        texts.append(_TABLE.format(name=name, rows=lines))
    return (_HEAD.format(schema=schema) + "".join(texts) + _END.format(made=made)).encode()


def packed(text: bytes) -> bytes:
    """The same, as gzip writes it."""
    return gzip.compress(text, mtime=0)


def beside(name: str, data: bytes) -> tuple[str, bytes]:
    """The checksum file of a stored file, as sha256sum writes it."""
    return f"{name}.sha256", f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()


@dataclass
class Shelf:
    """Implements backups.ports.Shelf. `gone` and `broken` are faults; `asked` counts the bytes that went out."""

    copy: Copy
    held: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    others: list[File] = field(default_factory=list)
    gone: bool = False
    broken: set[str] = field(default_factory=set)
    reads: list[str] = field(default_factory=list)
    asked: int = 0

    def put(self, name: str, data: bytes, changed: int, *, checksum: bool = False) -> None:
        """Store a file, its bytes last written at `changed`."""
        self.held[name] = data, changed
        if checksum:
            sidecar, line = beside(name, data)
            self.held[sidecar] = line, changed

    def list(self) -> tuple[File, ...]:
        """As the port."""
        if self.gone:
            raise Unreachable("no way there", where=self.copy.host or self.copy.name, hint="look at the cable")
        files = [File(name, len(data), changed) for name, (data, changed) in self.held.items()]
        return tuple(sorted([*files, *self.others], key=lambda file: file.name))

    @contextlib.contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As the port."""
        data, changed = self.held[file.name]
        if (len(data), changed) != (file.size, file.changed):
            raise Damaged("changed", f"{file.name} is no longer the one listed")
        self.reads.append(file.name)
        begin = max(0, len(data) + start) if start < 0 else start
        yield self._chunks(file.name, data[begin : None if length < 0 else begin + length])

    def _chunks(self, name: str, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _CHUNK):
            if name in self.broken and at:
                raise Unreachable("the way broke", where=self.copy.host or self.copy.name)
            self.asked += len(data[at : at + _CHUNK])
            yield data[at : at + _CHUNK]
        if name in self.broken:
            raise Unreachable("the way broke", where=self.copy.host or self.copy.name)
