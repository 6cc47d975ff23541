"""What can be done to a record, and what of it is found: by looking at the record, or with what was sent off site.

Each attack leaves a record that is as clean as the attacker can make it; it is then verified twice through the command
line. Without anything from outside, some attacks cannot be seen, and these tests say which.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.worlds.s3 import client, service
from tests.worlds.tampering import forget_signatures, rebuild, tamper_with

from remedy.core.canon import Json
from remedy.record import checkpoints, endings, keys, sshsig
from remedy.record.actor import Actor
from remedy.record.checkpoints import Checkpoint
from remedy.record.endings import Ending
from remedy.record.journal import Record

from .conftest import Console

INVENTORY = """\
all:
  vars:
    remedy_offsite:
      - {name: city-b, endpoint: "URL", bucket: BUCKET, prefix: remedy/, days: 30,
         access_key: {env: OFFSITE_KEY}, secret_key: {env: OFFSITE_SECRET}}
  hosts: {web01: {ansible_host: 127.0.0.77}}
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The service off site."""
    with service() as started:
        yield started


@dataclass
class Site:
    """A console whose record is kept off site."""

    console: Console
    s3: Any
    bucket: str

    @property
    def path(self) -> Path:
        """The record."""
        return self.console.record

    @property
    def keys(self) -> Path:
        """Where its key lies."""
        return self.path.parent / "keys"

    def record(self, **given: Any) -> Record:  # noqa: ANN401 -- as Record.open
        """The record, open as the attacker opens it."""
        actor = Actor("ops", 1000, "", "adm1", os.getpid(), "0.1.0")
        settings = {"clock": lambda: datetime.now(UTC), "actor": actor, "key_dir": self.keys, **given}
        return Record.open(self.path, **settings)

    def note(self, text: str, count: int = 1, **given: Any) -> None:  # noqa: ANN401 -- as Record.open
        """Add entries, signed."""
        with self.record(**given) as record:
            for number in range(count):
                body: dict[str, Json] = {"text": f"{text} {number}"}
                record.append("note", body, incident="INC-20261120-1")
            record.checkpoint()

    def send(self) -> None:
        """Have everything sent that is signed."""
        said = self.console("incident", "checkpoint", "--send", "--json")
        assert (said.code, [one["missing"] for one in said.document["off_site"]]) == (0, [0])

    def verify(self, *args: str) -> dict[str, Any]:
        """The document of a verification; its exit code fits it."""
        said = self.console("incident", "verify", "--json", *args)
        assert said.code == (0 if said.document["ok"] else 26), said.err
        return said.document

    def damage(self, *args: str) -> dict[str, tuple[int, int]]:
        """The damage that a verification finds: kind to range of entries."""
        found = self.verify(*args)["findings"]
        return {one["kind"]: (one["first"], one["last"]) for one in found if one["damage"]}

    def remarks(self, *args: str) -> set[str]:
        """The remarks of a verification."""
        return {one["kind"] for one in self.verify(*args)["findings"] if not one["damage"]}

    def sign_again(self) -> None:
        """Sign the record as it is now with the key that lies there, as if nothing had ever been signed."""
        forget_signatures(self.path)
        with self.record() as record:
            record.checkpoint()


@pytest.fixture
def site(bare: Console, url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Twenty entries, signed at 1, 14 and 20 (the first announces the key), and sent."""
    monkeypatch.setenv("OFFSITE_KEY", "AKIAEXAMPLE")
    monkeypatch.setenv("OFFSITE_SECRET", "offsite-secret")
    bucket = f"b{abs(hash(request.node.nodeid)):x}"
    s3 = client(url)
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    bare.inventory.write_text(INVENTORY.replace("URL", url).replace("BUCKET", bucket))
    made = Site(bare, s3, bucket)
    made.note("first", 0)
    made.note("before", 13)
    made.note("after", 6)
    made.send()
    yield made
    s3.close()


def test_untouched(site: Site) -> None:
    """A record nobody touched holds, by itself and against what was sent."""
    found = site.verify("--against", "city-b")
    assert (found["ok"], found["entries"], found["signed"], found["findings"]) == (True, 20, 20, [])
    assert [one["missing"] for one in found["off_site"]] == [0]


