"""The contract of every registered action, on a real target with real packet filters; new actions are picked up.

Re-plans are equal, a second time does nothing, undo returns the world to its start or is refused, every expectation
fails when the world is broken on purpose, and a process killed at any moment leaves what can be ended well.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.worlds.acting import SCENES, Operator
from tests.worlds.memory import Journal, Life
from tests.worlds.real import SITE, World

from remedy import actions
from remedy.actions.isolate import Isolate
from remedy.core.canon import decode, encode
from remedy.core.errors import Refused
from remedy.core.values import Plan, Site, Vantage
from remedy.engine import replay

#: Actions on databases keep the same contract on a real server: test_database_contract, test_prove, test_rebuild, and
#: the transfers' own tests for the one that only takes a backup.
DATABASES = {"backup", "discard", "prove", "rebuild", "restore"}
#: Actions on network devices keep it on the lab's devices: test_blocking, test_push, test_device_configuration.
DEVICES = {"block", "unblock", "prepare", "push", "device-restore"}
ACTIONS = sorted(set(actions.registered()) - DATABASES - DEVICES)
#: Proof enough for a sweep over many moments: one vantage, one port of each family.
SMALL = replace(
    SITE, vantages=(Vantage("web02", "peer"),), probe_tcp=(22,), probe_udp=(4444,), canaries=(), canary_udp=()
)


def begin(world: World, name: str, site: Site = SITE) -> tuple[Operator, actions.Action, str]:
    """Prepare the world for an action; who acts, the action, and the world before it."""
    operator = Operator(world, site)
    prepared = SCENES[name].prepare(operator)
    return operator, SCENES[name].action(prepared), world.snapshot()


def back(world: World, operator: Operator) -> None:
    """Whatever there is of isolations, take it away."""
    world.session.close()
    assert operator.act(actions.registered()["release"](), "R99").exit_code in {0, 22}
    assert world.snapshot() == world.start


def test_every_action_is_covered() -> None:
    """An action without a scene here is an action without a contract."""
    assert set(ACTIONS) == set(SCENES)
    assert set(actions.registered()) >= DATABASES | DEVICES


@pytest.mark.parametrize("name", ACTIONS)
def test_plans_are_equal_and_keep_their_hash(world: World, name: str) -> None:
    """Planning twice gives the same plan, and the plan survives being written to a file and read again."""
    operator, action, before = begin(world, name)
    first, second = operator.plan(action), operator.plan(action)
    assert first == second
    assert not first.is_noop
    again = decode(Plan, json.loads(json.dumps(encode(first))))
    assert (again, again.hash) == (first, first.hash)
    rebuilt = actions.build(first.action, first.params)
    assert rebuilt == action
    assert world.snapshot() == before, "planning changes nothing"
    back(world, operator)


@pytest.mark.parametrize("name", ACTIONS)
def test_applied_then_nothing_to_do_then_undone(world: World, name: str) -> None:
    """It verifies; a second time it changes nothing; undone, the target is byte for byte what it was.

    A way back has no way back of its own, which would cut the host off without a timer: that is refused with the hint.
    """
    operator, action, before = begin(world, name)
    plan = operator.plan(action)
    outcome = operator.carry(plan, action)
    assert outcome.status == "verified", outcome.doubts
    after = world.snapshot()
    assert after != before
    again = operator.plan(Isolate(proven=plan.expects) if name == "isolate" else action, "R2")
    assert again.is_noop
    if name != "isolate":
        assert operator.carry(again, action).exit_code == 0
    assert world.snapshot() == after
    if name == "isolate":
        assert operator.undo(plan).exit_code == 0
        assert world.snapshot() == before
    else:
        with pytest.raises(Refused, match=rf"was itself a way back \({name}\)") as caught:
            operator.undo(plan)
        assert (caught.value.exit_code, caught.value.hint) == (25, "remedy isolate web01")
        assert world.snapshot() == after == world.start
    back(world, operator)


def load(world: World, plan: Plan) -> None:
    """Load the rules of an isolation as they were, in place of whatever is there."""
    do = plan.changes[0].again
    assert do
    world.target.run('i=$1; shift; printf %s "$i" | "$@"', do.stdin, *do.argv)


def breakages(world: World, plan: Plan, isolation: Plan) -> dict[str, Callable[[], None]]:
    """Ways to spoil what an action has done, by name."""
    nft = world.tool == "nft"

    def rule(text4: str, legacy: str) -> Callable[[], None]:
        both = f"iptables -t mangle -I {legacy}; ip6tables -t mangle -I {legacy}"
        return lambda: void(world.target.run(f"nft insert rule inet remedy_isolation {text4}" if nft else both))

    def void(_: object) -> None:
        """Nothing."""

    def everything() -> None:
        load(world, isolation)

    def removed() -> None:
        remove = isolation.changes[0].undo
        assert remove
        world.target.run('i=$1; shift; printf %s "$i" | "$@"', remove.stdin, *remove.argv)

    def flow() -> None:
        removed()
        world.dial("web02", 80)
        load(world, isolation)

    def hook() -> None:
        world.target.run("mkdir -p /etc/remedy; echo other > $1", rules_path)

    def loopback() -> None:
        world.target.run("iptables-legacy -I INPUT -i lo -p tcp --dport 80 -j DROP")

    seen = isolation.keep[0].seen
    assert seen
    rules_path = seen.command.argv[4]
    if plan.action != "isolate":
        return {"isolated again": everything, "hook put back": hook}
    return {
        "rules removed": removed,
        "a rule added": rule("input tcp dport 80 accept", "REMEDY_IN 1 -p tcp --dport 80 -j RETURN"),
        "hook spoilt": hook,
        "a live flow": flow,
        "loopback cut": loopback,
    }


def repair(world: World, isolation: Plan, *, isolated: bool) -> None:
    """After a breakage: as the action left it."""
    world.target.run("iptables-legacy -D INPUT -i lo -p tcp --dport 80 -j DROP 2>/dev/null || :")
    load(world, isolation)
    world.target.run("ss -H -K -t state connected dst 198.18.1.12 >/dev/null; :")
    do, undo = isolation.keep[0].do, isolation.keep[0].undo
    assert undo
    world.target.run('"$@"', *(do if isolated else undo).argv)
    if not isolated and isolation.changes[0].undo:
        remove = isolation.changes[0].undo
        world.target.run('i=$1; shift; printf %s "$i" | "$@"', remove.stdin, *remove.argv)


@pytest.mark.parametrize("name", ACTIONS)
def test_every_expectation_fails_when_the_world_is_broken(world: World, name: str) -> None:
    """No expectation is a formality: each one fails under at least one breakage, and all hold before and after it."""
    operator = Operator(world)
    prepared = SCENES[name].prepare(operator)
    action = SCENES[name].action(prepared)
    plan = operator.plan(action)
    assert operator.carry(plan, action).status == "verified"
    engine = operator.engine()
    failed: dict[str, set[str]] = {}
    for breakage, spoil in breakages(world, plan, prepared or plan).items():
        spoil()
        failed[breakage] = {v.expect.why for v in engine.verify(plan) if not v.held}
        repair(world, prepared or plan, isolated=prepared is None)
    assert [v for v in engine.verify(plan) if not v.held] == []
    assert all(failed.values()), failed
    assert set().union(*failed.values()) == {expect.why for expect in plan.expects}, failed
    back(world, operator)


def test_one_leak_is_one_failed_cell(nft_world: World) -> None:
    """A path opened for one host alone is found by that host's cells and named, the others stay proven."""
    operator, action, _ = begin(nft_world, "isolate")
    plan = operator.plan(action)
    operator.carry(plan, action)
    for chain, word in (("input", "saddr"), ("output", "daddr"), ("postrouting", "daddr")):
        nft_world.target.run(f"nft insert rule inet remedy_isolation {chain} ip {word} 198.18.1.12 accept")
    verdicts = operator.engine().verify(plan)
    lost = [v for v in verdicts if not v.held and v.expect.cells]
    assert [v.expect.at for v in lost] == ["web02"]
    held = lost[0].expect.cell_holds(json.loads(lost[0].answer))
    leaks = {f"{c.family} {c.protocol}" for c, good in zip(lost[0].expect.cells, held, strict=True) if not good}
    assert leaks == {"IPv4 TCP", "IPv4 UDP"}
    load(nft_world, plan)
    back(nft_world, operator)


