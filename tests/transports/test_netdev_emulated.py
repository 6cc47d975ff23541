"""The connection against the lab's devices, which were written from the vendors' references: good days and bad ones."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import paramiko
import pytest
from tests.lab.devices.rig import Wire

from remedy import devices
from remedy.core.errors import ConnectFailed, ConnectionLost, ElevationFailed, TimedOut
from remedy.core.ports import Connection, Connector
from remedy.core.values import Command, Reply, Secret, Target
from remedy.devices import Group
from remedy.devices.addresses import Span, parse
from remedy.inventory import load, resolve
from remedy.lab.devices.faults import ask
from remedy.probes import parse as parse_probe
from remedy.probes.device import members
from remedy.transports.guard import Sessions
from remedy.transports.limits import Limits
from remedy.transports.netdev import DeviceConnection, DeviceConnector, Platform

LIMITS: Final = Limits(connect=3.0, banner=5.0, login=8.0, idle=2.0)
#: The faces of the lab, each with the vendor whose terminal it is.
FACES: Final = {"comware": "h3c_comware", "secpath": "h3c_secpath"}
GROUP: Final = Group("remedy-block", 4)
#: Log lines wherever they can be, pages of ten lines, a terminal that speaks GB 18030 and ends lines with CR NUL LF.
NOISY: Final = {"monitor": True, "log_every": 3, "log_at_prompt": 4, "page": 10}
ACCOUNTS: Final = {"admin": ["Admin-1", "admin"], "guest": ["Guest-1", "operator"]}
Switch = Callable[..., "Emulated"]


@dataclass
class Emulated:
    """A device of the lab in a process of its own, and what connects to it."""

    connect: Connector
    target: Target
    control: Path

    def set(self, **faults: object) -> None:
        """Set faults."""
        ask(self.control, {"set": faults})

    def asked(self, what: str) -> Any:  # noqa: ANN401 -- JSON
        """What its control socket says."""
        return ask(self.control, {"ask": what})["answer"]


@pytest.fixture
def switch(tmp_path: Path) -> Iterator[Switch]:
    """Switch devices of the lab on."""
    with ExitStack() as stack:

        def on(face: str, encoding: str = "utf-8", **options: Any) -> Emulated:  # noqa: ANN401
            file, control = tmp_path / "device.json", tmp_path / "control"
            faults = {"activation": 0.0, "boot_seconds": 0.1} | options.pop("faults", {})
            settings = {"face": face, "name": "H3C", "accounts": ACCOUNTS, "faults": faults, "encoding": encoding}
            secrets = {"super": "Super-1", "enable": "Super-1"}
            file.write_text(json.dumps({**settings, "secrets": secrets, "control": str(control), **options}))
            argv = [sys.executable, "-m", "remedy.lab.devices", str(file)]
            process = stack.enter_context(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            assert process.stdout
            port = int(process.stdout.readline().split()[1])
            platform = Platform(devices.named(FACES[face]), encoding)
            opened = DeviceConnector(lambda secret: secret.value, lambda _: platform, limits=LIMITS)

            def connect(target: Target) -> Connection:
                made = opened(target)
                stack.callback(made.close)
                return made

            known = tmp_path / "known_hosts"
            known.write_text(f"[127.0.0.1]:{port} {' '.join(key_of(port))}\n")
            target = Target("fw", "127.0.0.1", port, "admin", "", str(known), Secret("test", "Admin-1"))
            return Emulated(connect, target, control)

        yield on


def key_of(port: int) -> tuple[str, str]:
    """The host key of a server: what an administrator would compare on the console."""
    with paramiko.Transport(("127.0.0.1", port)) as transport:
        transport.start_client(timeout=10)
        key = transport.get_remote_server_key()
    return key.get_name(), key.get_base64()


def one(connection: Any, *argv: str, stdin: str = "", seconds: int = 60) -> Reply:  # noqa: ANN401 -- a Connection
    """The reply to one command."""
    (reply,) = connection.run([Command(argv, stdin, seconds=seconds)])
    assert isinstance(reply, Reply)
    return reply


def hosts(count: int) -> list[Span]:
    """That many addresses."""
    return [parse(f"198.18.{number // 250}.{number % 250 + 1}") for number in range(count)]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("noisy", [False, True])
def test_members_are_added_and_read_back(switch: Switch, face: str, noisy: bool) -> None:  # noqa: FBT001 -- a parameter
    """What the vendor's file writes is typed, accepted and read back, also on a terminal that does all it can."""
    noise: dict[str, Any] = {"faults": NOISY, "cr_nul": True, "keyboard": True, "encoding": "gb18030"} if noisy else {}
    device = switch(face, **noise)
    groups = devices.named(FACES[face]).groups
    assert groups
    connection = device.connect(device.target)
    spans = hosts(60)
    reply = one(connection, "configure", stdin="\n".join(groups.add(GROUP, spans, ())))
    assert (reply.status, reply.err) == (0, b"")
    ask = groups.ask_members(GROUP)
    texts = json.loads(one(connection, "cli", *ask, *ask).out)
    for part in (texts[: len(ask)], texts[len(ask) :]):
        members = groups.read_members(GROUP, part)
        assert (sorted(members.spans), members.unknown) == (spans, ())
    vendor = devices.named(FACES[face])
    assert one(connection, "exec", stdin="\n".join(vendor.terminal.save)).status == 0
    connection.close()