@pytest.mark.parametrize(
    ("statements", "kind", "span"),
    [
        (["""UPDATE entry SET body = '{"text":"nothing"}' WHERE seq = 5"""], "body-edited", (5, 5)),
        (["UPDATE entry SET time = '2020-01-01T00:00:00.000000Z' WHERE seq = 5"], "edited", (5, 5)),
        (["DELETE FROM entry WHERE seq BETWEEN 5 AND 7"], "missing", (5, 7)),
        (
            [
                "PRAGMA ignore_check_constraints=ON",
                "UPDATE entry SET seq = -5 WHERE seq = 5",
                "UPDATE entry SET seq = 5 WHERE seq = 6",
                "UPDATE entry SET seq = 6 WHERE seq = -5",
            ],
            "renumbered",
            (5, 6),
        ),
        (
            [
                "PRAGMA ignore_check_constraints=ON",
                "UPDATE entry SET seq = -seq WHERE seq > 5",
                "UPDATE entry SET seq = 1 - seq WHERE seq < 0",
                (
                    "INSERT INTO entry SELECT 6, hash || 'x', 'p', time, kind, incident, run, '', actor, body_sha256, "
                    "salt, body FROM entry WHERE seq = 5"
                ),
            ],
            "inserted",
            (6, 6),
        ),
    ],
    ids=["edit", "backdate", "delete", "reorder", "insert"],
)
def test_changed_in_place(site: Site, statements: list[str], kind: str, span: tuple[int, int]) -> None:
    """Whatever is changed in place is found by the record itself, and the entries are named."""
    tamper_with(site.path, *statements)
    assert site.damage()[kind] == span


def test_rebuilt_without_the_key(site: Site) -> None:
    """A chain computed anew contradicts its signatures; with them removed only the off-site copy shows it."""
    tamper_with(site.path, """UPDATE entry SET body = '{"text":"nothing"}' WHERE seq = 16""")
    rebuild(site.path)
    assert site.damage()["root-mismatch"] == (15, 20)
    forget_signatures(site.path)
    assert site.damage() == {}
    assert site.remarks() == {"unsigned"}
    assert site.damage("--against", "city-b")["root-mismatch"] == (15, 20)


def test_rebuilt_with_the_key(site: Site) -> None:
    """Who has the key makes a record that holds by itself; the off-site copy names what was rewritten."""
    tamper_with(site.path, """UPDATE entry SET body = '{"text":"nothing"}' WHERE seq = 16""")
    rebuild(site.path)
    site.sign_again()
    assert site.verify()["findings"] == []
    found = site.damage("--against", "city-b")
    assert found["root-mismatch"] == (15, 20)
    assert "checkpoint-missing" in found


def test_tail_cut_off(site: Site) -> None:
    """A tail removed with every trace of it is not seen from inside; the off-site copy names the missing range."""
    tamper_with(site.path, "DELETE FROM entry WHERE seq > 14")
    rebuild(site.path)
    forget_signatures(site.path, after=2)
    assert site.verify()["findings"] == []
    assert site.damage("--against", "city-b")["cut-off"] == (15, 20)


def test_folder_put_back_to_an_older_state(site: Site) -> None:
    """The whole folder from a backup, keys and all, holds by itself; the off-site copy names what is gone."""
    backup = site.console.folder / "backup"
    shutil.copytree(site.path.parent, backup)
    site.note("later", 5)
    site.send()
    shutil.rmtree(site.path.parent)
    shutil.copytree(backup, site.path.parent)
    assert site.verify()["findings"] == []
    assert site.damage("--against", "city-b")["cut-off"] == (21, 25)
    site.note("another story", 9)
    assert site.verify()["findings"] == []
    assert site.damage("--against", "city-b")["root-mismatch"] == (21, 25)


def test_file_alone_put_back_to_an_older_state(site: Site) -> None:
    """When only the database is put back, what lies beside it tells: checkpoints, and what is known to be sent."""
    backup = site.console.folder / "backup.db"
    shutil.copy(site.path, backup)
    site.note("later", 5)
    site.send()
    shutil.copy(backup, site.path)
    assert {"cut-off", "checkpoint-missing"} <= site.damage().keys()
    forget = checkpoints.folder(site.path)
    for name in ("00000004.txt", "00000004.txt.sig"):
        (forget / name).unlink()
    assert site.damage().keys() == {"checkpoint-missing"}
    site.note("another story")
    site.send()  # what is signed now goes there too, beside what was signed before
    assert site.damage("--against", "city-b")["cut-off"] == (22, 25)


def test_two_copies_that_both_went_on(site: Site) -> None:
    """Each of two records that grew apart holds by itself; against the off-site copy both show where they parted."""
    other = site.console.folder / "other"
    shutil.copytree(site.path.parent, other)
    site.note("here", 3)
    site.send()
    mine = site.console.folder / "mine"
    shutil.move(site.path.parent, mine)
    shutil.move(other, site.path.parent)
    site.note("there", 4)
    site.send()
    assert site.verify()["findings"] == []
    assert site.damage("--against", "city-b")["root-mismatch"] == (21, 23)
    shutil.move(site.path.parent, other)
    shutil.move(mine, site.path.parent)
    assert site.verify()["findings"] == []
    assert {"root-mismatch", "cut-off"} & site.damage("--against", "city-b").keys()


