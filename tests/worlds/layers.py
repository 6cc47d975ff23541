"""A host with a switch and a firewall around it: real devices of the lab, and one session for all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from tests.worlds.acting import Operator
from tests.worlds.firewalls import FACES, OTHERS, Firewall, firewall
from tests.worlds.real import ADDRESSES, SITE, TARGET, Channel, World

from remedy import devices
from remedy.actions.containment import places
from remedy.actions.isolate import Isolate
from remedy.actions.perimeter import device as typing
from remedy.actions.prepare import Prepare
from remedy.core.errors import ConnectFailed
from remedy.core.ports import Connection
from remedy.core.values import Command, Context, Plan, Reply, Site, Target
from remedy.engine import replay
from remedy.engine.job import Job
from remedy.lab.devices.enforce import Heard, Neighbour, Remembering
from remedy.probes import parse
from remedy.transports.guard import CONTROLLER, Sessions
from remedy.transports.netdev import DeviceConnector, Platform

MAC: Final = "52:54:00:00:00:11"
PORT: Final = "GigabitEthernet1/0/3"
UPLINK: Final = "GigabitEthernet1/0/4"
QUARANTINE: Final = 999
#: Server VLAN 20 with the host's port in it, the quarantine VLAN, and an uplink.
SWITCH: Final = (
    "vlan 20", "quit", f"vlan {QUARANTINE}", "quit",
    f"interface {PORT}", "description web01", "port access vlan 20", "quit",
    f"interface {UPLINK}", "port link-type trunk", "port trunk permit vlan 20", "quit",
)  # fmt: skip

#: What a firewall has to have before hosts can be cut off there: on an ASA, lists in both directions.
WALLS: Final = {
    "ios": OTHERS["ios"],
    "asa": (
        *OTHERS["asa"],
        "access-list outside_out extended permit ip any any",
        "access-group outside_out out interface outside",
    ),
}


class Tables(Remembering):
    """A switch that has learned hardware addresses: `heard` and `known` as in `Heard` and `Neighbour`."""

    def __init__(self, heard: Sequence[Sequence[Any]] = (), known: Sequence[Sequence[Any]] = ()) -> None:
        """From a device's options."""
        super().__init__()
        self.table = tuple(Heard(*one) for one in heard)
        self.arp = tuple(Neighbour(*one) for one in known)


@dataclass
class Toy:
    """A host of which only its network cards and its being there matter. Implements core.ports.Connection."""

    mac: str = MAC
    #: Whether management reaches it, asked each time.
    reached: Callable[[], bool] = lambda: True

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """Its cards, whatever is asked. Raises ConnectFailed when it is not reached."""
        if not self.reached():
            raise ConnectFailed("no answer", where="web01")
        cards = f"card=eth0 {self.mac}\naddress=eth0 {ADDRESSES[0]}/24\n".encode()
        return tuple(Reply(0, cards) for _ in commands)

    def close(self) -> None:
        """Nothing stays open."""


@dataclass
class Behind:
    """A host that nobody reaches while its switch has it in the quarantine VLAN. Implements core.ports.Connection."""

    host: Connection
    switch: Firewall

    def run(self, commands: Sequence[Command]) -> tuple[Reply, ...]:
        """What the host answers. Raises ConnectFailed when the switch keeps it apart."""
        if f"port access vlan {QUARANTINE}" in self.switch.asked("running"):
            raise ConnectFailed("no answer", where="web01")
        return self.host.run(commands)

    def close(self) -> None:
        """Close the connection to the host."""
        self.host.close()


