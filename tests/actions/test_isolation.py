"""What an isolation really does to a target, its neighbours and its intruder, by nft and by iptables alone."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from tests.worlds.acting import Operator, isolated
from tests.worlds.real import ADDRESSES, SITE, TARGET, World

from remedy.actions.isolate import Isolate
from remedy.actions.release import Release
from remedy.actions.undo import Undo
from remedy.core.errors import HeldByOther, Refused, TargetUnfit, UsageError
from remedy.engine import inspect
from remedy.engine.job import Event


def reached(world: World, doors: Sequence[tuple[str, int, str]]) -> set[tuple[str, int, str]]:
    """Which of these doors (host, port, address) are open; all are tried at once."""
    with ThreadPoolExecutor(len(doors)) as pool:
        return {
            door for door, is_open in zip(doors, pool.map(lambda d: world.reaches(*d), doors), strict=True) if is_open
        }


def test_who_reaches_whom(world: World) -> None:
    """Isolated: management alone, on sshd's port alone; neighbours and outsiders nothing; all as before afterwards."""
    doors = [
        (name, port, address) for name in world.hosts if name != "web01" for port in (22, 80) for address in ADDRESSES
    ]
    open_to = partial(reached, world, doors)
    assert open_to() == set(doors)
    with isolated(Operator(world)):
        assert open_to() == {("controller", 22, a) for a in ADDRESSES}
        for address in ("127.0.0.1", "::1", *ADDRESSES):
            assert world.reaches("web01", 80, address), "services on the host itself live on"
    assert open_to() == set(doors)


def usable(session: socket.socket) -> bool:
    """Whether the kernel still has the session."""
    try:
        session.sendall(b"uid=0\n")
        session.recv(1)
    except OSError:
        return False
    return True


def test_live_sessions_are_cut(world: World) -> None:
    """An intruder's open session ends with the isolation and does not come back to life on release."""
    theirs = [world.dial("attacker", 80, address) for address in ADDRESSES]
    ours = []
    for one in theirs:
        accepted, peer = world.listeners[1].accept()
        while peer[1] != one.getsockname()[1]:  # what probes have left behind
            accepted.close()
            accepted, peer = world.listeners[1].accept()
        ours.append(accepted)
    world.sockets += ours
    for one, other in zip(theirs, ours, strict=True):
        one.sendall(b"id\n")
        assert other.recv(10) == b"id\n"
    with isolated(Operator(world)):
        for other in ours:
            assert not usable(other)
    for one in theirs:
        one.settimeout(0.3)
        with contextlib.suppress(OSError):
            assert one.recv(10) == b"", "nothing is said over the old session"


def test_other_rules_stay_untouched(world: World) -> None:
    """Every line of the rules that were there is there while the host is isolated."""
    with isolated(Operator(world)):
        now = set(world.snapshot().splitlines())
        assert [line for line in world.start.splitlines() if line not in now] == []


@pytest.mark.parametrize("tool", ["nft", "iptables"])
def test_comes_back_after_a_power_cut(tool: str) -> None:
    """After everything in memory is gone the boot hook alone brings the very same rules back, and release takes all."""
    world = World(tool)
    try:
        operator = Operator(world)
        plan = operator.plan(Isolate())
        operator.carry(plan, Isolate())
        world.target.power_cycle()
        drift = inspect.look(operator.engine(), plan)
        assert drift.holds, drift
        assert operator.act(Release(), "R2").exit_code in {0, 22}
        assert "remedy" not in world.snapshot()
    finally:
        world.close()


def test_recovery_card_verbatim(world: World) -> None:
    """The card's commands, typed on the console one after the other, restore the host byte for byte."""
    operator = Operator(world)
    plan = operator.plan(Isolate())
    operator.carry(plan, Isolate())
    world.target.run("set -e\n" + "\n".join(plan.card))
    assert "remedy-" not in world.target.run("ps -eo args=")
    assert world.snapshot() == world.start