def test_swapped_checkpoint_files(site: Site) -> None:
    """Checkpoint files that change their places are found by the record itself."""
    folder = checkpoints.folder(site.path)
    for suffix in ("", ".sig"):
        one, other = (folder / f"0000000{number}.txt{suffix}" for number in (1, 2))
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
    assert "checkpoint-edited" in site.damage()


def test_signed_with_a_stolen_key_after_its_end(site: Site) -> None:
    """What a stolen key signs after its end is damage, wherever the thief puts it; until then it counts."""
    thief = keys.load_or_make(site.keys, entropy=os.urandom)
    old = site.console("incident", "key", "--json").document["key"]
    assert site.console("incident", "key", "--stolen", "adm1 was broken into").code == 0
    new = site.console("incident", "key", "--json").document["key"]
    site.send()
    assert site.damage() == {"key-changed": (0, 0)}, "nothing vouches for the key after a stolen one"
    assert site.damage("--key", new) == {}
    assert site.remarks("--key", new) == {"key-stolen"}
    site.note("by the thief")
    with site.record() as record:
        right = checkpoints.parse([*record.checkpoints()][-1].body)
        body = checkpoints.sign(Checkpoint(right.origin, right.size, right.root, 99, right.head, right.time), thief)
    forged = site.console.folder / "forged.txt"
    forged.write_text(body.text)
    assert site.damage("--key", new, "--against", str(forged))["key-ended"] == (21, right.size)
    tamper_with(
        site.path,
        f"UPDATE checkpoint SET body = '{replace(right, number=right.number).body}', signature = "
        f"'{checkpoints.sign(right, thief).signature}' WHERE number = {right.number}",
    )
    assert site.damage("--key", new)["key-ended"] == (21, right.size)
    assert old != new


def test_thief_who_makes_the_end_of_his_key_unsaid(site: Site) -> None:
    """A record rebuilt without the end of the stolen key holds by itself; what was said off site does not go away."""
    backup = site.console.folder / "backup"
    shutil.copytree(site.path.parent, backup)
    site.console("incident", "key", "--stolen", "adm1 was broken into")
    site.send()
    shutil.rmtree(site.path.parent)
    shutil.copytree(backup, site.path.parent)
    site.note("by the thief", 7)
    assert site.verify()["findings"] == []
    found = site.damage("--against", "city-b")
    assert {"ending-missing", "key-ended", "root-mismatch"} <= found.keys()
    assert found["key-ended"] == (21, 27)


def test_key_of_ones_own_that_names_ours_to_follow(site: Site) -> None:
    """Who adds entries and a key of his own, ended in favour of ours, does not get his entries accepted."""
    ours = sshsig.public_key(keys.load_or_make(site.keys, entropy=os.urandom))
    his = keys.load_or_make(site.console.folder / "his", entropy=os.urandom)
    with site.record(key_dir=site.console.folder / "his") as record:
        name = sshsig.public_key(his).fingerprint
        ending = Ending(record.identity(), name, 10**9, endings.RETIRED, ours, "2026-11-20T00:00:00.000000Z")
        record.append(endings.KIND, {"statement": endings.sign(ending, his)}, incident="")
        record.append("note", {"text": "planted"}, incident="")
        record.checkpoint()
    assert site.damage("--key", ours.fingerprint).keys() == {"key-changed"}


def test_retired_key_vouches_for_the_next(site: Site) -> None:
    """After a key was retired the record holds for whoever knows any key of the row, and the old one signs no more."""
    first = site.console("incident", "key", "--json").document["key"]
    thief = keys.load_or_make(site.keys, entropy=os.urandom)
    assert site.console("incident", "key", "--retire", "a new administration host").code == 0
    second = site.console("incident", "key", "--json").document["key"]
    site.note("later", 2)
    site.send()
    for args in ((), ("--key", first), ("--key", second)):
        assert site.verify(*args, "--against", "city-b")["findings"] == []
    with site.record() as record:
        right = checkpoints.parse([*record.checkpoints()][-1].body)
    forged = site.console.folder / "forged.txt"
    forged.write_text(checkpoints.sign(right, thief).text)
    assert "key-ended" in site.damage("--against", str(forged))