@dataclass
class Estate(Operator):
    """An operator with a host, a switch `sw01` and a firewall `fw01`."""

    boxes: dict[str, Firewall] = field(default_factory=dict)

    @property
    def switch(self) -> Firewall:
        """The switch."""
        return self.boxes["sw01"]

    @property
    def wall(self) -> Firewall:
        """The firewall."""
        return self.boxes["fw01"]

    def plug(self, **given: Any) -> places.Plug:  # noqa: ANN401 -- its fields
        """The host's place at the switch, as the inventory has it."""
        return replace(places.Plug("sw01", "h3c_comware", PORT, QUARANTINE, management=True), **given)

    def isolate(self, *layers: str, plug: places.Plug | None = None, **given: Any) -> Isolate:  # noqa: ANN401 -- its fields
        """The action, with both devices."""
        walls = (places.Firewall("fw01", self.wall.vendor, (self.wall.gate,)),) if "fw01" in self.boxes else ()
        plugs = (plug or self.plug(),) if "sw01" in self.boxes else ()
        return Isolate(layers=layers, plugs=plugs, firewalls=walls, device_seconds=60, **given)

    def prepare(self, *, blocking: bool = False) -> None:
        """Set the firewall up to cut hosts off, and for blocking first where asked for."""
        wall, gates = self.wall, typing.isolating((self.wall.gate,))
        pairs = [*([("block", wall.gate)] if blocking else []), *(("isolate", gate) for gate in gates)]
        families = sorted({6 if ":" in address else 4 for address in self.site.addresses})
        for number, (purpose, gate) in enumerate(pairs):
            for family in families:
                run = f"P{number}f{family}"
                job = Job(
                    Prepare(wall.vendor, gate, family, 60, purpose), wall.target, Site(), Context(run, "INC-1", "")
                )
                engine = self.engine()
                plan = job.plan(self.world.session)
                outcome = engine.apply(job, plan, engine.approve(plan, "ops"))
                assert outcome.status == "verified", outcome.doubts

    def plan_of(self, run: str) -> Plan:
        """The plan of a run, from the record."""
        return replay.read(self.engine().journal, run).plan

    def running(self) -> dict[str, tuple[str, str]]:
        """What runs on the devices, and what is saved there."""
        return {name: (box.asked("running"), box.asked("saved")) for name, box in self.boxes.items()}


@dataclass
class Place:
    """What `Operator` needs of a world, for a host of which hardly anything matters."""

    session: Sessions

    def context(self, run: str = "R1") -> Context:
        """A run under the test's incident."""
        return Context(run, "INC-1", "0123456789abcdef")


@contextlib.contextmanager
def estate(
    folder: Path,
    host: Toy | World,
    *,
    wall: str = "secpath",
    boxes: Sequence[str] = ("fw01", "sw01"),
    heard: Sequence[Sequence[Any]] = ((MAC, 20, PORT),),
    known: Sequence[Sequence[Any]] = (),
    dark: bool = False,
) -> Iterator[Estate]:
    """Switch the devices on, set up and saved, beside a host; they end with the block.

    In a `dark` one nobody reaches the host in its quarantine VLAN.
    """
    faces = {"fw01": (wall, {}), "sw01": ("comware", _learned(heard, known))}
    with contextlib.ExitStack() as stack:
        made: dict[str, Firewall] = {}
        for name in boxes:
            (folder / name).mkdir()
            face, options = faces[name]
            box = stack.enter_context(firewall(folder / name, face, **options))
            box.target = replace(box.target, name=name)
            made[name] = box
        site = SITE if isinstance(host, World) else Site(addresses=ADDRESSES)
        session = _sessions(host, made, dark=dark)
        stack.callback(session.close)
        world: Any = Place(session)
        if isinstance(host, World):
            host.session.close()
            stack.callback(setattr, host, "session", host.session)
            host.session, world = session, host
        operator = Estate(world, site=site, boxes=made)
        for name, lines in (("sw01", SWITCH), ("fw01", WALLS.get(wall, ()))):
            if name in made and lines:
                for command in (typing.configure(lines), typing.save(name, devices.named(made[name].vendor)).do):
                    reply = session.send(command, at=name)
                    assert reply.status == 0, reply
        yield operator


def _learned(heard: Sequence[Sequence[Any]], known: Sequence[Sequence[Any]]) -> dict[str, Any]:
    return {"enforcer": "tests.worlds.layers:Tables", "enforcing": {"heard": [*heard], "known": [*known]}}


def _sessions(host: Toy | World, boxes: dict[str, Firewall], *, dark: bool) -> Sessions:
    def platform(target: Target) -> Platform:
        return Platform(devices.named(FACES[boxes[target.name].face][0]))

    dial = DeviceConnector(lambda secret: secret.value, platform)

    def connect(target: Target) -> Connection:
        if target.name in boxes:
            return dial(target)
        made = host if isinstance(host, Toy) else Channel(host, target.name)
        return Behind(made, boxes["sw01"]) if dark and target.name == TARGET.name else made

    def lookup(name: str) -> Target:
        return boxes[name].target if name in boxes else replace(TARGET, name=name)

    local: Connection = Channel(host, CONTROLLER) if isinstance(host, World) else Toy()
    return Sessions(connect, lookup, parse, local=local)
