"""Give a host back: take away exactly what an isolation left there, nothing else.

Decides from the host itself, not from memory: whatever isolation of remedy's is found is removed, rules and boot hook;
what was there is kept in the plan. To cut the host off again is an isolation, with its timer, and no undo. Afterwards
the paths that the certificate had proven closed are asked again: they have to answer as before the isolation.

What devices added is taken back first, exactly as the record says it was, so that a host behind a moved port can be
asked again. A device that does not answer keeps its layer, and says so; a host that does not, likewise: it is released
once more when it does, and counts as isolated until then.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, cast

from remedy.actions import begin
from remedy.actions.containment import beyond, boot, host_layer
from remedy.actions.containment import iptables as by_iptables
from remedy.actions.containment import nft as by_nft
from remedy.actions.containment.deadman import disarming
from remedy.core.canon import canonical
from remedy.core.errors import AnswerUnusable, Refused, Unreachable
from remedy.core.ports import Reader
from remedy.core.values import Cell, Change, Context, Expect, Plan, Probe, Site, Target, wanted
from remedy.probes import deadman, files, host, iptables, nft, reach

_RUN: Final = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Release:
    """Take the isolation of a host away. `cells` are those its certificate had proven closed, from the record.

    `beyond` are the steps of its isolations at devices, from the record, oldest first. `alone`: by the record no
    isolation has touched the host itself, so that it need not answer.
    """

    name: ClassVar[str] = "release"
    cells: tuple[Cell, ...] = ()
    force: bool = False
    beyond: tuple[Change, ...] = ()
    alone: bool = False

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Look for an isolation on the host and at its devices, and say exactly what would be taken away."""
        away = beyond.inverses(self.beyond, reader, force=self.force)
        plan = replace(begin(self, target, context), on_failure="keep")
        try:
            plan = self._of_host(plan, target, reader)
        except (Unreachable, AnswerUnusable) as error:
            if self.alone:
                plan = replace(plan, notes=(f"{target.name} does not answer, and no isolation has touched it itself",))
            else:
                away = away.silent(target.name, error, "release it")
        steps = plan.changes
        plan = replace(
            away.onto(plan),
            keep=away.saves(target.name),
            expects=(
                *away.expects(),
                *(Expect(f"done: {step.why}", step.at, step.seen, step.after) for step in steps if step.seen),
            ),
        )
        if plan.is_noop or "host" in away.stays:
            return plan  # nothing has been closed, or not everything is opened
        if not self.cells:
            short = "the record holds no certificate: nothing to compare with"
            return replace(plan, unproven=(*plan.unproven, short))
        return replace(plan, expects=(*plan.expects, *_reopened(self.cells)))

    def _of_host(self, plan: Plan, target: Target, reader: Reader) -> Plan:
        """The plan with what is to be taken away on the host itself."""
        probes = (
            host.facts(),
            nft.tables(by_nft.INET, by_nft.BRIDGE),
            iptables.chains(),
            files.state(*host_layer.LEFT_BEHIND),
        )
        facts, tables, chains, states = cast("tuple[Any, ...]", reader.ask(probes, at=target.name))
        whose = nft.stamp(tables or chains)
        if (tables or chains) and not whose and not self.force:
            raise Refused(
                f"{target.name} carries an isolation that remedy did not place",
                hint="`nft list table inet remedy_isolation` on the host shows it; --force takes it away all the same",
            )
        # The name comes from the host, and goes into a pattern there: only what can be a run's name is looked for.
        run = whose.get("run", "")
        timer = deadman.state(run)
        ticking = bool(_RUN.fullmatch(run)) and reader.ask([timer], at=target.name)[0] == "armed"
        there = {p: s for p, s in zip(host_layer.LEFT_BEHIND, states, strict=True) if s != "absent:"}
        steps = [
            *([_disarming(target.name, run, timer)] if ticking else []),
            *_hooks(target.name, facts["init"], there),
            *_rules(target.name, tables, chains),
        ]
        owner = f"isolated by incident {whose.get('incident', '?')}, run {whose.get('run', '?')}" if whose else ""
        return replace(
            plan,
            changes=tuple(steps),
            notes=(owner or f"{target.name} is not isolated",),
            facts=canonical({"boot": facts["boot"], "whose": cast("Any", whose)}).decode(),
        )


def _disarming(target: str, run: str, timer: Probe) -> Change:
    """An interrupted run's timer has nothing left to guard."""
    return Change(
        why=f"the dead-man timer of run {run} is ended",
        at=target,
        do=disarming(run),
        seen=timer,
        before=wanted("armed"),
        after=wanted("off"),
    )


def _hooks(target: str, init: str, there: dict[str, str]) -> list[Change]:
    """Take the boot hook away first: a host that goes down in the middle must not come back cut off."""
    if not there:
        return []
    places = tuple(there)
    return [
        Change(
            why=f"no longer come back after a reboot: remove {', '.join(places)}",
            at=target,
            do=boot.removal(places, init),
            seen=files.state(*places),
            before=wanted([*there.values()]),
            after=wanted(["absent:"] * len(places)),
        )
    ]


def _rules(target: str, tables: str, chains: str) -> list[Change]:
    steps = []
    if tables:
        bridge = f"table {by_nft.BRIDGE} " in tables
        steps.append(
            Change(
                why="remedy's nft tables are removed, in one transaction",
                at=target,
                do=by_nft.load(by_nft.deletion(bridge=bridge)),
                seen=nft.tables(by_nft.INET, by_nft.BRIDGE),
                before=wanted(tables),
                after=wanted(""),
            )
        )
    if chains:
        steps.append(
            Change(
                why="remedy's iptables chains are removed, each family in one commit",
                at=target,
                do=by_iptables.clearing(),
                seen=iptables.chains(),
                before=wanted(chains),
                after=wanted(""),
            )
        )
    return steps


def _reopened(cells: tuple[Cell, ...]) -> list[Expect]:
    """What had been proven closed has to answer again, asked from the same places."""
    out = []
    for vantage in dict.fromkeys(cell.vantage for cell in cells):
        theirs = tuple(cell for cell in cells if cell.vantage == vantage)
        probe = reach.reach([(c.protocol.lower(), c.address, c.port) for c in theirs])
        why = f"{vantage} is connected as it was before the isolation"
        out.append(Expect(why, vantage, probe, wanted(["reached"] * len(theirs)), cells=theirs))
    return out


ACTION = Release
