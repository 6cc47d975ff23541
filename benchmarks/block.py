"""Blocking beside what a user would do instead: typing thousands of members, connecting, many devices at once.

    python benchmarks/run.py block                5,000 members; 20 devices (about five minutes)
    python benchmarks/run.py block --quick        500 members; 5 devices

Decides who is compared with whom, what is measured, and what a run has to leave behind to count: the device's console
lists every member. The devices are emulated (`device_host`), on loopback, and share the processors with whoever types;
a real one takes longer for a line, and then everybody waits for it alike.
"""

from __future__ import annotations

import ipaddress
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.device_host import PYTHON, Devices, devices, environment
from benchmarks.estate import BrokenRun
from benchmarks.measuring import Run, busy, load, measure

Json = dict[str, Any]
_PART: Final = str(Path(__file__).resolve().parent / "parts" / "device_lines.py")
_GROUP: Final = "remedy-block"
_LONG: Final = 900.0
#: Lines for netmiko's `send_config_set`, which needs seconds for each.
_FEW: Final = 20
#: Lines on a Cisco router, where Ansible needs a tenth of a second for each.
_ON_IOS: Final = 100
#: Ansible with its collections for Cisco is no part of what remedy is developed with: wanted beside pyinfra.
_VENV: Final = Path(__file__).resolve().parent / ".venv"
_ANSIBLE: Final = _VENV / "bin" / "ansible-playbook"
#: netmiko's name of each face, and how a group is opened, given a member, and closed there.
_WORDS: Final = {
    "secpath": ("hp_comware", "object-group ip address", "network host address", "quit"),
    "ios": ("cisco_ios", "object-group network", "host", "exit"),
}
#: What a line takes on the devices of the case with many: a round trip and a device's own work, in seconds.
_PACE: Final = 0.02
_EACH: Final = 100


def block(*, quick: bool, rounds: int) -> Iterator[tuple[str, Json]]:
    """The cases, one after the other, each from a device on which nothing is blocked."""
    many, fleet = (500, 5) if quick else (5000, 20)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, devices(Path(folder)) as there:
        yield f"{many:,} members onto a group", _case(lambda: _members(there, many, rounds))
        yield f"{_FEW} members, netmiko's send_config_set too", _case(lambda: _few(there, 1))
        yield f"{_ON_IOS} members onto a group, Cisco IOS", _case(lambda: _on_ios(there, rounds))
        yield "connecting to a device", _case(lambda: _connecting(there, 2 * rounds))
        title = f"{_EACH} members, {_PACE * 1000:g} ms a line, {fleet} devices at once"
        yield title, _case(lambda: _fleet(there, fleet, rounds))


def _case(measured: Callable[[], Iterator[tuple[str, Json]]]) -> Json:
    before = {"load_before": load(), "busy_before": round(busy(), 2)}
    runs: dict[str, list[Json]] = {}
    for name, run in measured():
        runs.setdefault(name, []).append(run)
    return {"floor": next(iter(runs)), "hosts": 0, **before, "load_after": load(), "runs": runs}


def _members(there: Devices, number: int, rounds: int) -> Iterator[tuple[str, Json]]:
    """The floor waits for every prompt, as one has to that wants to know which line was refused."""
    for _ in range(rounds):
        for name, way in (("pasted over one SSH channel", "paste"), ("remedy's Sessions.send", "remedy")):
            yield name, _typed(there, name, way, number)
        there.fresh(1)
        argv = there.command("block", "--file", str(_addresses(there, number)), "--yes", "-q")
        yield "remedy block, whole", _run(there, "remedy block, whole", argv, number)


def _few(there: Devices, rounds: int) -> Iterator[tuple[str, Json]]:
    for _ in range(rounds):
        for name, way in (
            ("pasted over one SSH channel", "paste"),
            ("remedy's Sessions.send", "remedy"),
            ("netmiko's send_config_set", "netmiko"),
        ):
            yield name, _typed(there, name, way, _FEW)


def _on_ios(there: Devices, rounds: int) -> Iterator[tuple[str, Json]]:
    """Ansible's rows are whole processes, and `ios_acls` writes rules in place of members: it knows no groups."""
    if not (ansible := _has_ansible()):
        print(f"  no Ansible for Cisco: {_VENV}/bin/pip install ansible paramiko", file=sys.stderr, flush=True)
    for _ in range(rounds):
        for name, way in (
            ("pasted over one SSH channel", "paste"),
            ("remedy's Sessions.send", "remedy"),
            ("netmiko's send_config_set", "netmiko"),
        ):
            yield name, _typed(there, name, way, _ON_IOS, "ios")
        for module, task in _tasks(there).items() if ansible else ():
            there.fresh(1, "ios")
            play = there.folder / f"{module}.json"
            play.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="ascii")
            name = f"Ansible's {module}, whole"
            yield name, _run(there, name, [str(_ANSIBLE), "-i", str(there.inventory), str(play)], _ON_IOS)


