"""The certificate: what it proves, what it names as unproven, whose word it takes, and what makes it fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.worlds.acting import Operator, isolated
from tests.worlds.memory import Journal
from tests.worlds.namespaces import Host, cable
from tests.worlds.real import ADDRESSES, SITE, TARGET, World

from remedy.actions.isolate import Isolate
from remedy.core.errors import AnswerUnusable, TargetUnfit
from remedy.core.values import Plan, Site, Target, Vantage
from remedy.engine import fleet, replay

PEER, OUTSIDE = "asked on its own segment", "asked beyond the perimeter"


def gaps(*sides: str) -> set[str]:
    """What is said when nobody can be asked from these sides: every family over both protocols."""
    return {f"{p}/{f} to web01, {side}" for side in sides for f in ("IPv4", "IPv6") for p in ("TCP", "UDP")}


def named(plan: Plan) -> set[str]:
    """What a plan names as unproven, without the advice."""
    return {line.partition(": ")[0] for line in plan.unproven}


def test_whole_certificate(nft_world: World) -> None:
    """With a vantage on each side, canaries and a resolver, nothing is left unproven, and every kind has its cells."""
    plan = Operator(nft_world).plan(Isolate())
    assert plan.unproven == ()
    cells = [cell for expect in plan.expects for cell in expect.cells]
    kinds = {(c.role, c.family, c.protocol) for c in cells if c.direction == "in"}
    sides = ("management", "peer", "outside")
    assert kinds == {(side, f, p) for side in sides for f in ("IPv4", "IPv6") for p in ("TCP", "UDP")}
    outwards = {(c.family, c.protocol) for c in cells if c.direction == "out"}
    assert outwards == {("IPv4", "DNS"), *((f, p) for f in ("IPv4", "IPv6") for p in ("TCP", "UDP"))}


def test_nobody_to_ask(nft_world: World) -> None:
    """Every family, side and protocol without a positive control is named, each with what to do about it."""
    plan = Operator(nft_world, Site(addresses=ADDRESSES)).plan(Isolate())
    outwards = {f"{p}/{f} from web01 outwards" for f in ("IPv4", "IPv6") for p in ("TCP", "UDP")}
    assert named(plan) == {*gaps(PEER, OUTSIDE), *outwards, "DNS from web01"}
    assert len(plan.unproven) == 13
    assert all("remedy_" in line for line in plan.unproven)


@pytest.mark.parametrize(
    ("missing", "never", "left"),
    [
        ("attacker", (), gaps(OUTSIDE)),
        ("attacker", ("outside",), set()),
        ("attacker", ("outside/udp",), {gap for gap in gaps(OUTSIDE) if gap.startswith("TCP")}),
        ("web02", ("outside", "peer/tcp"), {gap for gap in gaps(PEER) if gap.startswith("UDP")}),
    ],
)
def test_sides_that_never_reached_it(nft_world: World, missing: str, never: tuple[str, ...], left: set[str]) -> None:
    """A side, or one protocol of it, that the inventory says never reached the host needs no vantage; others do."""
    vantages = tuple(v for v in SITE.vantages if v.name != missing)
    site = replace(SITE, vantages=vantages, unreachable_from=never)
    assert named(Operator(nft_world, site).plan(Isolate())) == left


def test_no_answer_before(nft_world: World) -> None:
    """One family over one protocol that never answered one side is named, and the outcome is not verified."""
    nft_world.target.run("nft add chain inet handmade deaf '{ type filter hook input priority 5; }'")
    nft_world.target.run("nft add rule inet handmade deaf meta nfproto ipv6 iifname out0 tcp dport { 22, 80 } drop")
    operator = Operator(nft_world)
    try:
        plan = operator.plan(Isolate())
        assert named(plan) == {f"TCP/IPv6 to web01, {OUTSIDE}"}
        outcome = operator.carry(plan, Isolate())
        assert (outcome.status, outcome.exit_code) == ("unverified", 22)
        assert operator.undo(plan).exit_code == 0
    finally:
        nft_world.target.run("nft delete chain inet handmade deaf")


def test_silent_vantage_is_named(nft_world: World) -> None:
    """A vantage that cannot be asked is unproven by its name, and planning goes on without it."""
    ghost = Host("ghost")
    ghost.close()
    nft_world.hosts["ghost"] = ghost
    site = replace(SITE, vantages=(*SITE.vantages, Vantage("ghost", "peer")))
    plan = Operator(nft_world, site).plan(Isolate())
    del nft_world.hosts["ghost"]
    assert len(plan.unproven) == 1
    assert plan.unproven[0].startswith("ghost (peer) could not be asked")


def test_vantage_that_has_lost_its_own_way(nft_world: World) -> None:
    """A vantage that sees nobody any more proves nothing by not seeing the target: its part then fails."""
    peer, outside = nft_world.hosts["web02"], nft_world.hosts["attacker"]
    cable(peer, "w0", outside, near=("198.18.6.1/24",), far=("198.18.6.2/24",), end="w0", routed=False)
    near, far = Vantage("web02", "peer", ("198.18.6.1",), (22,)), Vantage("attacker", "outside", ("198.18.6.2",), (22,))
    operator = Operator(nft_world, replace(SITE, vantages=(near, far)))
    try:
        with isolated(operator) as plan:
            peer.run("ip link set w0 down")
            lost = [v for v in operator.engine().verify(plan) if not v.held]
            assert [v.expect.at for v in lost] == ["web02", "attacker"]
            for verdict in lost:
                held = verdict.expect.cell_holds(json.loads(verdict.answer))
                gone = {c.direction for c, good in zip(verdict.expect.cells, held, strict=True) if not good}
                assert gone == {"witness"}
            peer.run("ip link set w0 up")
            assert all(v.held for v in operator.engine().verify(plan))
    finally:
        peer.run("ip link del w0")


def test_client_that_nobody_knows(nft_world: World) -> None:
    """A management address that only the target knows of, or another port of sshd, is named: it may be a lie."""
    nft_world.connection = f"198.18.3.7 50022 {ADDRESSES[0]} 2222"
    lines = Operator(nft_world).plan(Isolate()).unproven
    assert len(lines) == 2
    assert "198.18.3.7, which nobody else knows" in lines[0]
    assert "2222, not 22" in lines[1]
    nft_world.connection = f"198.18.3.7 50022 {ADDRESSES[0]} 22"
    for known in (
        Operator(nft_world, replace(SITE, management=("198.18.3.0/28",))).plan(Isolate()),
        Isolate().plan(
            replace(TARGET, jump=(Target("gate", "198.18.3.7"),)), SITE, nft_world.context(), nft_world.session
        ),
    ):
        assert known.unproven == ()


@contextmanager
def tunnel(world: World, kind: str) -> Iterator[None]:
    """Something around management's packets."""
    make = {
        "tun": "ip tuntap add dev t0 mode tun; ip link set t0 up; ip route add 198.18.9.9/32 dev t0",
        "vxlan": "ip link add t0 type vxlan id 7 dstport 4789 remote 198.18.3.1 dev mgmt0; ip link set t0 up; "
        "ip route add 198.18.9.9/32 dev t0",
        "IPsec": "ip xfrm state allocspi src 198.18.3.11 dst 198.18.3.1 proto esp mode transport reqid 1",
    }
    world.target.run(make[kind])
    try:
        yield
    finally:
        world.target.run("ip xfrm state flush" if kind == "IPsec" else "ip link del t0")


