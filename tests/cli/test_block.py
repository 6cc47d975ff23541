"""`block`, `unblock` and `acl prepare` as they are typed, against two devices of the lab in processes of their own."""

from __future__ import annotations

import contextlib
import io
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.firewalls import Firewall, firewall

from remedy.actions.perimeter import device as typing
from remedy.cli import blocking

from .conftest import Console, Said

FACES: Final = {"fw01": "secpath", "sw01": "comware"}
GATES: Final = {"secpath": "{zone: Untrust}", "comware": "{interface: GigabitEthernet1/0/1}"}
INVENTORY: Final = """\
all:
  children:
    servers:
      hosts:
        web01:
          ansible_host: 192.0.2.11
          remedy_management: [198.18.3.0/24]
          remedy_resolvers: [198.18.0.53]
        log01: {ansible_host: 192.0.2.98, remedy_protected: true}
    firewalls:
      vars:
        ansible_connection: ansible.netcommon.network_cli
        ansible_host: 127.0.0.1
        ansible_password: {env: DEVICE_PASSWORD}
        remedy_budget: {blocks_per_hour: 4, blocked_addresses: 20000}
      hosts:
"""
#: An inventory entry of a device that nobody answers for.
OFF: Final = {"ansible_port": "9"}


@dataclass
class Site:
    """Two firewalls that are on, and an operator at the controller."""

    console: Console
    devices: dict[str, Firewall]
    #: Variables of a device besides, or instead of, the usual ones.
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Servers of the inventory besides the usual ones, as lines.
    servers: str = ""

    def __call__(self, *args: str) -> Said:
        """Run `remedy ARGS`, with the inventory as it is now."""
        self.write()
        return self.console(*args)

    def write(self) -> None:
        """Write the inventory as it is now."""
        text = INVENTORY.replace("        log01:", f"{self.servers}        log01:")
        self.console.inventory.write_text(text + "".join(self._entry(name) for name in self.devices))

    def _entry(self, name: str) -> str:
        one = self.devices[name]
        usual = {
            "ansible_port": str(one.target.port),
            "ansible_user": "admin",
            "remedy_known_hosts": one.target.known_hosts,
            "remedy_platform": one.vendor,
            "remedy_gates": f"[{GATES[one.face]}]",
        }
        lines = [f"          {key}: {value}\n" for key, value in (usual | self.settings.get(name, {})).items() if value]
        return f"        {name}:\n" + "".join(lines)

    def holding(self, address: str) -> list[str]:
        """The devices that have an address in their configuration."""
        return [name for name, one in self.devices.items() if address in one.asked("running").lower()]


def targets(said: Said) -> dict[str, dict[str, Any]]:
    """Each device's part of the document."""
    return {one["target"]: one for one in said.document["targets"]}


def codes(said: Said) -> dict[str, int]:
    """Each device's own exit code."""
    return {name: one["exit_code"] for name, one in targets(said).items()}


@pytest.fixture
def switched_on(
    bare: Console, tmp_path: Path, configured: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Site]]:
    """What switches both devices on, with options of the device and of where it starts."""
    monkeypatch.setenv("DEVICE_PASSWORD", "Admin-1")
    with contextlib.ExitStack() as stack:

        def on(start: str = "", **options: Any) -> Site:  # noqa: ANN401 -- the device's own
            made = {}
            for name, face in FACES.items():
                (tmp_path / name).mkdir()
                (tmp_path / name / "startup").write_text(configured[f"{face}{start}"])
                more = {"startup": str(tmp_path / name / "startup"), **options}
                made[name] = stack.enter_context(firewall(tmp_path / name, face, **more))
            return Site(bare, made)

        yield on


@pytest.fixture
def site(switched_on: Callable[..., Site]) -> Site:
    """Both devices, prepared."""
    return switched_on()


