"""Claims about reading a backup in one pass: what level it reaches, by what proof, and that damage is a finding."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import itertools
import lzma
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from remedy.backups.formats import Piece
from remedy.backups.manifest import Manifest, checksum_line, encoded
from remedy.backups.ports import Damaged, Shelf
from remedy.backups.values import Backup, Database, File, Judgement, Keys
from remedy.core.errors import ConnectionLost, Interrupted, Unreachable
from remedy.core.values import Secret
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.seals import Seals
from remedy.transports.transfers.pipeline import OpenSealed, read_backup

from .conftest import folder, quiet, reveal, unsealed, wait_for

ROWS = ",\n".join(f"({number},'王{number * 7919 % 1000}')" for number in range(20_000))
DUMP = f"""-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
--
-- Host: localhost    Database: web
-- ------------------------------------------------------
-- Server version\t10.11.19-MariaDB-0+deb12u1-log

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8mb4 */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

--
-- Table structure for table `orders`
--

DROP TABLE IF EXISTS `orders`;
CREATE TABLE `orders` (
  `id` int(11) NOT NULL,
  `name` varchar(20) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

--
-- Dumping data for table `orders`
--

LOCK TABLES `orders` WRITE;
INSERT INTO `orders` VALUES
{ROWS};
UNLOCK TABLES;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

-- Dump completed on 2026-11-20  6:00:00
""".encode()
SITE = Database("site", "web", "db01", timezone="Asia/Shanghai")
#: 2026-11-20 06:00:00 in Shanghai.
MADE = 1_795_125_600
PACKED = {
    "web.sql.gz": gzip.compress(DUMP, 1),
    "web.sql.zst": zstandard.ZstdCompressor(write_checksum=True).compress(DUMP),
    "web.sql.xz": lzma.compress(DUMP, preset=0),
    "web.sql.bz2": bz2.compress(DUMP),
}
UNPROVEN = {"web.sql": DUMP, "web.sql.zst": zstandard.ZstdCompressor(write_checksum=False).compress(DUMP)}


def put(shelf: FolderShelf, **files: bytes) -> dict[str, File]:
    """Files in a copy (with "__" for "."), as listed."""
    for name, data in files.items():
        (Path(shelf.copy.path) / name.replace("__", ".")).write_bytes(data)
    return {file.name: file for file in shelf.list()}


def one(shelf: FolderShelf, name: str, data: bytes) -> Backup:
    """A backup of one file."""
    return Backup("web", shelf.copy.name, "dump", (put(shelf, **{name: data})[name],))


def read(shelf: Shelf, backup: Backup, open_sealed: OpenSealed = unsealed, site: Database = SITE) -> Judgement:
    """What is known of it afterwards."""
    return read_backup(lambda _: shelf, site, backup, open_sealed, lambda _: None, quiet, now=lambda: 5.9)


def codes(judged: Judgement) -> list[str]:
    """The codes of its findings."""
    return [finding.code for finding in judged.findings]


@pytest.mark.parametrize("name", PACKED)
def test_a_whole_backup_that_checks_itself(name: str, shelf: FolderShelf) -> None:
    """Read to the end through its compression it is whole, its hash that of the stored bytes, its time of its zone."""
    judged = read(shelf, one(shelf, name, PACKED[name]))
    assert (judged.level, judged.findings) == ("whole", ())
    assert judged.sha256 == hashlib.sha256(PACKED[name]).hexdigest()
    assert (judged.size, judged.read, judged.at) == (len(PACKED[name]), len(DUMP), 5)
    assert judged.container == name.rpartition(".")[2]
    assert judged.contents.facts.time == MADE
    assert [(table.name, table.count) for table in judged.contents.tables] == [("orders", 20_000)]


def test_pieces_come_in_order(shelf: FolderShelf) -> None:
    """`on_piece` hears of settings, structure and rows, in that order, in the calling thread."""
    pieces: list[Piece] = []
    threads: set[str] = set()

    def note(piece: Piece) -> None:
        pieces.append(piece)
        threads.add(threading.current_thread().name)

    backup = one(shelf, "web.sql.gz", PACKED["web.sql.gz"])
    read_backup(lambda _: shelf, SITE, backup, unsealed, note, quiet)
    assert [piece.kind for piece in pieces if piece.kind != "left"][:3] == ["setup", "structure", "rows"]
    assert threads == {threading.current_thread().name}


@pytest.mark.parametrize("name", UNPROVEN)
def test_what_nothing_proves_is_said(name: str, shelf: FolderShelf) -> None:
    """Plain text and zstd without its checksum read whole, with a finding that has to be accepted."""
    judged = read(shelf, one(shelf, name, UNPROVEN[name]))
    assert (judged.level, codes(judged)) == ("whole", ["unverifiable"])
    assert not judged.objections(frozenset(["unverifiable"]))
    assert judged.objections()


@pytest.mark.parametrize("line", [checksum_line("web.sql", "H"), b"H\n", b"H  ./old/web.sql\n", b"H  renamed.sql\n"])
def test_a_checksum_beside_it_proves_the_bytes(line: bytes, shelf: FolderShelf) -> None:
    """Under its name, in another folder, without a name, or under the name it had before."""
    digest = hashlib.sha256(DUMP).hexdigest().encode()
    files = put(shelf, web__sql=DUMP, web__sql__sha256=line.replace(b"H", digest))
    judged = read(shelf, Backup("web", "near", "dump", (files["web.sql"],), files["web.sql.sha256"]))
    assert (judged.level, judged.findings) == ("whole", ())


def test_a_checksum_of_others_proves_nothing(shelf: FolderShelf) -> None:
    """SHA256SUMS that does not name the file is no objection, and no proof."""
    lines = f"{'0' * 64}  a.sql\n{'1' * 64}  b.sql\n".encode()
    files = put(shelf, web__sql=DUMP, SHA256SUMS=lines)
    judged = read(shelf, Backup("web", "near", "dump", (files["web.sql"],), files["SHA256SUMS"]))
    assert codes(judged) == ["unverifiable"]


@pytest.mark.parametrize(("name", "fatal"), [("web.sql", True), ("web.sql.gz", False)])
def test_a_wrong_checksum_is_fatal_unless_the_bytes_prove_themselves(
    name: str,
    fatal: bool,  # noqa: FBT001 -- one case each
    shelf: FolderShelf,
) -> None:
    """Beside text that nothing else proves it cannot be accepted; beside what checks itself it may be an old one."""
    data = {**PACKED, **UNPROVEN}[name]
    files = put(shelf, **{name: data, "sum": checksum_line(name, "0" * 64)})
    judged = read(shelf, Backup("web", "near", "dump", (files[name],), files["sum"]))
    assert [(finding.code, finding.fatal) for finding in judged.findings] == [("checksum", fatal)]


def test_a_manifest_proves_bytes_and_time(shelf: FolderShelf) -> None:
    """Its hash is compared, and its time counts; with another hash it is a finding, and the text's time counts."""
    made = Manifest("site", "web", "db01", "10.11", MADE + 77, hashlib.sha256(DUMP).hexdigest(), len(DUMP))
    files = put(shelf, web__sql=DUMP, good=encoded(made), bad=encoded(replace(made, sha256="0" * 64)), no=b"{}")
    backup = Backup("web", "near", "dump", (files["web.sql"],))
    judged = read(shelf, replace(backup, manifest=files["good"]))
    assert (judged.findings, judged.contents.facts.time) == ((), MADE + 77)
    judged = read(shelf, replace(backup, manifest=files["bad"]))
    assert (codes(judged), judged.contents.facts.time) == (["checksum"], MADE)
    judged = read(shelf, replace(backup, manifest=files["no"]))
    assert codes(judged) == ["unverifiable", "manifest"]


@pytest.mark.parametrize("name", PACKED)
def test_a_cut_container_is_found_and_its_bytes_are_hashed(name: str, shelf: FolderShelf) -> None:
    """Cut at 60 % it is listed only; when a checksum says that it was written so, it is intact, and still damaged."""
    cut = PACKED[name][: len(PACKED[name]) * 6 // 10]
    judged = read(shelf, one(shelf, name, cut))
    assert judged.level == "listed"
    assert codes(judged)[0] in {"truncated", "corrupt"}
    digest = hashlib.sha256(cut).hexdigest()
    assert judged.sha256 == digest
    files = put(shelf, sum=checksum_line(name, digest))
    judged = read(shelf, Backup("web", "near", "dump", (files[name],), files["sum"]))
    assert judged.level == "intact"


@pytest.mark.parametrize("name", PACKED)
def test_a_flipped_bit_is_found(name: str, shelf: FolderShelf) -> None:
    """In the middle of a container that checks itself."""
    data = bytearray(PACKED[name])
    data[len(data) // 2] ^= 4
    judged = read(shelf, one(shelf, name, bytes(data)))
    assert judged.level == "listed"
    assert any(finding.fatal for finding in judged.findings)


def test_a_dump_cut_between_statements_is_readable_and_no_more(shelf: FolderShelf) -> None:
    """It decompresses to its end; that the end is not the dump's is found."""
    judged = read(shelf, one(shelf, "web.sql.gz", gzip.compress(DUMP[: DUMP.index(b"UNLOCK")], 1)))
    assert judged.level == "readable"
    assert any(finding.fatal for finding in judged.findings)


def test_the_parts_of_a_set_are_one(shelf: FolderShelf) -> None:
    """Split anywhere they are read as one stream; a checksum file may name the parts, or the whole."""
    data = PACKED["web.sql.gz"]
    cuts = [data[:1000], data[1000:1001], data[1001:]]
    names = [f"web.sql.gz.part{number}" for number in range(3)]
    lines = b"".join(checksum_line(n, hashlib.sha256(c).hexdigest()) for n, c in zip(names, cuts, strict=True))
    whole = checksum_line("web.sql.gz", hashlib.sha256(data).hexdigest())
    files = put(
        shelf, **dict(zip(names, cuts, strict=True)), parts=lines, whole=whole, wrong=lines.replace(lines[:5], b"00000")
    )
    backup = Backup("web", "near", "dump", tuple(files[name] for name in names))
    for beside, found in (("parts", []), ("whole", []), ("wrong", ["checksum"])):
        judged = read(shelf, replace(backup, checksum=files[beside]))
        assert (judged.level, codes(judged)) == ("whole", found)
        assert judged.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(("inside", "name", "found"), [(True, "openssl+gz", []), (False, "openssl", ["unverifiable"])])
def test_an_encryption_that_proves_nothing_needs_something_inside_that_does(
    inside: bool,  # noqa: FBT001 -- one case each
    name: str,
    found: list[str],
    shelf: FolderShelf,
    tmp_path: Path,
) -> None:
    """Openssl's does not notice changed bytes: gzip inside does, plain text inside stays unproven."""
    (tmp_path / "in").write_bytes(PACKED["web.sql.gz"] if inside else DUMP)
    options = ["-aes-256-cbc", "-pbkdf2", "-salt", "-pass", "pass:geheim"]
    subprocess.run(["openssl", "enc", *options, "-in", tmp_path / "in", "-out", tmp_path / "out"], check=True)
    keys = Keys(openssl=Secret("here", "geheim"))
    backup = one(shelf, "web.sql.gz.enc", (tmp_path / "out").read_bytes())
    judged = read(shelf, backup, Seals(reveal), replace(SITE, keys=keys))
    assert (judged.level, judged.container, codes(judged)) == ("whole", name, found)


class Broken(FolderShelf):
    """A copy that fails after a while."""

    error: Exception

    @contextmanager
    def read(self, file: File, *, start: int = 0, length: int = -1) -> Iterator[Iterator[bytes]]:
        """As the port."""
        with super().read(file, start=start, length=length) as chunks:
            yield itertools.chain([next(chunks)[:1000]], self._fail())

    def _fail(self) -> Iterator[bytes]:
        raise self.error
        yield b""


@pytest.mark.parametrize("name", ["web.sql", "web.sql.gz"])
def test_a_copy_out_of_reach_says_nothing_of_the_backup(name: str, bulk: Bulk, shelf: FolderShelf) -> None:
    """Unreachable is raised; a file that changes or is too short is a finding, and no hash is claimed."""
    backup = one(shelf, name, {**PACKED, **UNPROVEN}[name])
    broken = Broken(shelf.copy, bulk)
    broken.list()
    broken.error = ConnectionLost("the session broke", where="store02")
    with pytest.raises(Unreachable, match="store02"):
        read(broken, backup)
    for code in ("changed", "short"):
        broken.error = Damaged(code, "not what was listed")
        judged = read(broken, backup)
        assert (judged.level, judged.sha256, codes(judged)[0]) == ("listed", "", code)


def test_ctrl_c_ends_every_thread(shelf: FolderShelf) -> None:
    """What `tell` raises comes out, and so does what `on_piece` raises; no thread and no program stays."""
    backup = one(shelf, "web.sql", DUMP * 3)
    before = threading.active_count()

    def interrupt(*_: object) -> None:
        raise Interrupted("Ctrl-C")

    with pytest.raises(Interrupted):
        read_backup(lambda _: shelf, SITE, backup, unsealed, lambda _: None, interrupt)
    with pytest.raises(Interrupted):
        read_backup(lambda _: shelf, SITE, backup, unsealed, interrupt, quiet)
    wait_for(lambda: threading.active_count() <= before)


def test_progress_is_told_in_stored_bytes(shelf: FolderShelf) -> None:
    """From nothing to the size of the file, never back."""
    told: list[tuple[int, int]] = []
    backup = one(shelf, "web.sql", DUMP)
    read_backup(
        lambda _: shelf, SITE, backup, unsealed, lambda _: None, lambda _, done, total: told.append((done, total))
    )
    assert told[0] == (0, len(DUMP))
    assert told == sorted(told)


MEMORY = """
import sys
from contextlib import contextmanager
from remedy.backups.values import Backup, Copy, Database, File
from remedy.transports.transfers.pipeline import read_backup

head, row, tail = (part.encode() for part in sys.argv[1:4])
times = int(sys.argv[4])

class Endless:
    copy = Copy("near")
    @contextmanager
    def read(self, file, *, start=0, length=-1):
        yield self.chunks()
    def chunks(self):
        yield head
        statement = b"INSERT INTO `orders` VALUES\\n" + b",\\n".join([row] * 10000) + b";\\n"
        for _ in range(times):
            yield statement
        yield tail

file = File("web.sql", 1 << 30, 0)
judged = read_backup(lambda _: Endless(), Database("site", "web", "db01"), Backup("web", "near", "dump", (file,)),
                     lambda chunks, keys: ("", False, iter(chunks)), lambda piece: None, lambda *news: None)
assert judged.level == "whole", judged.findings
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) >> 10, judged.read >> 20)
"""


def test_memory_is_flat() -> None:
    """Ten times as much is read with the same memory, far below 150 MB."""
    start, _, rest = DUMP.decode().partition("INSERT INTO `orders` VALUES\n")
    tail = rest[rest.index("UNLOCK TABLES") :]
    row = "(1,'" + "x" * 100 + "')"
    used = {}
    for times in (20, 200):
        argv = [sys.executable, "-c", MEMORY, start, row, tail, str(times)]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120)
        used[times], read_mb = map(int, done.stdout.split())
    assert read_mb > 200
    assert used[200] < 120
    assert used[200] - used[20] < 20


def test_two_copies_of_a_database_are_read_by_their_names(bulk: Bulk, shelf: FolderShelf, tmp_path: Path) -> None:
    """The shelf asked for is that of the backup's copy."""
    far = folder(bulk, tmp_path / "far")
    shelves = {"near": shelf, "far": far}
    backup = replace(one(far, "web.sql.gz", PACKED["web.sql.gz"]), copy="far")
    judged = read_backup(lambda name: shelves[name], SITE, backup, unsealed, lambda _: None, quiet)
    assert judged.level == "whole"