@pytest.mark.parametrize("face", FACES)
def test_the_timer_is_armed_and_confirmed(switch: Switch, face: str) -> None:
    """The vendor's timer lines are accepted in their modes, and confirmed over another login."""
    device = switch(face)
    timer = devices.named(FACES[face]).timer
    assert timer
    revert = timer.revert(60)
    first = device.connect(device.target)
    assert one(first, revert.arm_mode, stdin="\n".join(revert.arm)).status == 0
    assert one(first, "configure", stdin="acl advanced name kept\nrule 5 deny ip").status == 0
    assert one(device.connect(device.target), revert.confirm_mode, stdin="\n".join(revert.confirm)).status == 0
    assert "acl advanced name kept" in device.asked("running")


def test_from_the_inventory_to_an_answer(switch: Switch, tmp_path: Path) -> None:
    """An inventory's device is connected to by its own words, asked by probe, and logged in to anew on demand."""
    there = switch("secpath").target
    password = tmp_path / "password"
    password.write_text("Admin-1\n")
    variables = {
        "ansible_connection": "ansible.netcommon.network_cli",
        "remedy_platform": "h3c_secpath",
        "ansible_host": there.address,
        "ansible_port": there.port,
        "ansible_user": there.user,
        "ansible_password": {"file": str(password)},
        "remedy_known_hosts": there.known_hosts,
        "remedy_gates": [{"zone": "Untrust"}],
    }
    file = tmp_path / "hosts.json"
    file.write_text(json.dumps({"all": {"hosts": {"fw01": variables}}}))
    inventory = load(file, user="ops")

    def platform(target: Target) -> Platform | None:
        found = inventory.device(target.name)
        return None if found is None else Platform(found.vendor, found.encoding)

    (found,) = inventory.devices()
    with Sessions(DeviceConnector(resolve, platform, limits=LIMITS), inventory.target, parse_probe) as sessions:
        question = members(found.vendor, [GROUP])
        assert sessions.ask([question], at="fw01") == ({"remedy-block": None},)
        assert found.vendor.groups
        lines = found.vendor.groups.add(GROUP, hosts(2), ())
        assert sessions.send(Command(("configure",), "\n".join(lines)), at="fw01").status == 0
        sessions.renew("fw01")
        assert sessions.ask([question], at="fw01") == ({"remedy-block": ["198.18.0.1", "198.18.0.2"]},)
        login = sessions.login("fw01")
        assert login
        assert (login.user, login.host_key[:7]) == ("admin", "SHA256:")