def test_prepare_as_typed(switched_on: Callable[..., Site]) -> None:
    """`acl prepare` shows the lines (10), sets every gate up (0), has nothing to do then (0), and is undone exactly."""
    site = switched_on(" as found")
    start = {name: one.asked("running") for name, one in site.devices.items()}
    refused = site("block", "203.0.113.7", "--yes")
    assert refused.code == 25
    assert "remedy acl prepare fw01" in refused.err
    dry = site("acl", "prepare", "--dry-run")
    assert dry.code == 10
    assert {name: one.asked("running") for name, one in site.devices.items()} == start
    done = site("acl", "prepare", "--yes", "--json")
    assert done.code == 0, done.out
    assert {one["status"] for one in done.document["targets"]} == {"verified"}
    assert {name: one.asked("saved") for name, one in site.devices.items()} == {
        name: one.asked("running") for name, one in site.devices.items()
    }
    assert site.holding("remedy-block6") == ["fw01", "sw01"]
    again = site("acl", "prepare", "--yes", "--json")
    assert (again.code, {one["status"] for one in again.document["targets"]}) == (0, {"unchanged"})
    for one in reversed(done.document["targets"]):
        undone = site("undo", one["run"], "--yes")
        assert undone.code == 0, undone.out + undone.err
    assert {name: one.asked("running") for name, one in site.devices.items()} == start


def test_look_block_unblock(site: Site) -> None:
    """A dry-run shows the very lines and changes nothing; blocked is 0 and saved; unblocked is the start."""
    start = {name: one.asked("running") for name, one in site.devices.items()}
    dry = site("block", "203.0.113.7", "2001:db8:66::/64", "--on", "fw01", "--dry-run")
    assert dry.code == 10
    assert "> network host address 203.0.113.7\n" in dry.out
    assert "> network subnet 2001:db8:66:: 64\n" in dry.out
    planned = site("block", "203.0.113.7", "--dry-run", "--json")
    assert (planned.code, codes(planned)) == (10, {"fw01": 10, "sw01": 10})
    for one in targets(planned).values():
        assert any("203.0.113.7" in line for line in one["steps"][0]["stdin"].splitlines()), one["steps"]
        assert one["impact"] == [f"{one['target']} drops 1 IPv4 address: 203.0.113.7"]
    assert {name: one.asked("running") for name, one in site.devices.items()} == start
    assert site("block", "203.0.113.7").code == 24, "there is no terminal to ask at"
    assert site.holding("203.0.113.7") == []

    done = site("block", "203.0.113.7", "198.51.100.0/24", "--yes", "--json")
    assert (done.code, codes(done)) == (0, {"fw01": 0, "sw01": 0}), done.out
    assert all(one["verified"] and one["layers_held"] == ["perimeter"] for one in targets(done).values())
    assert site.holding("203.0.113.7") == site.holding("198.51.100.0") == ["fw01", "sw01"]
    for device in site.devices.values():
        assert device.asked("saved") == device.asked("running")
    again = site("block", "203.0.113.7", "--yes", "--json")
    assert (again.code, {one["status"] for one in targets(again).values()}) == (0, {"unchanged"})

    part = site("unblock", "203.0.113.7", "--on", "fw01", "--yes")
    assert part.code == 0, part.out
    assert site.holding("203.0.113.7") == ["sw01"]
    assert site("unblock", "203.0.113.7", "198.51.100.0/24", "--yes", "-q").code == 0
    assert {name: one.asked("running") for name, one in site.devices.items()} == start
    assert site("incident", "verify").code == 0


def test_hosts_of_ours_are_named(site: Site) -> None:
    """A host of the inventory that nothing protects may be blocked; but whoever does so is told, by its name."""
    said = site("block", "192.0.2.0/28", "203.0.113.7", "--on", "fw01", "--dry-run")
    assert said.code == 10
    assert "hosts of this inventory that these devices would cut off: web01 (192.0.2.11)\n" in said.err
    assert "web01" not in site("block", "203.0.113.7", "--on", "fw01", "--dry-run").err