@pytest.mark.parametrize(
    ("tool", "policy", "status"), [("iptables", "management", "rolled-back"), ("nft", "open", "reopened")]
)
def test_timer_fires(tool: str, policy: str, status: str) -> None:
    """Unconfirmed in time, the host by itself opens sshd to all and stays cut off, or opens wholly where asked to."""
    world = World(tool)
    try:
        operator = Operator(world)
        action = Isolate(confirm_seconds=5, on_timeout=policy)
        plan = operator.plan(action)
        engine = operator.engine()

        def lose(event: Event) -> None:
            if event.text == "confirming over a fresh login":
                world.hosts["controller"].run(
                    "ip addr del 198.18.3.1/24 dev eth0; ip addr add 198.18.3.2/24 dev eth0; "
                    "ip -4 route replace default via 198.18.3.11"
                )

        engine.observe = lose
        outcome = operator.carry(plan, action, engine)
        assert (outcome.status, outcome.exit_code) == (status, 23)
        assert world.reaches("attacker", 22), "management reach is restored for everybody"
        stays_cut = status == "rolled-back"
        assert world.reaches("attacker", 80) != stays_cut
        assert "isolation" not in world.target.run("ls /etc /etc/init.d"), "nothing unconfirmed is permanent"
        if stays_cut:
            with pytest.raises(HeldByOther, match="has fired"):
                operator.plan(Isolate(), "R2")
        assert operator.undo(plan).exit_code == 0
        assert world.snapshot() == world.start
    finally:
        world.close()


def test_pinned_dns(nft_world: World) -> None:
    """With DNS pinned the named resolver answers and nobody else's does; closed, none."""

    def asks() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.settimeout(0.3)
            try:
                made.sendto(b"?", ("198.18.0.66", 53))
                return made.recv(10) == b"?"
            except OSError:
                return False

    answered: list[bool] = []
    for dns in ("closed", "pinned"):
        operator = Operator(nft_world)
        action = Isolate(dns=dns)
        plan = operator.plan(action)
        cells = [c for e in plan.expects for c in e.cells if c.protocol == "DNS"]
        assert [c.address for c in cells] == ["198.18.0.66"]
        assert operator.carry(plan, action).status == "verified"
        answered.append(nft_world.target.inside(asks))
        operator.undo(plan)
    assert answered == [False, True]


REFUSALS: dict[str, tuple[Callable[[World], object], type[Refused], str]] = {
    "by hand": (
        lambda w: w.target.run("nft add table inet remedy_isolation"),
        HeldByOther,
        "remedy did not place",
    ),
    "leftovers": (
        lambda w: w.target.run("mkdir -p /etc/remedy; : > /etc/remedy/isolation.nft"),
        TargetUnfit,
        "without its rules: /etc/remedy/isolation.nft",
    ),
    "no filter": (
        lambda w: w.target.run("for t in nft iptables-restore; do mount --bind /dev/null $(command -v $t); done"),
        TargetUnfit,
        "neither nft nor iptables",
    ),
    "too old": (
        lambda w: w.target.run(
            'cp $(command -v nft) /run/nft.real; printf \'#!/bin/sh\\ncase "$*" in *-f*) cat >/dev/null; '
            'echo "/dev/stdin:1:1-6: Error: syntax error, unexpected create" >&2; exit 1;; esac; '
            'exec /run/nft.real "$@"\\n\' > /run/nft; chmod +x /run/nft; mount --bind /run/nft $(command -v nft); '
            "mount --bind /dev/null $(command -v iptables-restore)"
        ),
        TargetUnfit,
        "syntax error, unexpected create",
    ),
}