@pytest.mark.parametrize("kind", ["tun", "vxlan", "IPsec"])
def test_management_through_a_tunnel(nft_world: World, kind: str) -> None:
    """Where management's packets travel inside others the host is unfit: rules and timer would both cut it off."""
    with tunnel(nft_world, kind):
        if kind != "IPsec":
            nft_world.connection = f"198.18.9.9 50022 {ADDRESSES[0]} 22"
        with pytest.raises(TargetUnfit, match="through a tunnel that this would cut") as caught:
            Operator(nft_world).plan(Isolate())
    assert ("IPsec" if kind == "IPsec" else "t0") in caught.value.message
    assert "switch port" in caught.value.hint


def test_port_that_opens_and_closes(nft_world: World) -> None:
    """A port that opens between plan and apply does not make the plan stale; it is proven shut like the others."""
    operator = Operator(nft_world)
    plan = operator.plan(Isolate())
    late = nft_world._listen(nft_world.target, 8080)
    outcome = operator.carry(plan, Isolate())
    assert outcome.status == "verified", outcome.doubts
    recorded = replay.read(Journal(operator.pages), "R1").plan
    assert 8080 in {cell.port for expect in recorded.expects for cell in expect.cells}
    assert (recorded.changes, recorded.keep, recorded.guard) == (plan.changes, plan.keep, plan.guard)
    late.close()
    assert operator.undo(recorded).exit_code == 0


#: Programs that an intruder has replaced, by name: what they say.
LIES = {
    "id": "echo 1000",
    "sha256sum": "echo y; echo evil",
    "ip": "printf '2: eth0    inet 198.18.1.999/24 \\\\ x\\n3: e    inet6 ::::::/64 x\\n9: \\033[2J inet\\n'",
}


@contextmanager
def lying(host: Host, program: str) -> Iterator[None]:
    """A host on which a program lies."""
    place = host.run("command -v $1", program).strip()
    host.run(
        f"printf '#!/bin/sh\\n%s\\n' \"$1\" > /run/lie; chmod +x /run/lie; mount --bind /run/lie {place}", LIES[program]
    )
    try:
        yield
    finally:
        host.run(f"umount {place}")


@pytest.mark.parametrize("program", ["id", "sha256sum"])
def test_nonsense_of_one_host_is_its_own(nft_world: World, program: str) -> None:
    """A host that answers nonsense is refused by its own name, and the host planned beside it is not kept waiting."""
    peer = nft_world.hosts["web02"]
    peer.run("mkdir -p /etc/remedy; echo x > /etc/remedy/isolation.nft")
    jobs = [Operator(nft_world).job(Isolate(), "R1"), Operator(nft_world, Site()).job(Isolate(), "R2")]
    jobs[1] = replace(jobs[1], target=Target("web02", "198.18.1.12"))
    with lying(peer, program):
        good, bad = fleet.each(jobs, lambda job: job.plan(nft_world.session))
    assert isinstance(good, Plan)
    assert good.unproven == ()
    assert isinstance(bad, AnswerUnusable)
    assert (bad.where, bad.exit_code) == ("web02", 25)
    peer.run("rm -r /etc/remedy")


def test_vantage_that_lies_about_its_addresses(nft_world: World) -> None:
    """What a vantage gives for its addresses, and is none, neither stops the plan nor opens anything."""
    with lying(nft_world.hosts["web02"], "ip"):
        plan = Operator(nft_world).plan(Isolate())
    assert plan.unproven == ()
    [expect] = [e for e in plan.expects if e.at == "web02"]
    assert "reached" not in expect.wanted
