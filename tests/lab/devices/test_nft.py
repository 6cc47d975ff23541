"""The rules of a device, enforced: real packets between namespaces, through a router that the rules are made for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from tests.worlds.namespaces import Host, cable

from remedy.devices.acl import ANY, Endpoint, Rule
from remedy.devices.addresses import Span, parse
from remedy.lab.devices.enforce import Placed, Stage, SwitchPort, Wanted
from remedy.lab.devices.nft import Nft

_WORLD4, _WORLD6 = "192.0.2.2", "2001:db8:1::2"
_INNER4, _INNER6 = "198.51.100.2", "2001:db8:2::2"
_OUTSIDE, _INSIDE = "GigabitEthernet0/0", "GigabitEthernet0/1"

_SERVE = """
import socket, sys, threading
def serve(family, port):
    s = socket.socket(family); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("", port)); s.listen(50)
    while True:
        c, _ = s.accept()
        threading.Thread(target=echo, args=(c,), daemon=True).start()
def echo(c):
    try:
        while data := c.recv(100): c.sendall(data)
    except OSError: pass
for f in (socket.AF_INET, socket.AF_INET6):
    for p in (80, 81): threading.Thread(target=serve, args=(f, p), daemon=True).start()
print("ready", flush=True); sys.stdin.read()
"""


@dataclass
class World:
    """A client outside, the router with the rules, a server inside; servers echo on 80 and 81, the router's too."""

    outer: Host
    router: Host
    inner: Host
    nft: Nft
    opened: list[socket.socket] = field(default_factory=list)

    def enforce(self, wanted: Wanted) -> None:
        """Make it hold."""
        self.router.inside(lambda: asyncio.run(self.nft.enforce(wanted)))

    def hits(self) -> dict[str, int]:
        """What the rules have met."""
        return dict(self.router.inside(lambda: asyncio.run(self.nft.hits())))

    def connect(self, address: str, port: int = 80) -> socket.socket:
        """A connection from the client, closed after the test. Raises OSError."""
        made = self.outer.inside(lambda: socket.create_connection((address, port), timeout=0.4))
        self.opened.append(made)
        return made

    def passes(self, address: str = _INNER4, port: int = 80) -> bool:
        """Whether the client gets a connection."""
        with contextlib.suppress(OSError):
            self.connect(address, port)
            return True
        return False


