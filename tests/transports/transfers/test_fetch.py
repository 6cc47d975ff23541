"""Files of backups brought to a folder of a host: whole, under their own names, and nowhere else."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from remedy.backups.ports import Damaged
from remedy.backups.transfers import LOGS, Fetch
from remedy.backups.values import Backup, Copy, Database, File, Keys
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed, Interrupted
from remedy.core.values import Target
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers.fetch import fetch


def unsealed(chunks: Iterable[bytes], _: Keys) -> tuple[str, bool, Iterator[bytes]]:
    """Nothing is encrypted."""
    return "", False, iter(chunks)


@pytest.fixture
def here() -> Iterator[Bulk]:
    """Programs on this machine."""
    with Bulk(lambda name: Target(name, ""), lambda secret: secret.value, local=Target(CONTROLLER, "")) as made:
        yield made


class Place:
    """A copy, and a folder that files are brought to."""

    def __init__(self, bulk: Bulk, path: Path) -> None:
        """Both empty; what was there before is to go."""
        self.bulk = bulk
        self.path = path / "copy"
        self.path.mkdir()
        self.shelf = FolderShelf(Copy("near", host=CONTROLLER, path=str(self.path)), bulk)
        self.into = path / "into"
        self.into.mkdir()
        (self.into / "old").write_bytes(b"of an interrupted attempt")
        self.told: list[tuple[int, int]] = []

    def put(self, name: str, data: bytes) -> None:
        """A file in the copy."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_bytes(data)

    def spec(self, form: str, sha256: str = "") -> Fetch:
        """All files of the copy as one backup."""
        files = tuple(file for file in self.shelf.list() if file.kind != "directory")
        database = Database("site", "site", CONTROLLER)
        return Fetch(database, self.shelf.copy, Backup("b", "near", form, files), sha256, str(self.into))

    def fetch(self, spec: Fetch) -> dict[str, Json]:
        """Carry it out."""
        result: dict[str, Json] = {}

        def tell(_: str, done: int, total: int) -> None:
            self.told.append((done, total))

        fetch(spec, CONTROLLER, bulk=self.bulk, shelf=self.shelf, open_sealed=unsealed, tell=tell, result=result)
        return result

    def there(self) -> dict[str, bytes]:
        """What arrived."""
        found = (path for path in self.into.rglob("*") if path.is_file())
        return {str(path.relative_to(self.into)): path.read_bytes() for path in found}


@pytest.fixture
def place(here: Bulk, tmp_path: Path) -> Place:
    """An empty copy."""
    return Place(here, tmp_path)


FILES = {
    "xtrabackup_checkpoints": b"backup_type = full-backuped\n",
    "xtrabackup_info": b"",
    "ibdata1": b"\x1f\x8b" + bytes(3_000_000),
    "site/@8ba2@5355.ibd": bytes(range(256)) * 300,
    f"site/{'n' * 120}#P#p0.ibd": b"long",
}


def test_folder(place: Place) -> None:
    """The files of a folder arrive under their names, byte for byte, readable by root alone; what was there is gone."""
    for name, data in FILES.items():
        place.put(f"daily/full/{name}", data)
    order = sorted(FILES, key=lambda name: (not name.startswith("xtrabackup"), name))
    sha256 = hashlib.sha256(b"".join(FILES[name] for name in order)).hexdigest()
    result = place.fetch(place.spec("physical", sha256))
    assert place.there() == FILES
    assert result["sha256"] == sha256
    assert result["files"] == len(FILES)
    modes = {path.stat().st_mode & 0o777 for path in place.into.rglob("*") if path.is_file()}
    assert (modes, place.into.stat().st_mode & 0o777) == ({0o600}, 0o700)
    assert place.told
    assert all(done <= total == sum(map(len, FILES.values())) for done, total in place.told)


def chunk(path: bytes, payload: bytes, end: bytes = b"") -> bytes:
    """A file in a stream of mariadb-backup."""
    head = b"XBSTCK01\0%b" + len(path).to_bytes(4, "little") + path
    numbers = len(payload).to_bytes(8, "little") + bytes(8) + zlib.crc32(payload).to_bytes(4, "little")
    return head % b"P" + numbers + payload + (end or head % b"E")


@pytest.mark.parametrize("packed", [lambda data: data, gzip.compress])
def test_stream(place: Place, packed: Callable[[bytes], bytes]) -> None:
    """A stream, compressed or not, is unpacked on the host."""
    data = packed(chunk(b"ibdata1", bytes(100_000)) + chunk(b"site/a.ibd", b"rows"))
    place.put("site.xb.gz", data)
    result = place.fetch(place.spec("stream", hashlib.sha256(data).hexdigest()))
    assert place.there() == {"ibdata1": bytes(100_000), "site/a.ibd": b"rows"}
    assert result["files"] == 2


