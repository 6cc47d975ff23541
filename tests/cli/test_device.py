"""`device save|diff|restore` as they are typed, against devices of the lab in processes of their own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.firewalls import OTHERS, Firewall, firewall

from remedy import devices
from remedy.actions.perimeter import device as typing

from .conftest import Console, Said

SECRET: Final = "Gh7-secret-word"
INVENTORY: Final = """\
all:
  hosts:
    web01: {ansible_host: 192.0.2.11}
    fw01:
      ansible_connection: ansible.netcommon.network_cli
      ansible_host: 127.0.0.1
      ansible_port: PORT
      ansible_user: USER
      ansible_password: {env: DEVICE_PASSWORD}
      remedy_known_hosts: KNOWN
      remedy_platform: PLATFORM
      remedy_gates: [GATE]
"""
GATES: Final = {"secpath": "{zone: Untrust}", "comware": "{interface: GigabitEthernet1/0/1}"}
OPERATOR: Final = ("local-user eve class manage", f"password simple {SECRET}", "quit")


class Site:
    """One device that is on, with a secret in its configuration, and an operator at the controller."""

    def __init__(self, console: Console, device: Firewall) -> None:
        """Write its inventory."""
        self.console, self.device = console, device
        self.log_in_as("admin")

    def log_in_as(self, user: str, port: int = 0) -> None:
        """Have the inventory say so; `port` is another one than the device's."""
        told = {"PORT": str(port or self.device.target.port), "USER": user, "KNOWN": self.device.target.known_hosts}
        told |= {"PLATFORM": self.device.vendor, "GATE": GATES[self.device.face]}
        text = INVENTORY
        for word, value in told.items():
            text = text.replace(word, value)
        self.console.inventory.write_text(text)

    def __call__(self, *args: str) -> Said:
        """Run `remedy ARGS`; the secret is in nothing that comes out."""
        said = self.console(*args)
        assert SECRET not in said.out + said.err
        return said

    def edit(self, *lines: str) -> None:
        """Somebody types this."""
        reply = self.device.sessions.send(typing.configure(lines), at="fw01")
        assert reply.status == 0, reply

    def save(self) -> None:
        """Somebody saves it."""
        self.device.sessions.send(typing.save("fw01", devices.named(self.device.vendor)).do, at="fw01")

    @property
    def files(self) -> list[Path]:
        """The kept configurations, oldest first."""
        folder = self.console.record.parent / "configurations"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def entries(self, kind: str = "device-configuration") -> list[dict[str, Any]]:
        """The bodies of the record's entries of a kind."""
        with sqlite3.connect(self.console.record) as db:
            return [json.loads(body) for (body,) in db.execute("SELECT body FROM entry WHERE kind = ?", (kind,))]