def answers(live: socket.socket) -> bool:
    """Whether an open connection still carries bytes."""
    try:
        live.sendall(b"x")
        return live.recv(10) != b""
    except OSError:
        return False


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host, Host]]:
    """The three, joined and serving."""
    outer, router, inner = (Host(name) for name in ("outer", "router", "inner"))
    cable(router, "out0", outer, near=("192.0.2.1/24", "2001:db8:1::1/64"), far=(f"{_WORLD4}/24", f"{_WORLD6}/64"))
    cable(router, "in0", inner, near=("198.51.100.1/24", "2001:db8:2::1/64"), far=(f"{_INNER4}/24", f"{_INNER6}/64"))
    router.run("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
    servers = []
    for host in (router, inner):
        server = subprocess.Popen(
            host.enter(sys.executable, "-c", _SERVE), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        servers.append(server)
    yield outer, router, inner
    for server in servers:
        server.kill()
        server.communicate()
    for host in (outer, router, inner):
        host.close()


@pytest.fixture
def world(hosts: tuple[Host, Host, Host]) -> Iterator[World]:
    """The hosts with no rules at all."""
    outer, router, inner = hosts
    router.run("nft flush ruleset")
    made = World(outer, router, inner, Nft("remedy_device", {_OUTSIDE: "out0", _INSIDE: "in0"}))
    yield made
    for connection in made.opened:
        connection.close()


def stage(*rules: Rule, family: int = 4, hook: str = "arriving", default: str = "permit", **more: str) -> Stage:
    """A stage at the outside interface."""
    placed = tuple(Placed(rule, f"key {number}") for number, rule in enumerate(rules))
    fields = {"interface": _OUTSIDE, **more}
    return Stage("list", family, placed, hook, default=default, **fields)


def deny(source: Endpoint = ANY, destination: Endpoint = ANY, **more: object) -> Rule:
    """A rule that drops."""
    return replace(Rule("deny", 4, source=source, destination=destination), **more)  # type: ignore[arg-type]


def test_a_group_stops_packets_and_lets_them_through_again(world: World) -> None:
    """A source in a denied group is stopped in both families, and passes once it is taken out."""
    rules = [
        stage(deny(Endpoint(group="bad"))),
        stage(deny(Endpoint(group="bad6"), family=6), family=6),
    ]
    for groups, passing in (
        ({}, True),
        ({"bad": (parse(_WORLD4),), "bad6": (parse("2001:db8:1::/64"),)}, False),
        ({"bad": (parse("203.0.113.0/24"),), "bad6": ()}, True),
        ({"bad": (parse("192.0.2.1-192.0.2.9"), parse("192.0.2.4-192.0.2.77")), "bad6": (parse(_WORLD6),)}, False),
    ):
        world.enforce(Wanted(tuple(rules), groups))
        assert (world.passes(_INNER4), world.passes(_INNER6)) == (passing, passing), groups


def test_the_first_rule_that_matches_decides(world: World) -> None:
    """Order, ports and the default count; a packet must be permitted by every stage it meets."""
    web = Endpoint(ports=((80, 80),))
    permit = Rule("permit", 4, "tcp", destination=web)
    world.enforce(Wanted((stage(permit, default="deny"),)))
    assert (world.passes(port=80), world.passes(port=81)) == (True, False)
    world.enforce(Wanted((stage(deny(protocol="tcp", destination=web), permit, default="permit"),)))
    assert (world.passes(port=80), world.passes(port=81)) == (False, True)
    outbound = stage(deny(destination=Endpoint((parse(_INNER4),))), hook="leaving", interface=_INSIDE)
    world.enforce(Wanted((stage(permit, default="deny"), outbound)))
    assert not world.passes(port=80)
    assert world.passes(_INNER6)


def test_packets_for_the_device_meet_its_rules(world: World) -> None:
    """A rule stops what is for the device itself unless it is for forwarded packets only, and the other way round."""
    rule = deny(Endpoint((parse(_WORLD4),)))
    for reaches, through, to_device in (("both", False, False), ("through", False, True), ("device", True, False)):
        one = Stage("list", 4, (Placed(rule, "k", reaches=reaches),), "arriving", _OUTSIDE)
        world.enforce(Wanted((one,)))
        assert (world.passes(_INNER4), world.passes("192.0.2.1")) == (through, to_device), reaches
    world.enforce(Wanted((Stage("policy", 4, (), "policy", default="deny"),)))
    assert (world.passes(_INNER4), world.passes("192.0.2.1")) == (False, True)


def test_a_stateless_device_drops_replies_too(world: World) -> None:
    """A router's list stops replies to what came in, and `established` lets them pass."""
    inbound = Rule("permit", 4)
    reply = stage(replace(inbound, protocol="tcp", rest=("established",)), interface=_INSIDE, default="deny")
    world.enforce(Wanted((stage(interface=_INSIDE, default="deny"),)))
    assert not world.passes()
    world.enforce(Wanted((reply,)))
    assert world.passes()


def test_a_stateful_device_lets_replies_through_and_ends_flows(world: World) -> None:
    """A firewall asks about the opener's packets only; a new drop rule ends a flow that lives, both ways."""
    nothing_from_inside = stage(interface=_INSIDE, default="deny")
    world.enforce(Wanted((nothing_from_inside,), stateful=True))
    live = world.connect(_INNER4)
    assert answers(live)
    world.enforce(Wanted((nothing_from_inside, stage(deny(Endpoint((parse(_WORLD4),))))), stateful=True))
    assert not answers(live)
    assert not world.passes()
    world.enforce(Wanted((nothing_from_inside,), stateful=True))
    live.settimeout(5)
    assert live.recv(10) == b"x", "retransmitted, and let through again"


def test_established_flows_meet_a_routers_rules_at_once(world: World) -> None:
    """A stateless drop stops a connection that was open before."""
    world.enforce(Wanted())
    live = world.connect(_INNER6)
    assert answers(live)
    world.enforce(Wanted((stage(deny(family=6), family=6),)))
    assert not answers(live)


@pytest.mark.parametrize("stateful", [False, True])
def test_blocked_sources_are_cut_off_at_once(world: World, stateful: bool) -> None:  # noqa: FBT001 -- parametrised
    """A blocked source reaches neither the inside nor the device, and each source counts what it met."""
    world.enforce(Wanted(stateful=stateful))
    live = world.connect(_INNER4)
    world.enforce(Wanted(blocked=(parse(_WORLD4), parse("203.0.113.9"), parse(_WORLD6)), stateful=stateful))
    assert not answers(live)
    assert not world.passes()
    assert not world.passes("192.0.2.1")
    assert not world.passes(_INNER6)
    before = world.hits()
    assert before[f"blocked:{_WORLD4}"] > 0
    assert before["blocked:203.0.113.9"] == 0
    world.enforce(Wanted(blocked=(parse(_WORLD4), parse("203.0.113.10")), stateful=stateful))
    assert world.hits()[f"blocked:{_WORLD4}"] >= before[f"blocked:{_WORLD4}"]


def test_counters_outlive_other_changes(world: World) -> None:
    """A rule that stays keeps its count when others come, go and change place."""
    bad = deny(Endpoint(group="bad"))
    groups = {"bad": (parse(_WORLD4),)}
    first = Stage("list", 4, (Placed(bad, "bad"),), "arriving", _OUTSIDE)
    world.enforce(Wanted((first,), groups))
    assert not world.passes()
    count = world.hits()["bad"]
    assert count > 0
    second = Stage("list", 4, (Placed(deny(protocol="udp"), "udp"), Placed(bad, "bad")), "arriving", _OUTSIDE)
    world.enforce(Wanted((second,), groups))
    assert world.hits() == {"bad": count, "udp": 0}
    world.enforce(Wanted((first, stage(family=6)), {"bad": ()}))
    assert world.hits() == {"bad": count}


def test_interfaces_without_packets_and_words_nobody_knows_match_nothing(world: World) -> None:
    """A rule limited to an interface that is not there, or with a condition that is not understood, never matches."""
    elsewhere = Placed(deny(), "a", arriving=("Tunnel9",))
    odd = Placed(deny(rest=("time-range", "night")), "b")
    absent = Placed(deny(Endpoint(group="nobody")), "c")
    off = Placed(deny(enabled=False), "d")
    world.enforce(Wanted((Stage("list", 4, (elsewhere, odd, absent, off), "arriving", _OUTSIDE),)))
    assert world.passes()


def test_a_change_that_fails_leaves_the_rules_before_in_force(world: World) -> None:
    """When nft refuses, OSError says why, what was dropped stays dropped, and the next change works."""
    world.enforce(Wanted((stage(deny()),)))
    with pytest.raises(OSError, match="nft"):
        world.enforce(Wanted((stage(deny(protocol="no such thing")),)))
    assert not world.passes()
    world.router.run("nft delete table inet remedy_device")
    assert world.passes()
    world.enforce(Wanted((stage(deny()),)))
    assert not world.passes()


def test_five_thousand_members_are_one_fast_transaction(world: World) -> None:
    """5,000 members of a group are put in, and half of them taken out, in well below a second each."""
    spans: Sequence[Span] = [Span(4, (10 << 24) + 4 * n, (10 << 24) + 4 * n + n % 3) for n in range(5000)]
    world.enforce(Wanted((stage(deny(Endpoint(group="big"))),), {"big": (parse(_WORLD4),)}))
    for members in (tuple(spans), tuple(spans[::2]), (*spans[::2], parse(_WORLD4))):
        began = time.monotonic()
        world.enforce(Wanted((stage(deny(Endpoint(group="big"))),), {"big": members}))
        assert time.monotonic() - began < 0.8
    assert not world.passes()


@pytest.fixture
def switch() -> Iterator[tuple[Host, Nft, dict[str, Host]]]:
    """A switch of three ports with a host on each."""
    switch = Host("switch")
    hosts = {}
    for number in (1, 2, 3):
        host = Host(f"h{number}")
        cable(switch, f"p{number}", host, near=(), far=(f"192.0.2.{number}/24",), routed=False)
        hosts[f"GigabitEthernet1/0/{number}"] = host
    yield switch, Nft("remedy_device", {f"GigabitEthernet1/0/{n}": f"p{n}" for n in (1, 2, 3)}, switch=True), hosts
    for host in (switch, *hosts.values()):
        host.close()


def test_ports_and_filters_of_a_switch_hold(switch: tuple[Host, Nft, dict[str, Host]]) -> None:
    """VLANs separate ports, a shut port carries nothing, filters drop what is bridged, addresses are learned."""
    host, nft, hosts = switch
    names = list(hosts)

    def apply(wanted: Wanted) -> None:
        host.inside(lambda: asyncio.run(nft.enforce(wanted)))

    def reaches(one: int, other: int, seconds: float = 1.0) -> bool:
        """Whether a datagram arrives; a refusal by the other end says that it did."""

        def ask() -> bool:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0.2)
                sender.connect((f"192.0.2.{other}", 9))
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    try:
                        sender.send(b"x")
                        sender.recv(1)
                    except ConnectionRefusedError:
                        return True
                    except OSError:
                        continue
            return False

        return hosts[names[one - 1]].inside(ask)

    apply(Wanted(ports=tuple(SwitchPort(name, "access", 10, up=True) for name in names)))
    assert reaches(1, 2, seconds=5)
    heard = host.inside(lambda: asyncio.run(nft.heard()))
    assert {(h.vlan, h.port) for h in heard} >= {(10, names[0]), (10, names[1])}
    moved = SwitchPort(names[1], "access", 999, up=True)
    shut = SwitchPort(names[2], "access", 10, up=False)
    apply(Wanted(ports=(SwitchPort(names[0], "access", 10, up=True), moved, shut)))
    assert not reaches(1, 2)
    assert not reaches(1, 3)
    assert host.inside(lambda: asyncio.run(nft.links()))[names[2]] is False
    trunk = SwitchPort(names[0], "trunk", 999, up=True, vlans=((999, 999),))
    apply(Wanted(ports=(trunk, moved, shut)))
    assert reaches(1, 2, seconds=5)
    one = Stage("list", 4, (Placed(deny(Endpoint((parse("192.0.2.1"),))), "k"),), "arriving", names[0])
    apply(Wanted((one,), ports=(trunk, moved, shut)))
    assert not reaches(1, 2)
    assert host.inside(lambda: asyncio.run(nft.hits()))["k"] > 0
