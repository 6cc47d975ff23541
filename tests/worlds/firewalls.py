"""A network device of the lab in a process of its own, an operator at work on it, and processes that may be killed."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import paramiko
from tests.worlds.acting import Settled, Watch
from tests.worlds.memory import Journal, Killed, Life, Mortal, Pages

from remedy import devices
from remedy.actions import Action
from remedy.actions.undo import Undo
from remedy.core.values import Context, Plan, Secret, Site, Target
from remedy.devices import Gate
from remedy.engine import replay
from remedy.engine.job import Job
from remedy.engine.outcome import Outcome
from remedy.engine.run import Engine
from remedy.lab.devices.faults import ask
from remedy.probes import parse
from remedy.transports.guard import Sessions
from remedy.transports.limits import Limits
from remedy.transports.netdev import DeviceConnector, Platform

_LIMITS: Final = Limits(connect=3.0, banner=5.0, login=8.0, idle=5.0)
#: Each face of the lab, whose terminal it is, and where its outside comes in.
FACES: Final = {
    "secpath": ("h3c_secpath", Gate(zone="Untrust")),
    "comware": ("h3c_comware", Gate(interface="GigabitEthernet1/0/1")),
    "comware5": ("h3c_comware5", Gate(interface="GigabitEthernet1/0/1")),
    "ios": ("cisco_ios", Gate(interface="GigabitEthernet0/1", acl="OUTSIDE-IN")),
    "asa": ("cisco_asa", Gate(interface="outside", acl="outside_in")),
}
#: Those with object groups: the others hold attackers alone, a rule each.
GROUPED: Final = sorted(set(FACES) - {"comware5"})
#: Faces whose administrator logs in without rights, and takes them with `enable`.
ELEVATING: Final = frozenset({"ios", "asa"})
#: One face of each family, on which a sweep leaves out no moment.
THOROUGH: Final = frozenset({"secpath", "ios"})
#: What a device says of a line when it has no room, in words that its vendor's file takes for a refusal.
NO_ROOM: Final = {"ios": "% No memory available", "asa": "ERROR: No memory available"}
#: An administrator's own rules, which nobody else may touch.
OTHERS: Final = {
    "secpath": (
        "security-policy ip",
        "rule 10 name office",
        "action pass",
        "source-zone Untrust",
        "destination-zone DMZ",
        "quit",
        "quit",
    ),
    "comware": ("acl advanced 3000", "rule 10 permit tcp destination-port eq 80", "rule 20 permit ip", "quit"),
    "comware5": ("acl number 3000", "rule 10 permit tcp destination-port eq 80", "rule 20 permit ip", "quit"),
    "ios": (
        "archive",
        "path flash:remedy",
        "exit",
        "ip access-list extended OUTSIDE-IN",
        "10 permit tcp any any eq www",
        "20 permit ip any any",
        "exit",
        "interface GigabitEthernet0/1",
        "ip address 198.18.1.20 255.255.255.0",
        "ip access-group OUTSIDE-IN in",
        "exit",
    ),
    "asa": (
        "interface GigabitEthernet0/1",
        "nameif outside",
        "interface GigabitEthernet0/2",
        "nameif inside",
        "exit",
        "access-list outside_in extended permit tcp any any eq www",
        "access-list outside_in extended permit ip any any",
        "access-group outside_in in interface outside",
    ),
}


@dataclass
class Firewall:
    """A device that is on, and an operator with an inventory that names it fw01."""

    face: str
    control: Path
    target: Target
    sessions: Sessions
    known_as: dict[str, Target]
    pages: Pages = field(default_factory=Pages)
    lives: list[Life] = field(default_factory=list)
    site: Site = field(default_factory=Site)

    @property
    def vendor(self) -> str:
        """Whose terminal it is."""
        return FACES[self.face][0]

    @property
    def gate(self) -> Gate:
        """Where the outside comes in."""
        return FACES[self.face][1]

    def asked(self, what: str) -> Any:  # noqa: ANN401 -- JSON
        """What its control socket says: "running", "saved", "log", …."""
        return ask(self.control, {"ask": what})["answer"]

    def set(self, **faults: object) -> None:
        """Set faults."""
        ask(self.control, {"set": faults})

    def do(self, what: str) -> None:
        """Have it do something: "reboot", "cut"."""
        ask(self.control, {"do": what})

    def log_in_as(self, user: str, password: str, *, become: str = "") -> None:
        """From now on the operator uses another account, which takes rights with `become`, or has none to take."""
        self.sessions.close()
        target = replace(self.target, user=user, password=Secret("test", password))
        self.known_as["fw01"] = replace(target, become=bool(become), become_password=Secret("test", become))

    def engine(self, ends_after: int | None = None) -> Engine:
        """A new process with new logins; the ones before it are gone."""
        for life in self.lives:
            life.dead = True
        self.lives.append(life := Life(ends_after))
        self.sessions.close()
        return Engine(Mortal(self.sessions, life), Journal(self.pages, life, time.time), Watch(), "ops@adm1")

    def job(self, action: Action, run: str) -> Job:
        """The action on the device."""
        return Job(action, self.target, self.site, Context(run, "INC-1", "0" * 16))

    def plan(self, action: Action, run: str = "R1") -> Plan:
        """What it would do now."""
        return self.job(action, run).plan(self.sessions)

    def act(self, action: Action, run: str = "R1", engine: Engine | None = None) -> Outcome:
        """Plan and carry out, compared once more with the device, as always."""
        engine = engine or self.engine()
        plan = self.plan(action, run)
        return engine.apply(self.job(action, run), plan, engine.approve(plan, "ops"))

    def undo(self, plan: Plan, run: str = "U1") -> Outcome:
        """What `remedy undo` does."""
        return self.act(Undo(plan), run)

    def resume(self) -> list[Outcome]:
        """What `remedy resume` does."""
        engine = self.engine()
        return [replay.resume(engine, run) for run in list(replay.unfinished(engine.journal))]

    def moments(self, plan: Plan) -> list[int]:
        """Carry a plan out, take it back, and say when to be killed: after any deed, or near those at the device."""
        life = self.killed(plan, 10_000)
        assert life.changes, "the device was typed to"
        assert self.undo(plan, f"U{plan.run}").status == "verified"
        every = range(1, life.deeds + 1)
        near = {typed + aside for typed in life.changes for aside in (-1, 0, 1)}
        return [moment for moment in every if self.face in THOROUGH or moment in near]

    def killed(self, plan: Plan, moment: int) -> Life:
        """Carry a plan out and be killed after so many deeds; the life that this was."""
        engine = self.engine(moment)
        with contextlib.suppress(Killed):
            engine.apply(self.job(Settled(plan), plan.run), plan, engine.approve(plan, "ops"))
        return self.lives[-1]


@contextlib.contextmanager
def firewall(folder: Path, face: str, **options: Any) -> Iterator[Firewall]:  # noqa: ANN401 -- the device's options
    """Switch a device on, with somebody else's rules saved on it; it ends with the block."""
    control, settings = folder / "control", folder / "device.json"
    faults = {"activation": 0.0, "boot_seconds": 0.1, **options.pop("faults", {})}
    made = {
        "face": face,
        "name": "FW01",
        "accounts": {"admin": ["Admin-1", "admin"], "guest": ["Guest-1", "operator"]},
        "ports": [f"GigabitEthernet{'0' if face in ELEVATING else '1/0'}/{number}" for number in range(1, 5)],
        "minute": 60.0,
        "secrets": {"super": "Super-1", "enable": "Super-1"},
        "control": str(control),
        "state": str(folder / "flash"),
        "faults": faults,
        **options,
    }
    settings.write_text(json.dumps(made))
    argv = [sys.executable, "-m", "remedy.lab.devices", str(settings)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        port = int(process.stdout.readline().split()[1])
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {_key_of(port)}\n")
        vendor = devices.named(FACES[face][0])
        target = Target("fw01", "127.0.0.1", port, "admin", "", str(known), Secret("test", "Admin-1"))
        if face in ELEVATING:
            target = replace(target, become=True, become_password=Secret("test", "Super-1"))
        connect = DeviceConnector(lambda secret: secret.value, lambda _: Platform(vendor), limits=_LIMITS)
        known_as = {"fw01": target}
        sessions = Sessions(connect, known_as.__getitem__, parse)
        try:
            yield Firewall(face, control, target, sessions, known_as)
        finally:
            sessions.close()
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def _key_of(port: int) -> str:
    with paramiko.Transport(("127.0.0.1", port)) as transport:
        transport.start_client(timeout=10)
        key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}"