@pytest.fixture(params=sorted(GATES))
def site(
    request: pytest.FixtureRequest, bare: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """A device that is on; whatever was done, its secret is only in the kept files."""
    monkeypatch.setenv("DEVICE_PASSWORD", "Admin-1")
    (tmp_path / "device").mkdir()
    with firewall(tmp_path / "device", request.param) as device:
        made = Site(bare, device)
        made.edit(*OTHERS[request.param], *OPERATOR)
        made.save()
        yield made
    for file in bare.record.parent.rglob("*"):
        if file.is_file() and file.parent.name != "configurations":
            assert SECRET.encode() not in file.read_bytes(), file


@pytest.fixture
def kept(site: Site) -> Callable[[], str]:
    """What keeps the configuration and says its SHA-256."""

    def keep() -> str:
        got = site("device", "save", "fw01", "--json")
        assert got.code == 0, got.err
        sha256: str = got.target["sha256"]
        return sha256

    return keep


def test_saved_whole_once_and_for_the_owner_only(site: Site) -> None:
    """The file has every line and is 0600, the record its hash, size and name; the same content is not kept twice."""
    got = site("device", "save")
    assert got.code == 0, got.err
    [file] = site.files
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    text = file.read_text()
    assert SECRET in text
    assert all(line in text for line in site.device.asked("running").splitlines())
    assert file.name in got.out
    [entry] = site.entries()
    assert (entry["device"], entry["when"], entry["file"]) == ("fw01", "asked", file.name)
    assert entry["sha256"] in file.name
    assert entry["size"] == len(text.encode())
    again = site("device", "save", "fw01")
    assert again.code == 0
    assert site.files == [file]
    assert [one["new"] for one in site.entries()] == [True, False]


def test_kept_before_and_after_every_change(site: Site) -> None:
    """A run that changes the device keeps its configuration on both sides; a dry-run or one without effect does not."""
    assert site("acl", "prepare", "fw01", "--dry-run").code == 10
    assert site.files == []
    assert site("acl", "prepare", "fw01", "--family", "4", "--yes").code == 0
    before = site.entries()
    assert [one["when"] for one in before] == ["before", "after"] * (len(before) // 2)
    files = len(site.files)
    assert files == len(before) // 2 + 1, "what was after the one is before the other"
    assert site("block", "203.0.113.7", "--yes").code == 0
    assert site("block", "203.0.113.7", "--yes").code == 0
    assert [one["when"] for one in site.entries()[len(before) :]] == ["before", "after"], "the second had no effect"
    assert len(site.files) == files + 1
    assert site("unblock", "203.0.113.7", "--yes").code == 0
    assert len(site.entries()) == len(before) + 4
    assert len(site.files) == files + 1, "it is again what it was"


def test_not_kept_is_told_and_stops_nothing(site: Site) -> None:
    """When the folder takes no files, the block is carried out all the same, and what is missing is said."""
    assert site("acl", "prepare", "fw01", "--family", "4", "--yes").code == 0
    folder = site.console.record.parent / "configurations"
    elsewhere = folder.rename(folder.with_name("elsewhere"))
    folder.write_text("")
    got = site("block", "203.0.113.7", "--yes")
    assert got.code == 0, got.err
    assert "was not kept" in got.err
    assert "203.0.113.7" in site.device.asked("running")
    folder.unlink()
    elsewhere.rename(folder)


def test_difference(site: Site, kept: Callable[[], str]) -> None:
    """0 when equal, 10 when not; sections and lines are shown and secrets masked, also when only a secret differs."""
    first = kept()
    assert site("device", "diff", "fw01").code == 0
    site.edit("acl advanced 3999", "rule 5 deny ip", "quit")
    got = site("device", "diff", "fw01")
    assert got.code == 10
    assert "+ rule 5 deny ip" in got.out
    assert "acl advanced 3999" in got.out
    second = kept()
    site.device.do("reboot")
    assert site("device", "diff", "fw01", first, second).code == 10
    assert site("device", "diff", "fw01", first, first[:8]).code == 0


def test_a_changed_secret(site: Site, kept: Callable[[], str]) -> None:
    """A secret that has changed is a difference, shown without either."""
    kept()
    other = f"{SECRET}-2"
    site.edit("local-user eve class manage", f"password simple {other}", "quit")
    got = site("device", "diff", "fw01")
    assert got.code == 10
    assert "password simple <secret>" in got.out


def test_back_to_before_todays_first_change(site: Site) -> None:
    """Without a name it is what was before today's first change; nothing is done twice, and undo takes it back."""
    before = site.device.asked("running")
    assert site("acl", "prepare", "fw01", "--family", "4", "--yes").code == 0
    assert site("block", "203.0.113.7", "--yes").code == 0
    blocked = site.device.asked("running")
    assert site("device", "restore", "fw01", "--dry-run").code == 10
    assert site.device.asked("running") == blocked
    got = site("device", "restore", "fw01", "--yes", "--json")
    assert got.code == 0, got.err
    assert site.device.asked("running") == before == site.device.asked("saved")
    assert site("device", "restore", "fw01", "--yes").code == 0
    assert site("undo", got.target["run"], "--yes").code == 0
    assert site.device.asked("running") == blocked


def test_a_saved_plan(site: Site, kept: Callable[[], str], tmp_path: Path) -> None:
    """The plan in a file holds no secret, and is carried out byte for byte."""
    kept()
    before = site.device.asked("running")
    site.edit("acl advanced 3999", "rule 5 deny ip", "quit")
    assert site("device", "restore", "fw01", "--out", str(tmp_path / "plan")).code == 10
    assert SECRET not in (tmp_path / "plan").read_text()
    got = site("apply", str(tmp_path / "plan"), "--yes")
    assert got.code == 0, got.err
    assert site.device.asked("running") == before


def test_what_cannot_be_typed(site: Site, kept: Callable[[], str]) -> None:
    """Refused with the lines to paste; with --partly the rest is put back and the exit code says what is missing."""
    kept()
    site.edit("acl advanced 3999", "rule 5 deny ip", "quit", "ntp-service unicast-server 192.0.2.1")
    site.save()
    got = site("device", "restore", "fw01", "--yes")
    assert got.code == 25
    assert "undo ntp-service unicast-server 192.0.2.1" in got.err
    assert "acl advanced 3999" in site.device.asked("running")
    got = site("device", "restore", "fw01", "--partly", "--yes")
    assert got.code == 22, got.err
    assert "left to be pasted" in got.out + got.err
    running = site.device.asked("running")
    assert "acl advanced 3999" not in running
    assert "192.0.2.1" in running


def test_management_is_not_cut(site: Site, kept: Callable[[], str]) -> None:
    """What carries our own session is refused; --force does it, from the file that the device starts with."""
    before = site.device.asked("running")
    kept()
    site.edit("local-user mallory class manage", f"password simple {SECRET}", "quit", "line vty 0 63", "idle 5", "quit")
    got = site("device", "restore", "fw01", "--yes")
    assert got.code == 25
    assert "carries our own session" in got.err
    assert "line vty 0 63" in got.err
    got = site("device", "restore", "fw01", "--yes", "--force")
    assert got.code == 0, got.err
    assert site.device.asked("running") == before


def test_a_file_that_was_changed(site: Site, kept: Callable[[], str]) -> None:
    """Evidence that is not what was kept is never put back."""
    sha256 = kept()
    [file] = site.files
    file.write_text(file.read_text() + "#\n")
    got = site("device", "restore", "fw01", sha256, "--yes")
    assert got.code == 26
    assert "has been changed since" in got.err


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("device", "save", "web01"), 2, "no network device"),
        (("device", "save", "nobody"), 2, "nobody"),
        (("device", "diff", "web01"), 2, "no network device"),
        (("device", "diff", "nobody"), 2, "nobody"),
        (("device", "diff", "fw01"), 2, "no configuration of fw01 is kept"),
        (("device", "diff", "fw01", "5e884898"), 2, "no kept configuration"),
        (("device", "restore", "fw01", "../../etc/passwd"), 2, "no kept configuration"),
        (("device", "restore", "fw01", "--json"), 2, "no configuration of fw01 is kept"),
    ],
)
def test_slips(site: Site, args: tuple[str, ...], code: int, said: str) -> None:
    """Each slip ends with its code and says what it is about."""
    got = site(*args)
    assert got.code == code, got.err
    assert said in got.err


def test_a_device_that_is_off(site: Site) -> None:
    """21, and nothing is kept."""
    site.log_in_as("admin", port=9)
    got = site("device", "save")
    assert got.code == 21
    assert "fw01" in got.err
    assert site.files == []
