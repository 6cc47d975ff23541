"""What a person sees: plans, steps as they happen, certificates, recovery cards, outcomes.

The only place that styles text. Everything shown goes through `core.text.printable` first, because much of it was
said by a machine that belongs to an intruder. Standard output carries the result, standard error the talk.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from remedy.actions.undo import UNDOABLE
from remedy.cli.headline import headline
from remedy.cli.progress import IN_LOG, ON_TERMINAL, Progress
from remedy.core.text import printable
from remedy.core.values import Cell, Change, Plan, Verdict
from remedy.engine.inspect import Drift
from remedy.engine.job import Event
from remedy.engine.outcome import Outcome

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

_WIDTH_OF_PIPES = 140
#: Lines of a device shown without -v.
_MOST_LINES: Final = 30


class Screen:
    """Prints for people, on a terminal with colour, into a pipe without."""

    def __init__(
        self, *, color: bool, quiet: bool, verbose: int, redact: Callable[[str], str], result_to_stderr: bool = False
    ) -> None:
        """`result_to_stderr` is for --json and --jsonl, whose document has standard output for itself."""
        self.color, self.quiet, self.verbose = color and "NO_COLOR" not in os.environ, quiet, verbose
        self.redact = redact
        self._streams = (sys.stderr if result_to_stderr else sys.stdout, sys.stderr)
        self._consoles: dict[bool, Console] = {}
        self._lock = threading.RLock()  # held by whoever says several lines: several targets speak at once
        self._progress: Progress | None = None
        self._rewritten = 0  # columns of the line on the terminal that the next one replaces
        self.many = False

    def _console(self, *, talk: bool) -> Console:
        if talk not in self._consoles:
            from rich.console import Console  # noqa: PLC0415 -- only when something is drawn

            stream = self._streams[talk]
            width = None if stream.isatty() else _WIDTH_OF_PIPES
            self._consoles[talk] = Console(
                file=stream,
                color_system="auto" if self.color else None,
                highlight=False,
                markup=False,
                emoji=False,
                width=width,
            )
        return self._consoles[talk]

    def say(self, text: str, style: str = "", *, talk: bool = False) -> None:
        """One or more lines of text. `talk` goes to standard error and is left out when quiet."""
        if talk and self.quiet:
            return
        with self._lock:
            self._wipe()
            console = self._console(talk=talk)
            for line in printable(self.redact(text), 20000).split("\n"):
                console.print(self._padded(line, console), style=style or None, soft_wrap=not console.is_terminal)

    @staticmethod
    def _padded(line: str, console: Console) -> RenderableType:
        """A line on a terminal wraps below its own text, not at the left edge; in a pipe it is not wrapped at all."""
        from rich.padding import Padding  # noqa: PLC0415 -- only when something is drawn

        if not console.is_terminal or len(line) < console.width:
            return line
        lead = len(line) - len(line.lstrip())
        return Padding(line.lstrip(), (0, 0, 0, lead))

    def draw(self, what: RenderableType) -> None:
        """A table or panel made by this module."""
        with self._lock:
            self._wipe()
            self._console(talk=False).print(what)

    def progress(self, event: Event) -> None:
        """How far a stream has come: one line rewritten on a terminal, a line now and then in a log."""
        if self.quiet:
            return
        with self._lock:
            console = self._console(talk=True)
            terminal = console.file.isatty()
            if self._progress is None:  # a log waits: what is over within seconds needs no line there
                self._progress = Progress(every=ON_TERMINAL if terminal else IN_LOG, at_once=terminal)
            if not self._progress.heard(event):
                return
            line = f"  … {printable(self.redact(self._progress.line()), 400, one_line=True)}"
            if terminal:
                self._rewrite(line, console)
            else:
                console.print(line, soft_wrap=True)

    def _rewrite(self, line: str, console: Console) -> None:
        """Put a line over the last one. Blanks wipe what was longer: no escape sequence is needed for it."""
        from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 -- only when something is drawn

        width = min(cell_len(line), console.width - 1)
        console.file.write(f"\r{set_cell_size(line, width)}{' ' * (self._rewritten - width)}")
        console.file.flush()
        self._rewritten = width

    def _wipe(self) -> None:
        """Take the rewritten line away before something else is said. The caller holds the lock."""
        if self._rewritten:
            file = self._console(talk=True).file
            file.write(f"\r{' ' * self._rewritten}\r")
            file.flush()
            self._rewritten = 0

    def rest(self, target: str) -> None:
        """The stream of `target` has come to its end: its line goes."""
        with self._lock:
            if self._progress is not None:
                self._progress.ended(target)
            self._wipe()

    def event(self, event: Event) -> None:
        """A step as it happens."""
        if event.kind == "progress":
            self.progress(event)
            return
        if event.kind in {"reply", "outcome"}:
            self.rest(event.target)
        if self.quiet or event.kind in {"outcome", "verdict"}:
            return
        lead = f"{event.target}: " if self.many else "  "
        if event.kind == "phase":
            self.say(f"{lead}… {event.text}", "dim", talk=True)
        elif event.kind == "reply":
            self.say(f"{lead}{'✓' if event.ok else '✗'} {event.text}", "green" if event.ok else "red", talk=True)
        elif event.kind == "note":
            self.say(f"{lead}! {event.text}", "yellow", talk=True)

    def plan(self, plan: Plan) -> None:
        """What would be done: impact, steps, what is proven and what cannot be. With -v, the very bytes."""
        if self.quiet:
            return
        with self._lock:
            self._plan(plan)

    def _plan(self, plan: Plan) -> None:
        self.say(
            f"{plan.action} {plan.target}   run {plan.run}   incident {plan.incident}   plan {plan.hash[:12]}", "bold"
        )
        for line in plan.impact:
            self.say(f"  impact   {line}", "yellow")
        if plan.guard:
            self.say(f"  guard    {plan.guard.why}")
        for number, change in enumerate(plan.changes, 1):
            self.say(f"  step {number:<3} {change.why}")
            self._bytes(change.do.argv, change.do.stdin)
        for number, change in enumerate(plan.keep, 1):
            self.say(f"  keep {number:<3} {change.why}{'   (after it is confirmed)' if plan.guard else ''}")
            self._bytes(change.do.argv, change.do.stdin)
        if plan.changes and not self.verbose and not self.many:
            self._rules(plan)
        cells = sum(len(expect.cells) for expect in plan.expects)
        if plan.expects:
            self.say(f"  proof    {len(plan.expects)} expectations{f'; {cells} paths to ask' if cells else ''}")
        for line in plan.unproven:
            self.say(f"  unproven {line}", "yellow")
        for line in plan.notes:
            self.say(f"  note     {line}", "dim")

    def _bytes(self, argv: Sequence[str], stdin: str) -> None:
        if not self.verbose:
            return
        self.say("           argv:", "dim")
        for word in argv:
            self.say("             " + word.replace("\n", "\n             "), "dim")
        if stdin:
            self.say("           stdin:", "dim")
            self.say("             " + stdin.rstrip().replace("\n", "\n             "), "dim")

    def _rules(self, plan: Plan) -> None:
        """The rulesets as a diff: what comes, what goes. Of a database the steps say it all."""
        for change in plan.changes:
            if change.layer == "database":
                continue
            if change.layer == "perimeter":
                self._typed(change)
                continue
            for text, sign, style in ((change.before, "-", "red"), (change.after, "+", "green")):
                for line in _plain(text).splitlines():
                    self.say(f"           {sign} {line}".replace("\t", "  "), style)

    def _typed(self, change: Change) -> None:
        """What is typed on a device, in its own words; of thousands of lines the first and the last."""
        lines = change.do.stdin.splitlines()
        most = min(len(lines), _MOST_LINES)
        for line in lines[: most - 1]:
            self.say(f"           > {line}", "green")
        if len(lines) > most:
            self.say(f"           … {len(lines) - most} more lines (-v shows them)", "dim")
        for line in lines[-1:]:
            self.say(f"           > {line}", "green")

    def certificate(self, outcome: Outcome) -> None:
        """Who was asked, and what each saw: one row per vantage, one column per family and protocol."""
        verdicts = [v for v in outcome.verdicts if v.expect.cells]
        if not verdicts:
            return
        from rich import box  # noqa: PLC0415 -- only when something is drawn
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        columns = ["IPv4 TCP", "IPv6 TCP", "IPv4 UDP", "IPv6 UDP", "IPv4 DNS", "IPv6 DNS"]
        used = {f"{c.family} {c.protocol}" for v in verdicts for c in v.expect.cells}
        columns = [name for name in columns if name in used]
        witnessed = any(c.direction == "witness" for v in verdicts for c in v.expect.cells)
        table = Table(title=_title(outcome.plan), box=box.SIMPLE_HEAD, title_justify="left")
        table.add_column("asked from")
        for name in columns:
            table.add_column(name)
        if witnessed:
            table.add_column("still sees")
        for verdict in verdicts:
            cell = verdict.expect.cells[0]
            place = {"in": f"{cell.vantage} ({cell.role})", "out": f"{cell.vantage}, outwards"}
            row = [Text(printable(place.get(cell.direction, f"{cell.vantage}, loopback"), one_line=True))]
            row += [_square(verdict, name) for name in columns]
            row += [_witness(verdict)] if witnessed else []
            table.add_row(*row)
        self.draw(table)
        if self.verbose:
            for verdict in verdicts:
                for cell, held, state in cells(verdict):
                    where = f"[{cell.address}]:{cell.port}" if ":" in cell.address else f"{cell.address}:{cell.port}"
                    text = f"  {'✓' if held else '✗'} {cell.vantage} {cell.direction} {cell.protocol} {where}"
                    self.say(f"{text}: before {cell.control}, after {state}", "" if held else "red")

    def outcome(self, outcome: Outcome) -> None:
        """How a run ended, what is in doubt, and how to take it back."""
        plan = outcome.plan
        if self.quiet:
            self.say(*headline(outcome))
            for line in outcome.doubts:
                self.say(f"  ? {line}", "yellow")
            return
        self.certificate(outcome)
        for verdict in outcome.verdicts:
            if not verdict.expect.cells:
                mark, style = ("✓", "green") if verdict.held else ("✗", "red")
                self.say(f"  {mark} {verdict.expect.why}", style)
        for line in outcome.doubts:
            self.say(f"  ? {line}", "yellow")
        self.say(*headline(outcome))
        if plan.action == "isolate" and outcome.held and not outcome.withstands_root:
            self.say(
                "  grade: host layer only. Root on the host can take it away: cut it off at the switch too.",
                "dim",
            )
        if plan.changes and plan.action in UNDOABLE and outcome.status not in {"reopened", "failed", "unchanged"}:
            self.say(f"  take it back with: remedy undo {plan.run}", "dim")

    def drift(self, drift: Drift) -> None:
        """One look of the watch: a line when all holds, an alarm with what has come undone when not."""
        plan = drift.plan
        count = sum(len(v.expect.cells) for v in drift.verdicts)
        if drift.holds:
            self.say(f"{plan.target}: holds, {count} cells asked again", "green")
            return
        self.say(f"ALARM {plan.target}: containment has come undone (run {plan.run})", "bold red")
        changes = dict(named(plan))
        for line in (
            *(f"gone: {changes[name].why}" for name in drift.gone),
            *(f"no longer so: {v.expect.why}" for v in drift.verdicts if not v.held),
            *drift.errors,
        ):
            self.say(f"  ✗ {line}", "red")
        self.say("  --put-back sends again what is gone", "dim")

    def card(self, plan: Plan) -> None:
        """The recovery card: the exact manual commands that take the run back."""
        if not plan.card or self.quiet:
            return
        self.say(f"recovery card, run {plan.run} (print it; execute it verbatim on the console)", "bold")
        for line in plan.card:
            self.say(f"    {line}")

    def error(self, target: str, error: Exception) -> None:
        """What went wrong with one target."""
        text = getattr(error, "message", str(error))
        where = getattr(error, "where", "") or target
        lead = "" if text.startswith(where) else f"{where}: "
        with self._lock:
            self._wipe()
            console = self._console(talk=True)
            console.print(printable(self.redact(f"{lead}{text}"), 4000), style="red", soft_wrap=True)
            if hint := getattr(error, "hint", ""):
                console.print(printable(self.redact(f"  {hint}"), 4000), soft_wrap=True)

    def ask(self, question: str) -> bool:
        """A question with yes and no; no is the default."""
        self._console(talk=True).print(printable(question, 400), end=" [y/N] ", style="bold")
        try:
            return input().strip().lower() in {"y", "yes"}
        except EOFError:
            return False


def named(plan: Plan) -> list[tuple[str, Change]]:
    """Every change of a plan under the name that the record gives it."""
    changes = [(f"{n}", c) for n, c in enumerate(plan.changes, 1)]
    return [*changes, *((f"k{n}", c) for n, c in enumerate(plan.keep, 1))]


def _plain(text: str) -> str:
    """The text in a canonical JSON string, "" when it is something else."""
    value = json.loads(text) if text else ""
    return value if isinstance(value, str) else ""


def cells(verdict: Verdict) -> list[tuple[Cell, bool, str]]:
    """Each cell of a verdict with whether it held and the state seen after the change ("unknown" when not asked)."""
    answer = json.loads(verdict.answer) if verdict.answer else []
    states = [*answer] + ["unknown"] * (len(verdict.expect.cells) - len(answer))
    held = verdict.expect.cell_holds(states)
    return list(zip(verdict.expect.cells, held, states, strict=False))


def _square(verdict: Verdict, column: str) -> Text:
    """One square: "cut 22 80", "open 22 (stays)", and in red what should not be so."""
    from rich.text import Text  # noqa: PLC0415 -- only when something is drawn

    wishes = json.loads(verdict.expect.wanted)
    release = "blocked" not in wishes and verdict.expect.cells[0].direction != "loopback"
    groups: dict[tuple[str, str], list[str]] = {}
    for (cell, held, state), wish in zip(cells(verdict), wishes, strict=False):
        if f"{cell.family} {cell.protocol}" != column or cell.direction == "witness":
            continue
        if wish == "blocked":
            key = ("cut", "green") if held else (state.upper(), "bold red")
        else:
            key = ("stays", "cyan") if held else ("LOST", "bold red")
        if release:
            key = ("back", "green") if held else ("NOT BACK", "bold red")
        groups.setdefault(key, []).append(str(cell.port))
    out = Text()
    for (word, style), ports in groups.items():
        out.append("  " if out else "").append(f"{word} {' '.join(dict.fromkeys(ports))}", style=style)
    return out or Text("-", style="dim")


def _witness(verdict: Verdict) -> Text:
    """Whom the vantage still sees: its silence towards the target is worth something only then."""
    from rich.text import Text  # noqa: PLC0415 -- only when something is drawn

    found = [(cell, held) for cell, held, _ in cells(verdict) if cell.direction == "witness"]
    if not found:
        return Text("-", style="dim")
    lost = [cell.address for cell, held in found if not held]
    return Text(f"LOST {' '.join(lost)}", style="bold red") if lost else Text(found[0][0].address, style="cyan")


def _title(plan: Plan) -> str:
    what = "containment" if plan.action == "isolate" else "who reaches whom"
    return printable(f"{what}: {plan.target}", one_line=True)
