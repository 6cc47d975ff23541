"""`remedy restore`: the newest valid backup, staged, compared and swapped in."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from remedy.cli import document
from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.backup import complete
from remedy.cli.options import acting, common
from remedy.cli.world import world
from remedy.core.canon import Json
from remedy.core.errors import Partial, RecordUnavailable, RemedyError, TargetUnfit, UsageError

if TYPE_CHECKING:
    from remedy.actions.restore import Restore
    from remedy.backups.binlog import Stretch
    from remedy.backups.values import Copy, Judgement
    from remedy.cli.point import Staging
    from remedy.cli.world import World
    from remedy.engine.job import Job
    from remedy.engine.search import Choice, Judging

#: After so many backups that could not be restored a person should look.
_ATTEMPTS: Final = 5
#: A date and a time without seconds, as people write them.
_MINUTES: Final = re.compile(r"^(\d{4}-\d{1,2}-\d{1,2}[T ] *\d{1,2}:\d{2})(?![:\d])")


@click.command(
    "restore",
    epilog="""\b
Examples:
  remedy restore site --latest-valid --dry-run       which backup, why, and each step; changes nothing
  remedy restore site --latest-valid                 restore it after you said yes
  remedy restore site --latest-valid --at '2026-11-19 18:00 +08:00'
  remedy restore site --latest-valid --before 'DROP TABLE orders'    with binary logs
  remedy restore site --latest-valid --from off-site
  remedy undo R7f3a9c21                              the data before is live again
  remedy release site                                drop the data before, for good