def test_stream_that_leads_out(place: Place) -> None:
    """A stream with a name that leads out of the folder writes nothing there, however it is cut into pieces."""
    place.put("site.xb", chunk(b"a", b"good") + chunk(b"../outside", b"* * * * * evil"))
    with pytest.raises(Damaged) as caught:
        place.fetch(place.spec("stream"))
    assert caught.value.code == "name"
    assert not (place.into.parent / "outside").exists()


def test_stream_that_changed_on_the_way(place: Place) -> None:
    """A chunk that is not what was written ends it."""
    data = bytearray(chunk(b"a", bytes(1000)))
    data[500] ^= 1
    place.put("site.xb", bytes(data))
    with pytest.raises(Damaged, match="is not what was written"):
        place.fetch(place.spec("stream"))


def test_logs(place: Place) -> None:
    """Binary logs arrive decompressed, under the names they have on their server."""
    place.put("logs/mariadb-bin.000001.gz", gzip.compress(b"\xfebin one"))
    place.put("logs/mariadb-bin.000002", b"\xfebin two")
    place.fetch(place.spec(LOGS))
    assert place.there() == {"mariadb-bin.000001": b"\xfebin one", "mariadb-bin.000002": b"\xfebin two"}


def test_log_with_a_strange_name(place: Place) -> None:
    """A name that is none of a binary log goes into no command."""
    place.put("logs/$(touch x).000001", b"\xfebin")
    with pytest.raises(Damaged, match="is no name of a binary log"):
        place.fetch(place.spec(LOGS))


def test_other_bytes_than_judged(place: Place) -> None:
    """What arrived and is not what was judged does not count."""
    place.put("xtrabackup_info", b"")
    with pytest.raises(ChangeFailed, match="is not the backup that was judged") as caught:
        place.fetch(place.spec("physical", "0" * 64))
    assert caught.value.where == "near"


def test_file_that_changed(place: Place) -> None:
    """A file that is another one than was listed ends it."""
    place.put("xtrabackup_info", b"1")
    spec = place.spec("physical")
    place.put("xtrabackup_info", b"other")
    with pytest.raises(Damaged) as caught:
        place.fetch(spec)
    assert caught.value.code == "changed"


def test_what_is_no_file(place: Place) -> None:
    """A link in a backup is not followed, and not brought."""
    place.put("xtrabackup_info", b"1")
    (place.path / "link").symlink_to("/etc/passwd")
    with pytest.raises(Damaged, match="link is a link, no file"):
        place.fetch(place.spec("physical"))


def test_link_in_its_place(place: Place) -> None:
    """A link where the folder should be goes, and nothing is written through it."""
    place.put("xtrabackup_info", b"1")
    spec = place.spec("physical")
    (place.into / "old").unlink()
    place.into.rmdir()
    outside = place.path.parent / "outside"
    outside.mkdir()
    place.into.symlink_to(outside)
    place.fetch(spec)
    assert place.there() == {"xtrabackup_info": b"1"}
    assert not place.into.is_symlink()
    assert list(outside.iterdir()) == []


def test_no_room(place: Place) -> None:
    """A host that takes no more says so, and what to do is told."""
    place.put("xtrabackup_info", bytes(3_000_000))
    spec = place.spec("physical")
    small = place.path.parent / "small"
    small.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)), check=True)
    try:
        with pytest.raises(ChangeFailed, match="the disk is full"):
            place.fetch(Fetch(spec.database, spec.copy, spec.backup, "", str(small / "into")))
    finally:
        subprocess.run(("umount", str(small)), check=True)


def test_where_nothing_can_be_written(place: Place) -> None:
    """A folder that cannot be made is told in the host's own words."""
    place.put("xtrabackup_info", b"1")
    spec = place.spec("physical")
    wrong = Fetch(spec.database, spec.copy, spec.backup, "", "/proc/nowhere/into")
    with pytest.raises(ChangeFailed, match="No such file"):
        place.fetch(wrong)


def test_stopped(place: Place) -> None:
    """Whoever is told may stop it."""
    place.put("xtrabackup_info", bytes(5_000_000))

    def stop(_: str, __: int, ___: int) -> None:
        raise Interrupted("stopped")

    spec = place.spec("physical")
    with pytest.raises(Interrupted):
        fetch(spec, CONTROLLER, bulk=place.bulk, shelf=place.shelf, open_sealed=unsealed, tell=stop, result={})


def test_file_outside_of_the_backup(place: Place) -> None:
    """A plan that names a file beside the backup's folder is refused."""
    place.put("full/xtrabackup_info", b"1")
    spec = place.spec("physical")
    files = (*spec.backup.files, File("other/secret", 1, 0))
    wrong = Fetch(spec.database, spec.copy, Backup("b", "near", "physical", files), "", spec.into)
    with pytest.raises(Damaged, match="lies outside"):
        place.fetch(wrong)