def test_clock_set_back(site: Site) -> None:
    """A clock that goes back is remarked where it did; one that was wrong all the time, by when the copy came."""
    past = datetime.now(UTC) - timedelta(days=400)
    site.note("backdated", 2, clock=lambda: past)
    assert site.damage() == {}
    assert site.remarks() == {"clock-back"}
    site.send()
    assert "late" in site.remarks("--against", "city-b")
    shutil.rmtree(site.path.parent)
    site.note("all of it backdated", 3, clock=lambda: past)
    assert site.verify()["findings"] == []
    site.send()
    assert site.remarks("--against", "city-b") == {"late"}


def test_record_begun_anew_in_place_of_the_old(site: Site) -> None:
    """Another record under the old one's name is another record to whoever knows a checkpoint of the old."""
    held = site.console.folder / "held"
    shutil.copytree(checkpoints.folder(site.path), held)
    shutil.rmtree(site.path.parent)
    site.note("all is well", 20)
    assert site.verify()["findings"] == []
    assert site.damage("--against", str(held)).keys() >= {"foreign-checkpoint"}


def test_objects_planted_off_site(site: Site) -> None:
    """Who may write there puts what he likes beside and over the copies: it is named, and hides none of them."""
    [first, *_] = site.s3.list_objects_v2(Bucket=site.bucket)["Contents"]
    folder = first["Key"].rpartition("/")[0]
    text = site.s3.get_object(Bucket=site.bucket, Key=first["Key"])["Body"].read()
    planted = {f"{folder}/{number:08d}-00.txt": text.replace(b"number 1", b"number 9") for number in range(90, 120)}
    for name, data in {
        **planted,
        f"{folder}/key-99999999-00.txt": b"\xff\x1b[2J" * 100_000,
        first["Key"]: b"over it",
    }.items():
        site.s3.put_object(Bucket=site.bucket, Key=name, Body=data)
    site.s3.delete_object(Bucket=site.bucket, Key=first["Key"])
    found = site.verify("--against", "city-b")
    assert found["ok"]
    assert len(found["junk"]) == 31
    assert "nobody signed 31 of the objects" in site.console("incident", "verify", "--against", "city-b").out
    tamper_with(site.path, "DELETE FROM entry WHERE seq > 14")
    rebuild(site.path)
    forget_signatures(site.path, after=2)
    assert site.damage("--against", "city-b")["cut-off"] == (15, 20)


def _digits(_: Site, anchor: str) -> str:
    return anchor


def _rules(site: Site, anchor: str) -> str:
    return _file(site, f'table inet remedy {{ comment "remedy incident=INC-20261120-1 run=R7 anchor={anchor}" }}\n')


def _bag(site: Site, anchor: str) -> str:
    folder = site.console.folder / "bag"
    folder.mkdir()
    (folder / "bag-info.txt").write_text(f"Bag-Size: 1\nRemedy-Record-Head: {anchor}\nPayload-Oxum: 1.1\n")
    return str(folder)


def _file(site: Site, text: str) -> str:
    path = site.console.folder / "left-behind.txt"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("make", [_digits, _rules, _bag])
def test_anchor_left_behind(site: Site, make: Callable[[Site, str], str]) -> None:
    """An anchor in what remedy left behind names its entry; once that is cut off, it names the missing range."""
    with site.record() as record:
        seq, head = record.head()
    what = make(site, head[:16])
    assert site.verify("--against", what)["anchors"][0]["entry"] == seq == 20
    tamper_with(site.path, "DELETE FROM entry WHERE seq > 14")
    rebuild(site.path)
    forget_signatures(site.path, after=2)
    assert site.damage() == {}
    assert site.damage("--against", what) == {"anchor-missing": (15, -1)}
    assert "entries from 15 on" in site.console("incident", "verify", "--against", what).out


def test_anchor_of_a_run_that_is_still_there(site: Site) -> None:
    """When the run that left the anchor is on record and the anchor is not, what was before the run was rewritten."""
    with site.record() as record:
        anchor = record.head()[1][:16]
        record.append("intent", {"target": "web01"}, incident="INC-20261120-1", run="R7f3a9c21")
        record.append("outcome", {}, incident="INC-20261120-1", run="R7f3a9c21")
    rules = _file(site, f'comment "remedy incident=INC-20261120-1 run=R7f3a9c21 anchor={anchor}"\n')
    assert site.damage("--against", rules) == {}
    tamper_with(site.path, """UPDATE entry SET body = '{"text":"nothing"}' WHERE seq = 3""")
    rebuild(site.path)
    site.sign_again()
    assert site.damage() == {}
    assert site.damage("--against", rules) == {"anchor-missing": (1, 20)}