def test_roles(switch: Switch) -> None:
    """An operator reads; `super` makes an administrator of him with the right password and with no other."""
    device = switch("comware")
    guest = replace(device.target, user="guest", password=Secret("test", "Guest-1"))
    reader = device.connect(guest)
    assert json.loads(one(reader, "cli", "display clock").out)[0]
    assert one(reader, "configure", stdin="acl advanced 3000").status == 1
    raised = device.connect(replace(guest, become=True, become_password=Secret("test", "Super-1")))
    assert one(raised, "configure", stdin="acl advanced 3000").status == 0
    with pytest.raises(ElevationFailed):
        device.connect(replace(guest, become=True, become_password=Secret("test", "Super-2")))


def test_bad_days(switch: Switch) -> None:
    """A locked configuration, a full group and a save that fails stop with the device's words."""
    device = switch("comware")
    connection = device.connect(device.target)
    groups = devices.named("h3c_comware").groups
    assert groups
    lines = "\n".join(groups.add(GROUP, hosts(30), ()))
    device.set(locked_by="ann")
    reply = one(connection, "configure", stdin=lines)
    assert (reply.status, b"exclusively by user ann" in reply.err, b"display users" in reply.err) == (1, True, True)
    device.set(locked_by="", group_limit=20)
    reply = one(connection, "configure", stdin=lines)
    assert reply.status == 1
    assert b"upper limit" in reply.err
    device.set(save_fails=True)
    assert b"no sufficient storage space" in one(connection, "exec", stdin="save force").err
    device.set(sessions=1)
    with pytest.raises(ConnectFailed, match="All user lines are used") as caught:
        device.connect(device.target)
    assert "log another user off" in caught.value.hint


@pytest.mark.parametrize(("fault", "kind"), [("drop_after", ConnectionLost), ("mute_after", TimedOut)])
def test_a_link_lost_in_the_middle(switch: Switch, fault: str, kind: type[Exception]) -> None:
    """A link that drops or goes silent in the middle of an answer says how far the lines had come."""
    device = switch("secpath")
    connection = device.connect(device.target)
    device.set(**{fault: 6})
    groups = devices.named("h3c_secpath").groups
    assert groups
    with pytest.raises(kind, match=r"5 of \d+ lines had been sent, 4 answered"):
        one(connection, "configure", stdin="\n".join(groups.add(GROUP, hosts(30), ())))


def test_time_set_by_the_device(switch: Switch) -> None:
    """Hundreds of lines take no more than 1.3 times what pasting them over one raw channel takes."""
    device = switch("comware", faults={"slow": 0.001})
    connection = device.connect(device.target)
    lines = [f"network host address {span}" for span in hosts(250)]
    ours: list[float] = []
    raw: list[float] = []
    with Wire(device.target.port, "admin", "Admin-1") as wire:
        wire.line("system-view")
        for turn in range(2):
            head = f"object-group ip address o{turn}"
            begin = time.perf_counter()
            assert one(connection, "configure", stdin="\n".join([head, *lines])).status == 0
            ours.append(time.perf_counter() - begin)
            wire.line(f"object-group ip address r{turn}")
            begin = time.perf_counter()
            for line in lines:
                wire.line(line)
            raw.append(time.perf_counter() - begin)
    assert min(ours) < 1.3 * max(raw), (ours, raw)


def test_twenty_at_once(switch: Switch) -> None:
    """Twenty sessions work beside each other, each with its own answers."""
    device = switch("comware", faults={"sessions": 32})
    answers: dict[int, int] = {}

    def work(number: int) -> None:
        connection = device.connect(device.target)
        assert isinstance(connection, DeviceConnection)
        assert one(connection, "configure", stdin=f"acl advanced name n{number}\nrule 5 deny ip").status == 0
        answers[number] = one(connection, "cli", f"display acl name n{number}").out.count(b"rule 5 deny ip")
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == dict.fromkeys(range(20), 1)