def killed_at(life: Life) -> list[int]:
    """The deeds just before and just after each change on the target."""
    return sorted({at for change in life.changes for at in (change - 1, change)})


def test_isolation_killed_at_any_moment(world: World) -> None:
    """Killed around any change, `resume` ends the run and `undo` then takes it back; by nft `undo` alone does as well.

    The engine's own tests go through the deeds between, and through both ways at each: there the host is the same.
    """
    operator, action, before = begin(world, "isolate", SMALL)
    plan = operator.plan(action, "COUNT")
    life = operator.killed(plan, None)
    operator.undo(plan, "UCOUNT")
    assert world.snapshot() == before
    plan = operator.plan(action, "R1")
    deaths = killed_at(life)
    assert len(deaths) >= 2 * len(plan.changes)
    for moment in deaths:
        for resumed in (True, False) if world.tool == "nft" else (True,):
            where = f"killed after deed {moment}, {'resumed' if resumed else 'undone at once'}"
            operator.pages.entries.clear()
            operator.pages.leases.clear()
            operator.killed(plan, moment)
            kinds = [entry.kind for entry in operator.pages.entries]
            begun = "approval" in kinds
            if resumed:
                operator.resume()
                ends = Journal(operator.pages).outcomes("R1")
                assert ends == (["unverified"] if begun else []), where
                assert (world.snapshot() != before) == begun, where
            if "plan" in kinds:
                made = replay.read(operator.engine().journal, "R1").plan
                assert operator.undo(made, f"U{moment}").exit_code == 0, where
            assert world.snapshot() == before, where
            assert operator.resume() == [], "what was undone is not resumed"
    back(world, operator)


@pytest.mark.parametrize("name", [name for name in ACTIONS if name != "isolate"])
def test_way_back_killed_at_any_moment(nft_world: World, name: str) -> None:
    """Killed around any change, `resume` ends a way back at the start, and so does going the way anew."""
    world = nft_world
    operator = Operator(world, SMALL)
    isolation = SCENES[name].prepare(operator)
    assert isolation
    action, before = SCENES[name].action(isolation), world.snapshot()
    plan = operator.plan(action)

    def isolated_again() -> None:
        load(world, isolation)
        world.target.run('"$@"', *isolation.keep[0].do.argv)
        assert world.snapshot() == before

    life = operator.killed(plan, None)
    assert world.snapshot() == world.start
    assert len(killed_at(life)) >= 2 * len(plan.changes)
    for moment in killed_at(life):
        for resumed in (True, False):
            isolated_again()
            operator.pages.entries.clear()
            operator.pages.leases.clear()
            operator.killed(plan, moment)
            if resumed:
                [outcome] = operator.resume()
                assert outcome.exit_code in {0, 22}, outcome.doubts
            else:
                assert operator.act(action, "R2").exit_code in {0, 22}
            assert world.snapshot() == world.start, f"{name} killed after deed {moment}, {resumed=}"
    back(world, operator)