@pytest.mark.parametrize("why", REFUSALS)
def test_refused_before_anything_is_changed(why: str) -> None:
    """A host that is held, unfit or left in disorder is refused with the reason, and is as it was."""
    spoil, kind, said = REFUSALS[why]
    world = World()
    try:
        spoil(world)
        before = world.snapshot()
        with pytest.raises(kind, match=said) as caught:
            Operator(world).plan(Isolate())
        assert caught.value.exit_code == 25
        assert caught.value.hint
        assert world.snapshot() == before
    finally:
        world.close()


def test_held_by_another_incident(world: World) -> None:
    """A host isolated under another incident is refused with the owner's name, and stays isolated."""
    with isolated(Operator(world)):
        before = world.snapshot()
        other = replace(world.context("R2"), incident="INC-2")
        with pytest.raises(HeldByOther, match="incident INC-1, run R1"):
            Isolate().plan(TARGET, SITE, other, world.session)
        assert world.snapshot() == before


def test_release_leaves_strangers_alone(nft_world: World) -> None:
    """A table of remedy's name that remedy did not place is released only by force."""
    operator = Operator(nft_world)
    nft_world.target.run("nft add table inet remedy_isolation")
    with pytest.raises(Refused, match="did not place"):
        operator.plan(Release())
    assert operator.act(Release(force=True)).exit_code == 22, "there is no certificate to compare with"
    assert nft_world.snapshot() == nft_world.start


def test_release_of_a_free_host(world: World) -> None:
    """There is nothing to release on a host that is not isolated."""
    plan = Operator(world).plan(Release())
    assert plan.is_noop
    assert plan.notes == ("web01 is not isolated",)


def test_undo_refuses_what_somebody_changed(world: World) -> None:
    """Undo leaves rules that somebody has changed since alone, unless forced."""
    operator = Operator(world)
    plan = operator.plan(Isolate())
    operator.carry(plan, Isolate())
    if world.tool == "nft":
        world.target.run("nft add rule inet remedy_isolation input tcp dport 81 accept")
    else:
        world.target.run("iptables -t mangle -A REMEDY_IN -p tcp --dport 81 -j RETURN")
    with pytest.raises(Refused, match="somebody else has changed"):
        operator.plan(Undo(plan), "U1")
    assert operator.act(Undo(plan, force=True), "U2").exit_code == 0
    assert world.snapshot() == world.start


def test_own_machine_is_never_isolated(nft_world: World) -> None:
    """A target that is dialled at one of the controller's own addresses is refused, whatever the inventory calls it.

    An address that both merely bear, as bridges of containers do, is no reason.
    """
    for address in ("198.18.3.1", "2001:db8:0:3::1", "127.0.0.1", "localhost"):
        with pytest.raises(Refused, match="this very machine"):
            Isolate().plan(replace(TARGET, address=address), SITE, nft_world.context(), nft_world.session)
    both = [(nft_world.target, "seg0"), (nft_world.hosts["controller"], "eth0")]
    for host, device in both:
        host.run(f"ip addr add 198.18.77.1/32 dev {device}")
    try:
        assert not Operator(nft_world).plan(Isolate()).is_noop
    finally:
        for host, device in both:
            host.run(f"ip addr del 198.18.77.1/32 dev {device}")


def test_management_that_would_let_strangers_in(nft_world: World) -> None:
    """A management prefix that is too wide, or that holds a canary beyond the perimeter, is refused."""
    for management, said in ((("198.18.0.0/15",), "too wide"), (("198.18.0.0/24",), "outside the perimeter")):
        with pytest.raises(Refused, match=said):
            Operator(nft_world, replace(SITE, management=management)).plan(Isolate())


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (Isolate(layers=("moon",)), "no layer 'moon'"),
        (Isolate(confirm_seconds=4), "5 to 3600 seconds"),
        (Isolate(confirm_seconds=3601), "5 to 3600 seconds"),
    ],
)
def test_options_out_of_range(nft_world: World, action: Isolate, said: str) -> None:
    """An option that cannot be is a usage error before any host is asked."""
    with pytest.raises(UsageError, match=said):
        Operator(nft_world).plan(action)