""",
)
@click.argument("database", required=False, default="", metavar="[DATABASE]", shell_complete=complete)
@click.option("--latest-valid", is_flag=True, required=True, help="The newest backup that is valid, whatever its copy.")
@click.option("--from", "copy", metavar="COPY", default="", help="Only backups of this copy.")
@click.option("--at", metavar="TIME", default="", help="The state at that moment ('2026-11-19 18:00'; UTC).")
@click.option(
    "--before", metavar="STATEMENT", default="", help="Apply binary logs up to just before it (or FILE:POSITION)."
)
@click.option("--no-binlogs", is_flag=True, help="With --at: the backup alone, without the binary logs after it.")
@click.option("--accept", metavar="CODE", multiple=True, help="Take a backup in spite of this finding; repeatable.")
@click.option("--hold-writes", is_flag=True, help="Stop the database's units (inventory) around the cut-over.")
@click.option("--clients", type=click.IntRange(1, 16), default=2, show_default=True, help="Clients that load at once.")
@click.option("--no-check", is_flag=True, help="With --dry-run: read no backup; only what is known already counts.")
@click.option("--safety-copy", metavar="COPY", default="", help="Where the present data goes first; the nearest copy.")
@click.option("--no-safety-backup", metavar="REASON", default="", help="Do not back the present data up first.")
@acting
@click.pass_context
def command(ctx: click.Context, /, database: str, latest_valid: bool, **given: Any) -> int:  # noqa: ANN401, ARG001, FBT001 -- click's
    """Restore a database from its newest valid backup, and lose nothing on the way.

    The present data is backed up first. The backup is loaded beside it while production runs, dumped again and compared
    with what the backup holds; then one rename makes it live within a second. The data before stays as <db>__undo until
    `remedy release`. A backup that does not restore is passed over for the next one, across all copies.
    """
    own = {
        name: given.pop(name)
        for name in ("copy", "at", "accept", "hold_writes", "clients", "no_check", "before", "no_binlogs")
    }
    own |= {name: given.pop(name) for name in ("safety_copy", "no_safety_backup")}
    options = common(ctx, given)
    if own["no_check"] and not options.dry_run:
        raise UsageError("--no-check is for --dry-run: nothing is restored unread", hint="leave it out")
    with world(options) as around:
        return _Restoring(around, database, own).run()


class _Restoring:
    """One `remedy restore`: the search, then attempts until one is restored or none is left."""

    def __init__(self, around: World, name: str, own: dict[str, Any]) -> None:
        """Nothing is asked yet."""
        self.around = around
        self.own = own
        self.database = around.database(name)
        self._check()
        self.at = self._at()
        self.incident = around.incident(f"restore {self.database.name}")
        self.screen = screen_of(around.options, around)
        #: Up to when binary logs give back what was written, in seconds since 1970 UTC; 0 without any.
        self.reached = 0
        self.acting = Acting("restore", around, self.screen, emits=False)
        around.observe = self.acting.observe

    def run(self) -> int:
        """Search, show, restore, and end with one document. Raises UsageError; what else goes wrong is told here."""
        try:
            code = self._attempts()
        except UsageError:
            raise
        except RemedyError as error:
            code = self._refused(error)
        self.acting.emits = True
        return self.acting.end(self.incident, code)

    def _attempts(self) -> int:
        """Take the newest valid backup; when it does not restore, the next. Raises NoValidBackup, what asking does."""
        from remedy.cli import choice as chosen  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import search  # noqa: PLC0415

        judging, code = self._judging(), 0
        for _ in range(_ATTEMPTS):
            choice = search.newest_valid(
                judging,
                live=self.live,
                at=self.at,
                accepted=self.own["accept"],
                reading=not self.own["no_check"],
                zone=self.zone,
                assemble=True,
            )
            if not (self.around.options.json or self.around.options.jsonl):
                chosen.show(self.screen, choice, time.time())
            self.acting.extra = {"choice": chosen.document(choice)}
            if choice.backup is None:
                codes = chosen.acceptable(judging, self.live, self.own["accept"])
                raise search.none_valid(choice, codes, reading=not self.own["no_check"])
            code = self._attempt(judging, choice)
            if not self._passed_over(judging, choice):
                break
        return code

    def _check(self) -> None:
        """Raise UsageError for the name of a copy that there is not, before anything is begun."""
        from remedy.engine.search import copy_of  # noqa: PLC0415 -- lazily, with all below it

        if self.own["before"] and self.own["no_binlogs"]:
            raise UsageError("--before is found in binary logs", hint="leave --no-binlogs out")
        for name in (self.own["copy"], self.own["safety_copy"]):
            if name:
                copy_of(self.database, name)

    def _at(self) -> int:
        """The time of --at in seconds since 1970, 0 for none. Raises UsageError."""
        from remedy.backups import times  # noqa: PLC0415 -- lazily

        text = _MINUTES.sub(r"\1:00", self.own["at"].strip())
        at = times.local_time(text, "UTC") if text else 0
        if text and not at:
            raise UsageError(f"--at {self.own['at']!r} is no time", hint="write it as '2026-11-19 18:00'")
        return at

    def _refused(self, error: RemedyError) -> int:
        """Show and record why nothing more is done; the exit code."""
        self.screen.error(self.database.name, error)
        self.acting.documents.append(document.of_error(self.database.host, error))
        body: dict[str, Json] = {"action": "restore", "target": self.database.host, "kind": type(error).__name__}
        body |= {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        try:
            self.around.record.append("refusal", body, incident=self.incident)
        except RecordUnavailable as lost:
            self.screen.error("record", lost)
        return error.exit_code

    def _judging(self) -> Judging:
        from remedy.engine import search, surroundings  # noqa: PLC0415

        around, database = self.around, self.database
        self.screen.say(f"  … asking {database.host}, listing every copy of {database.name}", "dim", talk=True)
        seen = surroundings.look(database, around.reader)
        for missing in seen.missing:
            self.screen.say(f"  {missing}", "yellow")
        if seen.live is None and self._answers():
            raise TargetUnfit(
                "the database server answers, but does not say what it holds; see above",
                where=database.host,
                hint="is a disk full, or may this login not read it? a restore would stop there too",
            )
        if seen.live is None:
            raise TargetUnfit(
                "the database server does not answer, so there is nothing to restore into",
                where=database.host,
                hint=f"start it; if it cannot start, `remedy rebuild {database.name}` keeps the damaged data directory "
                "and gives the server an empty one; then restore",
            )
        self.live, self.zone = seen.live, seen.zone
        found = search.listing(database, around.shelves(database), around.record, only=self.own["copy"])
        return search.Judging(found, around.record, around.reading(database), around.telling, incident=self.incident)

    def _answers(self) -> bool:
        """Whether the server is alive: then it is not for a rebuild."""
        from remedy.probes import datadir  # noqa: PLC0415 -- lazily

        asked = datadir.answers(self.database.defaults_file)
        return self.around.reader.ask([asked], at=self.database.host)[0] == "yes"

    def _attempt(self, judging: Judging, choice: Choice) -> int:
        """Plan and carry out the restore of the chosen one."""
        from remedy.actions.restore import Restore  # noqa: PLC0415
        from remedy.cli import choice as chosen  # noqa: PLC0415
        from remedy.cli.point import Staging, acting_failed  # noqa: PLC0415
        from remedy.engine.doubts import Doubts  # noqa: PLC0415

        if choice.backup is None or choice.judgement is None:
            raise AssertionError("the caller has looked")
        judgement = self._with_definitions(judging, choice)
        action = Restore(
            database=self.database,
            backup=choice.backup,
            source=choice.copy,
            sha256=judgement.sha256,
            contents=judgement.contents,
            room=Doubts(self.database.schema, judging.found.record, self.live).room(judgement, judging.known),
            chosen=tuple(chosen.lines(choice, time.time())),
            hold_writes=self.own["hold_writes"],
            clients=self.own["clients"],
            safety=self.own["safety_copy"],
            without_safety=self.own["no_safety_backup"],
            accept=tuple(self.own["accept"]),
        )
        staging = Staging(self.around, self.screen, self.database, self.incident)
        logs = self._logs(staging, judging, choice)
        if staging.needed(choice, logs[0] if logs else None):
            if self.around.options.dry_run:
                return self._told(action, judging, choice)
            staged = staging.through(self.acting, action, choice, logs)
            if staged is None:
                return Partial.exit_code
            action = staged
        job = self._job(action, judging, choice)
        code = self.acting.carry([job], self.incident)
        self._tell_way_on(job.context.run)
        if staging.run and acting_failed(self.acting):
            staging.removed()
        return code

    def _tell_way_on(self, run: str) -> None:
        """A run that was broken off somewhere may hold writes: what ends it must be on the screen."""
        from remedy.core.errors import Interrupted  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import replay  # noqa: PLC0415

        last = self.acting.outcomes[-1] if self.acting.outcomes else None
        if not isinstance(last, RemedyError) or isinstance(last, Interrupted):
            return
        if any(one.plan.run == run for one in replay.unfinished(self.around.record)):
            self.acting.extra["unfinished"] = run
            way = f"`remedy resume {run}` goes on, `remedy undo {run}` takes it back"
            self.screen.say(
                f"  run {run} has begun and not ended; writes may be held until then: {way}", "yellow", talk=True
            )

    def _logs(self, staging: Staging, judging: Judging, choice: Choice) -> tuple[Stretch, Copy] | None:
        """The binary logs that lead to the point that was asked for; None when none was."""
        from remedy.cli.point import Point  # noqa: PLC0415 -- lazily

        point = Point(self.at, self.own["before"])
        there = bool(self.database.binlogs) or any(judging.found.logs.values())
        wanted = bool(point.before) or bool(point.at and there and not self.own["no_binlogs"])
        if not wanted or choice.judgement is None:
            return None
        found = staging.stretch(judging.found, choice.judgement.contents.facts, point)
        self.reached = point.reached(found[0]) if found else 0
        return found

    def _job(self, action: Restore, judging: Judging, choice: Choice) -> Job:
        """The run of this choice, with what was chosen and passed over in the record: whoever ends it needs it."""
        from remedy.core.values import Site  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import aftermath  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        if choice.backup is None or choice.judgement is None:
            raise AssertionError("the caller has looked")
        around, context = self.around, self.around.context(self.incident)
        alone = judging.known.get(choice.backup, choice.judgement)
        aftermath.chosen(around.record, choice, alone, incident=self.incident, run=context.run, reached=self.reached)
        return Job(action, around.target(self.database.host), Site(), context)

    def _told(self, action: Restore, judging: Judging, choice: Choice) -> int:
        """In a rehearsal: what would come first. What the isolated server would hold is not known before.

        Raises UsageError for --out: a plan without what the server will hold would restore something else.
        """
        name = choice.backup.name if choice.backup else ""
        at = self.database.staging or self.database.host
        if self.around.options.out:
            raise UsageError(
                f"{name} goes through an isolated server first, and the plan is made when that is there",
                hint="leave out --out",
            )
        self.screen.say(f"  first: {name} is restored in an isolated server on {at}, checked there, and loaded from it")
        return self.acting.carry([self._job(action, judging, choice)], self.incident)

    def _with_definitions(self, judging: Judging, choice: Choice) -> Judgement:
        """The judgement with the text of its views, triggers, routines and events, which the record does not keep."""
        backup, judgement = choice.backup, choice.judgement
        if backup is None or judgement is None or choice.copy is None:
            raise AssertionError("the caller has looked")
        if all(one.sql for one in judgement.contents.objects):
            return judgement
        again = judging.read(choice.copy, backup, self.around.telling)
        if again.sha256 != judgement.sha256:
            raise UsageError(
                f"{backup.name} in {backup.copy} is not what it was when it was judged", hint="run the command again"
            )
        return replace(judgement, contents=again.contents)

    def _passed_over(self, judging: Judging, choice: Choice) -> bool:
        """Whether the attempt failed because of the backup or its copy, which are then out of the search."""
        from remedy.backups.fallback import Failure  # noqa: PLC0415 -- lazily
        from remedy.backups.values import Finding  # noqa: PLC0415
        from remedy.engine import attempt, proof, verdicts  # noqa: PLC0415
        from remedy.engine.outcome import Outcome  # noqa: PLC0415

        last = self.acting.outcomes[-1] if self.acting.outcomes else None
        backup, judgement, copy = choice.backup, choice.judgement, choice.copy
        if not isinstance(last, Outcome) or backup is None or copy is None or judgement is None:
            return False
        step = attempt.failing(last)
        fault = attempt.fault(last, judgement, proof.results(self.around.record, last.plan.run))
        if step is None or not fault:
            return False
        said = step.said or "it did not restore"
        if fault == "content":
            # What restoring showed holds for these bytes wherever they lie; it is remembered.
            judgement = replace(judgement, findings=(*judgement.findings, Finding("restore-failed", said)))
            entry = verdicts.remember(
                self.around.record, self.database, copy, backup, judgement, proof=True, incident=self.incident
            )
            judging.found.record.add(entry.body)
            judging.known[backup] = judgement
        else:
            judging.failed[backup] = Failure("unreachable" if fault == "way" else "corrupt", said)
        self.screen.say(f"{backup.name} from {backup.copy} did not restore; looking for the next", "yellow", talk=True)
        return True
