"""Restores that need an isolated server first: point in time by binary logs, and physical backups.

Decides which binary logs are read and where they are taken from: the folder that the inventory names on the database
host first, then the copies. The server is kept for the restore, which loads from it, and removed with it; when the
restore does not happen it is removed here. Leaves to others: where to stop in the logs (`backups.binlog`), the server
(`actions.prove`), the restore (`actions.restore`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from remedy.actions.prove import Prove
from remedy.actions.recovery.instance import BASE, Instance
from remedy.actions.restore import Restore, structure_of
from remedy.actions.undo import Undo
from remedy.backups import binlog, containers, formats
from remedy.backups.binlog import Stretch, Until
from remedy.backups.ports import Damaged
from remedy.backups.transfers import Staged
from remedy.backups.values import Contents, Copy, Database, Facts, File, Finding, Judgement
from remedy.cli import document
from remedy.cli.act import Acting, stopping
from remedy.cli.choice import stamp
from remedy.cli.screen import Screen
from remedy.cli.world import World
from remedy.core.canon import decode
from remedy.core.errors import Refused, RemedyError, UsageError
from remedy.core.values import Plan, Site
from remedy.engine import proof
from remedy.engine.job import Job, Ticket
from remedy.engine.outcome import Outcome
from remedy.engine.search import Choice, Listing
from remedy.probes import database as asked

_PLACE: Final = re.compile(r"[^:\s]+\.[0-9]{6,10}:[0-9]{1,20}")
_SHOWN: Final = 8
#: A log that is written to while it is read is listed and read again so often.
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Point:
    """Where to stop: at a moment (seconds since 1970 UTC), or before a statement or place; all empty is no point."""

    at: int = 0
    before: str = ""

    def until(self) -> Until:
        """As the logs are searched."""
        if _PLACE.fullmatch(self.before):
            return Until(place=self.before)
        return Until(at=0 if self.before else self.at, statement=binlog.literal(self.before) if self.before else "")

    def reached(self, stretch: Stretch) -> int:
        """Up to when the logs give back what was written, in seconds since 1970 UTC.

        That is the point where it has a time; else when the last transaction before it began.
        """
        if stretch.hits:
            return max(stretch.last, stretch.hits[0].time)
        met = stretch.stop and not any(one.code == "cut" for one in stretch.findings)
        return self.at if met and self.at and not self.before else stretch.last


@dataclass(slots=True)
class Staging:
    """The isolated server of one restore."""

    world: World
    screen: Screen
    database: Database
    incident: str
    run: str = ""
    _plan: Plan | None = None

    def stretch(self, found: Listing, facts: Facts, point: Point) -> tuple[Stretch, Copy] | None:
        """The logs that follow on the backup up to the point, and the copy they are in; None when none were asked for.

        Raises Refused when they cannot be applied, with what is in the way, Unreachable.
        """
        said: list[str] = []
        missed = False
        for copy, listed in self._places(found):
            try:
                files = listed()
            except RemedyError as error:
                said.append(f"{copy.name}: {error}")
                continue
            chained, findings = binlog.chain(files, facts)
            if not chained:
                said += [f"{copy.name}: {one.text}" for one in findings]
                continue
            try:
                stretch = self._searched(copy, chained, facts, point)
            except (Damaged, RemedyError) as error:
                said.append(f"{copy.name}: {error}")
                continue
            if against := _against(stretch, findings):
                missed |= any(one.code == "not-found" for one in against)
                said += [f"{copy.name}: {one.text}" for one in against]
                continue
            self._refuse_several(stretch, point)
            for one in (*findings, *stretch.findings):
                self.screen.say(f"  binary logs in {copy.name}: {one.text}", "yellow")
            logs = f"{len(stretch.files)} binary logs of {copy.name}"
            self.screen.say(
                f"  {stretch.transactions} transactions from {logs} follow on it, the last of {stamp(stretch.last)}"
            )
            return stretch, copy
        hint = "`binlogs` in the inventory says where they are; --at with --no-binlogs restores a backup alone"
        if missed:
            hint = f"a backup made after it does not lead there: --at TIME takes one from before; {hint}"
        raise Refused(
            f"the binary logs do not lead from the backup to that point: {'; '.join(said) or 'there are none'}",
            where=self.database.name,
            hint=hint,
        )

    def _places(self, found: Listing) -> Iterator[tuple[Copy, Callable[[], tuple[File, ...]]]]:
        """Where logs lie, nearest first, and what lists them: a place that does not answer leaves the others."""
        if self.database.binlogs:
            copy = Copy("binary-logs", host=self.database.host, path=self.database.binlogs, growing=True)
            yield copy, self.world.copies.shelf(copy).list
        for name, sets in found.logs.items():
            for one in sets:
                yield found.copy(name), functools.partial(tuple, one.files)

    def _searched(self, copy: Copy, files: tuple[File, ...], facts: Facts, point: Point) -> Stretch:
        """Read the logs; a file that is still written to is taken as it is a moment later."""
        for attempt in range(_TRIES):
            try:
                return self._read(copy, files, facts, point)
            except Damaged as error:
                if error.code != "changed" or attempt == _TRIES - 1:
                    raise
                now = {file.name: file for file in self.world.copies.shelf(copy).list()}
                files = tuple(now.get(file.name, file) for file in files)
        raise AssertionError("the last attempt has returned or raised")

    def _read(self, copy: Copy, files: tuple[File, ...], facts: Facts, point: Point) -> Stretch:
        search = binlog.Search(files, facts, point.until(), self.database.schema)
        shelf = self.world.copies.shelf(copy)
        for file in files:
            search.begin(file)
            with shelf.read(file) as chunks:
                for chunk in containers.opened(chunks)[2]:
                    search.feed(chunk)
            search.end()
        return search.close()

    def _refuse_several(self, stretch: Stretch, point: Point) -> None:
        """A statement that was found more than once does not say where to stop."""
        if len(stretch.hits) < 2 or _PLACE.fullmatch(point.before):  # noqa: PLR2004 -- several
            return
        found = "; ".join(f"{one.file}:{one.position} at {stamp(one.time)}" for one in stretch.hits[:_SHOWN])
        raise UsageError(
            f"{len(stretch.hits)} transactions have that statement: {found}",
            hint="say which with --before FILE:POSITION",
        )

    def needed(self, choice: Choice, stretch: Stretch | None) -> bool:
        """Whether the chosen backup has to go through an isolated server."""
        return stretch is not None or (
            choice.backup is not None and formats.named(choice.backup.format).kind == "physical"
        )

    def through(
        self, acting: Acting, action: Restore, choice: Choice, logs: tuple[Stretch, Copy] | None
    ) -> Restore | None:
        """Stage the backup in an isolated server, and return the restore that loads from there.

        None when it could not be staged; the outcome is then the last of `acting`, and nothing is left. Raises
        ApprovalNeeded and what planning raises.
        """
        if choice.backup is None or choice.judgement is None or choice.copy is None:
            raise AssertionError("the caller has looked")
        at = self.database.staging or self.database.host
        judgement: Judgement = choice.judgement
        prove = Prove(
            self.database,
            choice.copy,
            choice.backup,
            judgement,
            stretch=logs[0] if logs else None,
            logs_copy=logs[1] if logs else None,
            keep=True,
        )
        context = self.world.context(self.incident)
        job = Job(prove, self.world.target(at), Site(), context)
        engine = self.world.engine()

        def approve(plan: Plan) -> Ticket:
            if not (self.world.options.json or self.world.options.jsonl):
                self.screen.plan(plan)
            acting.confirm([plan])
            self._plan, self.run = plan, plan.run
            return engine.approve(plan, self.world.actor, self.world.login(plan.target))

        with stopping(engine, self.screen, [context.run]):
            outcome = engine.at_once(job, approve)
        if outcome.status != "verified":
            self.removed()
            acting.outcomes.append(outcome)
            acting.documents.append(document.of_outcome(outcome, self.world.record.head()[1]))
            return None
        return self._loading(action, Instance(at, context.run, BASE), proof.results(self.world.record, context.run))

    def _loading(self, action: Restore, one: Instance, results: dict[str, Any]) -> Restore:
        """The restore that loads from the server, with what its survey found and the text of its definitions."""
        surveyed = [
            result["contents"] for result in results.values() if isinstance(result, dict) and "contents" in result
        ]
        contents = decode(Contents, surveyed[-1])
        text = self.world.reader.ask([asked.structure(one.own, self.database.schema)], at=one.at)[0]
        texts = {(o.kind, o.name): o for o in structure_of(cast("str", text), self.database.schema)}
        objects = tuple(texts.get((o.kind, o.name), o) for o in contents.objects)
        return replace(
            action,
            contents=replace(contents, objects=objects),
            staged=Staged(one.at, one.own, one.socket),
            instance=one.run,
        )

    def removed(self) -> None:
        """Take the server away when no restore did; what cannot be removed goes by itself after some hours."""
        if self._plan is None:
            return
        engine = self.world.engine()
        at = self._plan.target
        job = Job(Undo(self._plan), self.world.target(at), Site(), self.world.context(self.incident))
        try:
            outcome: Outcome = engine.at_once(
                job, lambda plan: engine.approve(plan, self.world.actor, self.world.login(plan.target))
            )
        except RemedyError as error:
            self.screen.error(at, error)
            return
        if outcome.exit_code:
            self.screen.say(f"the isolated server on {at} is not gone: remedy undo {self._plan.run}", "yellow")


def _against(stretch: Stretch, findings: Sequence[Finding]) -> list[Finding]:
    """What keeps the logs from being applied up to the point; `findings` are those of their names.

    A log that is missing does not matter to a point before it. To one that was not reached it does, and is said first:
    it is why.
    """
    gaps = [one for one in findings if one.code == "gap" and not one.fatal]
    fatal = [one for one in (*findings, *stretch.findings) if one.fatal]
    reached = stretch.stop and not any(one.code == "cut" for one in stretch.findings)
    if not gaps or (reached and not fatal):
        return fatal
    ends = Finding("ends", f"what there is goes to {stamp(stretch.last)}, and --at can go there")
    return [*gaps, *fatal, *([ends] if stretch.last else [])]


def acting_failed(acting: Acting) -> bool:
    """Whether the last attempt of a command left the staged server behind."""
    last = acting.outcomes[-1] if acting.outcomes else None
    return not isinstance(last, Outcome) or last.status not in {"verified", "unverified"}