def _has_ansible() -> bool:
    return _ANSIBLE.exists() and any(_VENV.glob("lib/python*/site-packages/ansible_collections/cisco/ios"))


def _tasks(there: Devices) -> dict[str, Json]:
    members = _addresses(there, _ON_IOS).read_text(encoding="ascii").split()
    lines: Json = {"parents": [f"object-group network {_GROUP}"], "lines": [f"host {one}" for one in members]}
    rule: Json = {"grant": "deny", "protocol": "ip", "destination": {"any": True}}
    aces = [{"sequence": 10 * at, **rule, "source": {"host": one}} for at, one in enumerate(members, 1)]
    acl: Json = {"afi": "ipv4", "acls": [{"name": "EDGE", "acl_type": "extended", "aces": aces}]}
    return {
        "ios_config": {"cisco.ios.ios_config": lines},
        "ios_acls": {"cisco.ios.ios_acls": {"state": "merged", "config": [acl]}},
    }


def _connecting(there: Devices, rounds: int) -> Iterator[tuple[str, Json]]:
    [one] = there.fresh(1)
    driver = _WORDS["secpath"][0]
    for _ in range(rounds):
        for name in ("netmiko", "remedy"):
            argv = [PYTHON, _PART, f"connect-{name}", driver, str(there.inventory), one.name, str(one.port)]
            said = f"{name}, to the prompt"
            yield said, _run(there, said, argv, 0)


def _fleet(there: Devices, number: int, rounds: int) -> Iterator[tuple[str, Json]]:
    for _ in range(rounds):
        for count in (1, number):
            for one in there.fresh(count):
                one.slow(_PACE)
            argv = there.command("block", "--file", str(_addresses(there, _EACH)), "--yes", "-q")
            name = f"remedy block, {count} device{'s' if count > 1 else ''}"
            yield name, _run(there, name, argv, _EACH)


def _typed(there: Devices, name: str, way: str, number: int, face: str = "secpath") -> Json:
    """The same lines, typed one way or the other."""
    [one] = there.fresh(1, face)
    file = there.folder / "lines"
    driver, opens, member, closes = _WORDS[face]
    members = _addresses(there, number).read_text(encoding="ascii").split()
    lines = [f"{opens} {_GROUP}", *(f"{member} {one}" for one in members), closes]
    file.write_text("\n".join(lines) + "\n", encoding="ascii")
    argv = [PYTHON, _PART, way, driver, str(there.inventory), one.name, str(one.port), str(file)]
    return _run(there, name, argv, number)


def _addresses(there: Devices, number: int) -> Path:
    """A file of so many addresses, none beside another, or they would be merged."""
    first = int(ipaddress.IPv4Address("100.64.0.1"))
    file = there.folder / f"addresses{number}"
    file.write_text("".join(f"{ipaddress.IPv4Address(first + 2 * at)}\n" for at in range(number)), encoding="ascii")
    return file


def _run(there: Devices, name: str, argv: Sequence[str], number: int) -> Json:
    """One run; every device has to hold all members afterwards."""
    run = measure(argv, environment=environment(), seconds=_LONG)
    if run.status:
        raise BrokenRun(f"{name} ended with {run.status}: {run.said}")
    for one in there.on:
        if (found := len(re.findall(r"\bhost (?:address )?100\.", one.running()))) != number:
            raise BrokenRun(f"{name} left {found} of {number} members on {one.name}: {run.said}")
    kept: Json = {"wall": round(run.wall, 3), "cpu": round(run.cpu, 3)}
    if "remedy" in name:
        kept["peak"] = round(run.peak / 1e6, 1)
    kept |= _steps(run)
    print(f"  {name:<45} {kept.get('steps_wall', run.wall):8.2f} s", file=sys.stderr, flush=True)
    return kept


def _steps(run: Run) -> Json:
    found = re.search(r"^steps (\S+) (\S+)$", run.said, re.MULTILINE)
    return {"steps_wall": float(found[1]), "steps_cpu": float(found[2])} if found else {}


def tools() -> dict[str, Sequence[str]]:
    """What the results depend on besides, and how each says its version."""
    found = {"netmiko": [PYTHON, "-c", "import netmiko; print(f'netmiko {netmiko.__version__}')"]}
    return found | ({"ansible, for devices": [str(_ANSIBLE), "--version"]} if _has_ansible() else {})