def test_the_way_back_of_one_device(site: Site) -> None:
    """`remedy undo RUN` takes one device's block back, and the record no longer counts it."""
    done = site("block", "203.0.113.7", "--yes", "--json")
    run = targets(done)["fw01"]["undo_id"]
    assert site("undo", run, "--yes").code == 0
    assert site.holding("203.0.113.7") == ["sw01"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ((), 2, "no address is given"),
        (("203.0.113.7/24",), 2, "203.0.113.0/24"),
        (("203.0.113.300",), 2, "no address, prefix or range"),
        (("203.0.113.9-203.0.113.1",), 2, "no range"),
        (("fe80::1%eth0",), 2, "cannot stand in"),
        (("0.0.0.0/0",), 25, "everybody"),
        (("::/0",), 25, "everybody"),
        (("127.0.0.1",), 25, "no attacker has"),
        (("198.18.3.1",), 25, "management of web01"),
        (("198.18.0.0/16",), 25, "would cut off"),
        (("198.18.0.53",), 25, "the name servers of web01"),
        (("192.0.2.98",), 25, "log01, which is protected"),
        (("10.0.0.0/8",), 25, "the most that one command may block"),
        (("203.0.113.7", "--on", "nobody"), 2, "nobody"),
        (("203.0.113.7", "--on", "web01"), 2, "web01 is no network device"),
        (("203.0.113.7", "--for", "soon"), 2, "24h"),
        (("203.0.113.7", "--for", "0m"), 2, "24h"),
        (("203.0.113.7", "--confirm-within", "5"), 2, "30<=x<=3600"),
        (("--file", "/nonexistent"), 2, "/nonexistent cannot be read"),
    ],
)
def test_not_begun(bare: Console, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], code: int, said: str) -> None:
    """What cannot be meant and what must not be done ends before any device is dialled, saying why; so in JSON."""
    monkeypatch.setenv("DEVICE_PASSWORD", "Admin-1")
    device = "        fw01: {remedy_platform: h3c_secpath, ansible_port: 9, remedy_gates: [{zone: Untrust}]}\n"
    bare.inventory.write_text(INVENTORY + device)
    got = bare("block", *args, "--yes")
    assert got.code == code, got.err
    assert said in got.err
    document = bare("block", *args, "--yes", "--json").document
    assert document["exit_code"] == code
    error = document.get("error") or document["targets"][0]["error"]
    assert said in f"{error['message']} {error['hint']}"


@pytest.mark.parametrize("command", [("block", "203.0.113.7"), ("unblock", "203.0.113.7"), ("acl", "prepare")])
def test_no_device(bare: Console, command: tuple[str, ...]) -> None:
    """An inventory without gates is 2 with what to set."""
    bare.inventory.write_text("all: {hosts: {web01: {ansible_host: 192.0.2.11}}}\n")
    got = bare(*command, "--yes")
    assert got.code == 2
    assert "remedy_gates" in got.err


def test_what_to_unblock(bare: Console) -> None:
    """`unblock` wants addresses or --expired, not both and not neither."""
    assert bare("unblock", "--yes").code == 2
    assert bare("unblock", "203.0.113.7", "--expired", "--yes").code == 2


