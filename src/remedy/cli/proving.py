"""Restoring a backup for proof from within a search or a check: one run of the engine, and the verdict that follows.

Decides that the plan is shown and approved as any other, and where it is carried out: on the database's staging host.
Leaves to others: the plan (`actions.prove`), what its end says of the backup (`engine.proof`).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from remedy.backups.values import Backup, Copy, Database, Judgement
from remedy.cli.act import Acting, stopping
from remedy.cli.screen import Screen
from remedy.cli.world import World
from remedy.core.errors import ApprovalNeeded
from remedy.core.ports import Tell
from remedy.core.values import Plan, Site
from remedy.engine import proof
from remedy.engine.job import Job, Ticket


@dataclass(slots=True)
class Proving:
    """Proves backups of one database. Implements engine.search.Prove."""

    world: World
    screen: Screen
    database: Database

    def __call__(self, copy: Copy, backup: Backup, judgement: Judgement, tell: Tell) -> Judgement:  # noqa: ARG002 -- the engine tells
        """Carry it out. Raises ApprovalNeeded, Partial when the staging host failed, and what planning raises."""
        from remedy.actions.prove import Prove  # noqa: PLC0415 -- lazily, with all below it

        options = self.world.options
        acting = Acting("backup check", self.world, self.screen)
        self.world.observe = acting.observe
        engine = self.world.engine()
        host = self.database.staging or self.database.host
        action = Prove(self.database, copy, backup, judgement)
        job = Job(action, self.world.target(host), Site(), self.world.context(self.world.under()))

        def approve(plan: Plan) -> Ticket:
            if not (options.json or options.jsonl):
                self.screen.plan(plan)
            if not options.yes:
                self._ask(plan)
            return engine.approve(plan, self.world.actor, self.world.login(plan.target))

        begun = time.monotonic()
        with stopping(engine, self.screen, [job.context.run]):
            outcome = engine.at_once(job, approve)
        self.world.record.checkpoint()
        found = proof.results(self.world.record, job.context.run)
        spent = round(time.monotonic() - begun)
        return proof.judged(judgement, outcome, found, now=int(time.time()), seconds=spent)

    def _ask(self, plan: Plan) -> None:
        if not sys.stdin.isatty() or self.world.options.json or self.world.options.jsonl:
            raise ApprovalNeeded(
                f"restoring for proof works on {plan.target}, and there is no terminal to ask at",
                hint="--yes approves it; nothing of the live data is touched",
            )
        if not self.screen.ask(f"Restore it for proof on {plan.target}?"):
            raise ApprovalNeeded(f"the plan for {plan.target} was not approved", hint="nothing was changed")