def test_files(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands from a file and from standard input, overlaps merged, comments left out; a bad line is named."""
    file = site.console.folder / "attackers.txt"
    lines = [f"203.0.{number // 250}.{number % 250}" for number in range(0, 3000, 2)]
    file.write_text("# from the mail gateway\n" + "\n".join(lines) + "\n198.51.100.0/25, 198.51.100.128/25 # both\n")
    dry = site("block", "--file", str(file), "--on", "fw01", "--dry-run", "--json")
    [step] = targets(dry)["fw01"]["steps"][:1]
    assert len([line for line in step["stdin"].splitlines() if line.startswith("network ")]) == 1501
    begun = time.monotonic()
    assert site("block", "--file", str(file), "203.0.0.2", "--yes", "-q").code == 0
    assert time.monotonic() - begun < 60
    assert site.holding(" 203.0.11.248") == ["fw01", "sw01"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
    assert site("unblock", "--file", "-", "--yes", "-q").code == 0
    assert site.holding(" 203.0.11.248") == []
    assert site.holding("198.51.100.0") == ["fw01", "sw01"]
    file.write_text("203.0.113.7\n\n203.0.113.8/24\n")
    wrong = site("block", "--file", str(file), "--yes", "--json")
    assert wrong.code == 2
    assert wrong.document["error"]["where"] == f"{file}:3"


def test_for_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was blocked for a time is taken off when it is over; what was prolonged, or stands for good, stays."""
    nothing = site("unblock", "--expired", "--yes", "--json")
    assert (nothing.code, nothing.document["targets"]) == (0, [])
    for words in (
        ("203.0.113.7", "203.0.113.9", "203.0.113.10", "--for", "1h"),
        ("198.51.100.0/24",),
        ("203.0.113.9", "--for", "7d"),
        ("203.0.113.10",),
    ):
        assert site("block", *words, "--yes", "-q").code == 0
    assert site("unblock", "--expired", "--yes", "--json").document["targets"] == []
    _pass(monkeypatch, hours=2)
    for _ in range(2):  # several incidents are open by now: cron has nobody to ask which
        assert site("incident", "open", "something else").code == 0
    dry = site("unblock", "--expired", "--dry-run", "--json")
    assert (dry.code, codes(dry)) == (10, {"fw01": 10, "sw01": 10})
    done = site("unblock", "--expired", "--on", "fw01", "--yes", "--json")
    assert (done.code, codes(done)) == (0, {"fw01": 0}), done.out
    assert site.holding("203.0.113.7") == ["sw01"]
    assert site.holding("203.0.113.9") == site.holding("203.0.113.10") == ["fw01", "sw01"]
    assert site.holding("198.51.100.0") == ["fw01", "sw01"]
    assert site("unblock", "--expired", "--yes").code == 0
    assert site.holding("203.0.113.7") == []
    assert site("unblock", "--expired", "--yes", "--json").document["targets"] == []
    _pass(monkeypatch, hours=200)
    assert site("unblock", "--expired", "--yes").code == 0
    assert (site.holding("203.0.113.9"), site.holding("203.0.113.10")) == ([], ["fw01", "sw01"])


def _pass(monkeypatch: pytest.MonkeyPatch, *, hours: int) -> None:
    """From now on the machine's clock is so far ahead."""
    monkeypatch.setattr(blocking, "now", lambda: datetime.now(UTC) + timedelta(hours=hours))


def test_taken_off_by_hand_before(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody has taken off at the device is due once, and then no more."""
    assert site("block", "203.0.113.7", "--for", "1h", "--on", "sw01", "--yes", "-q").code == 0
    one = site.devices["sw01"]
    lines = ("object-group ip address remedy-block", "undo network host address 203.0.113.7")
    assert one.sessions.send(typing.configure(lines, through=True), at="fw01").status == 0
    assert site.holding("203.0.113.7") == []
    _pass(monkeypatch, hours=2)
    assert codes(site("unblock", "--expired", "--yes", "--json")) == {"sw01": 0}
    assert site("unblock", "--expired", "--yes", "--json").document["targets"] == []


@pytest.mark.parametrize("way", ["resume", "watch"])
def test_taken_off_when_nobody_is_at_the_keyboard(site: Site, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """`remedy resume` and `remedy watch` take off what has run out; a device that is off is tried again later."""
    said = site("block", "203.0.113.7", "--for", "1h", "--yes", "--json")
    words = ("resume", "--json") if way == "resume" else ("watch", said.document["incident"], "--once", "--json")
    early = site(*words)
    assert (early.code, early.document["targets"]) == (0, [])
    _pass(monkeypatch, hours=2)
    site.settings["sw01"] = OFF
    half = site(*words)
    assert (half.code, codes(half)) == (20, {"fw01": 0, "sw01": 21})
    assert site.holding("203.0.113.7") == ["sw01"]
    site.settings.clear()
    whole = site(*words)
    assert (whole.code, codes(whole)) == (0, {"sw01": 0})
    assert site.holding("203.0.113.7") == []


def test_one_is_off(site: Site) -> None:
    """With one device off the other is blocked and it is partial (20); with --all-or-none nothing is begun."""
    site.settings["sw01"] = OFF
    none = site("block", "203.0.113.7", "--all-or-none", "--yes", "--json")
    assert (none.code, codes(none)) == (20, {"fw01": 25, "sw01": 21}), none.out
    assert site.holding("203.0.113.7") == []
    said = site("block", "203.0.113.7", "--yes", "--json")
    assert (said.code, codes(said)) == (20, {"fw01": 0, "sw01": 21})
    assert site.holding("203.0.113.7") == ["fw01"]
    assert targets(said)["sw01"]["error"]["kind"] == "ConnectFailed"


def test_all_or_none_taken_back(site: Site) -> None:
    """When one device refuses a line, --all-or-none takes the others back, and they end as they were."""
    start = {name: one.asked("running") for name, one in site.devices.items()}
    site.devices["sw01"].set(group_limit=2)
    addresses = [f"203.0.113.{number}" for number in range(1, 12, 2)]
    said = site("block", *addresses, "--all-or-none", "--yes", "--json")
    assert (said.code, codes(said)) == (20, {"fw01": 0, "sw01": 20}), said.out
    assert targets(said)["fw01"]["action"] == "undo"
    assert "line 4" in targets(said)["sw01"]["doubts"][0]
    assert {name: one.asked("running") for name, one in site.devices.items()} == start
    site("resume")
    assert {name: one.asked("running") for name, one in site.devices.items()} == start


def test_all_or_none_with_a_link_that_breaks(site: Site) -> None:
    """A device whose link breaks in the middle is taken back, too, and nothing is left for `resume` to go on with."""
    start = {name: one.asked("running") for name, one in site.devices.items()}
    site.devices["sw01"].set(drop_after=80)
    addresses = [f"203.0.113.{number}" for number in range(1, 250, 2)]
    said = site("block", *addresses, "--all-or-none", "--yes", "--json")
    assert said.code == 20, said.out
    assert {name: one.asked("running") for name, one in site.devices.items()} == start
    assert site("resume", "--json").document["targets"] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ansible_password": "Wrong-1"}, "password"),
        ({"remedy_known_hosts": "/dev/null"}, "host key"),
        (
            {
                "ansible_user": "guest",
                "ansible_password": "Guest-1",
                "ansible_become": "true",
                "ansible_become_password": "Wrong-1",
            },
            "super was refused",
        ),
    ],
)
def test_not_let_in(site: Site, settings: dict[str, str], said: str) -> None:
    """A wrong password, a wrong super password, a strange host key: 21 and which it was; the secret is not shown."""
    site.settings["fw01"] = settings
    got = site("block", "203.0.113.7", "--on", "fw01", "--yes")
    assert got.code == 21, got.err
    assert said in got.err
    assert "Wrong-1" not in got.out + got.err
    assert site.holding("203.0.113.7") == []


def test_sessions_all_taken(site: Site) -> None:
    """A device whose sessions are all taken is 21 with that as the likely reason."""
    site.devices["fw01"].sessions.close()
    site.devices["fw01"].set(sessions=0)
    got = site("block", "203.0.113.7", "--on", "fw01", "--yes")
    assert got.code == 21, got.err
    assert "sessions" in got.err


def test_held_by_another_administrator(site: Site) -> None:
    """While somebody else has the configuration to himself nothing is typed, and it says who can tell."""
    start = site.devices["fw01"].asked("running")
    site.devices["fw01"].set(locked_by="ann")
    got = site("block", "203.0.113.7", "--on", "fw01", "--yes")
    assert got.code == 20, got.out + got.err
    assert "another administrator holds the configuration" in got.out
    assert site.devices["fw01"].asked("running") == start
    site.devices["fw01"].set(locked_by="")
    assert site("block", "203.0.113.7", "--on", "fw01", "--yes", "-q").code == 0


@pytest.mark.parametrize("name", list(FACES))
def test_link_lost_in_the_middle(site: Site, name: str) -> None:
    """A link that breaks in the middle of the push leaves a run that `remedy resume` ends: all blocked, and saved."""
    addresses = [f"203.0.113.{number}" for number in range(1, 250, 2)]
    one = site.devices[name]
    one.set(drop_after=80)
    broken = site("block", *addresses, "--on", name, "--yes")
    assert broken.code in {20, 21}, broken.out + broken.err
    assert site.holding("203.0.113.1") == [name]
    assert site.holding("203.0.113.249") == []
    assert "remedy resume" in broken.out + broken.err
    resumed = site("resume", "--json")
    assert (resumed.code, codes(resumed)) == (0, {name: 0}), resumed.out
    assert site.holding("203.0.113.249") == [name]
    assert one.asked("saved") == one.asked("running")


@pytest.mark.parametrize("name", list(FACES))
def test_power_cut_before_it_is_saved(site: Site, name: str) -> None:
    """A device that restarts while it saves is not said to be blocked; `resume` ends it: blocked, and saved."""
    one = site.devices[name]
    one.set(save_seconds=3.0)

    def cut_power() -> None:
        _wait(lambda: _has_begun(site.console.record, "save the configuration"))
        one.do("reboot")

    with _meanwhile(cut_power):
        got = site("block", "203.0.113.7", "--on", name, "--confirm-within", "30", "--yes")
    one.set(save_seconds=0.0)
    assert got.code in {20, 21, 22, 23}, got.out + got.err
    _wait(lambda: _answers(one.target.port))
    resumed = site("resume")
    assert resumed.code == 0, resumed.out + resumed.err
    assert site.holding("203.0.113.7") == [name]
    assert one.asked("saved") == one.asked("running")
    assert codes(site("block", "203.0.113.7", "--on", name, "--yes", "--json")) == {name: 0}


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _has_begun(record: Path, why: str) -> bool:
    """Whether the record has the intent of such a step."""
    if not record.exists():
        return False
    asked = "SELECT count(*) FROM entry WHERE kind = 'intent' AND body LIKE ?"
    with contextlib.closing(sqlite3.connect(record)) as book, contextlib.suppress(sqlite3.OperationalError):
        return bool(book.execute(asked, (f"%{why}%",)).fetchone()[0])
    return False


@contextlib.contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """Done by somebody else at the same time."""
    other = threading.Thread(target=work)
    other.start()
    yield
    other.join()


def _wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not until() and time.monotonic() < end:
        time.sleep(0.02)


def test_the_timer_fires_while_we_look(switched_on: Callable[..., Site]) -> None:
    """A device that goes back before it was confirmed is 23: the configuration is as before, and nothing is saved."""
    site = switched_on(minute=2.7)
    one = site.devices["sw01"]
    start = one.asked("running")
    one.set(slow=0.3)  # six lines for the change, and six more until it would be confirmed
    got = site("block", "203.0.113.7", "--on", "sw01", "--confirm-within", "30", "--yes")
    one.set(slow=0.0)
    assert got.code == 23, got.out + got.err
    assert (one.asked("running"), site.holding("203.0.113.7")) == (start, [])
    assert site("unblock", "--expired", "--yes", "--json").document["targets"] == []


def test_a_device_with_a_wrong_clock(site: Site) -> None:
    """The device's own idea of the time changes nothing: the block stands, and its end is by our clock."""
    for one in site.devices.values():
        one.set(clock_offset=-86400.0 * 400)
    assert site("block", "203.0.113.7", "--for", "1h", "--yes", "-q").code == 0
    assert site("unblock", "--expired", "--yes", "--json").document["targets"] == []
    assert site.holding("203.0.113.7") == ["fw01", "sw01"]


def test_a_runaway_hook(site: Site) -> None:
    """More blocks an hour than the budget allows are refused (25), however many devices each was for."""
    for number in range(4):
        assert site("block", f"203.0.113.{2 * number}", "--yes", "-q").code == 0
    got = site("block", "203.0.113.99", "--yes")
    assert got.code == 25
    assert "blocks_per_hour" in got.err
    assert site("unblock", "203.0.113.0", "--yes", "-q").code == 0, "the way back is never counted"


def test_saved_plan(site: Site) -> None:
    """A plan saved with --out is carried out by `remedy apply`, once."""
    file = site.console.folder / "plan.json"
    assert site("block", "203.0.113.7", "--out", str(file), "-q").code == 10
    assert site("apply", str(file), "--yes", "-q").code == 0
    assert site.holding("203.0.113.7") == ["fw01", "sw01"]
    assert site("apply", str(file), "--yes", "-q").code == 25


def test_saved_plan_asks_the_limits_again(site: Site) -> None:
    """A saved plan is refused (25) when its address is protected by now, or the budget is used up; nothing is typed."""
    start = {name: one.asked("running") for name, one in site.devices.items()}
    plans = [site.console.folder / f"plan{number}.json" for number in range(2)]
    for file in plans:
        assert site("block", "203.0.113.7", "--on", "fw01", "--out", str(file), "-q").code == 10
    site.servers = "        mail01: {ansible_host: 203.0.113.7, remedy_protected: true}\n"
    protected = site("apply", str(plans[0]), "--yes")
    assert protected.code == 25, protected.out
    assert "would cut off mail01, which is protected" in protected.err
    site.servers = ""
    site.settings["fw01"] = {"remedy_budget": "{blocks_per_hour: 2}"}
    assert site("block", "198.51.100.7", "--on", "fw01", "--yes", "-q").code == 0
    assert site("unblock", "198.51.100.7", "--on", "fw01", "--yes", "-q").code == 0
    spent = site("apply", str(plans[1]), "--yes")
    assert spent.code == 25, spent.out
    assert "blocks_per_hour" in spent.err
    assert {name: one.asked("running") for name, one in site.devices.items()} == start
    assert site("resume", "--json").document["targets"] == []
