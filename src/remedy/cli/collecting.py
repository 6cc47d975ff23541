"""`remedy evidence collect`: from hosts and a profile to a sealed bag a host.

Decides what is written to the record and when (the plan before anybody is dialled, the ledger before the bag is sealed,
the bag before it is called done), what Ctrl-C does, and what a collection is worth: 0 only when every planned step is
whole. Leaves to others: steps and their order (`evidence.steps`), streams (`transports.collecting`), bags (`bags`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.cli import document
from remedy.cli.bags import Bagging, begin, believed, find, note, stopping
from remedy.cli.progress import Pace, size, span
from remedy.core.canon import Json, encode
from remedy.core.errors import Interrupted, Partial, Refused, RemedyError, UsageError
from remedy.engine import fleet
from remedy.engine.job import Event
from remedy.evidence import clocks, ledger, recorded, steps
from remedy.evidence.bag import Sealed
from remedy.evidence.ledger import Line

if TYPE_CHECKING:
    from remedy.cli.screen import Screen
    from remedy.cli.world import World
    from remedy.core.ports import Tell
    from remedy.evidence.resuming import Held
    from remedy.evidence.steps import Step
    from remedy.transports.collecting import Outside

#: Events of a bag's entries in the record, besides those of `evidence.recorded`.
PLANNED, COLLECTED, UNREACHED = "planned", "collected", "unreached"
_STYLES: Final = {"ok": "green", "absent": "dim", "denied": "yellow", "timeout": "red", "truncated": "red"}
_MARKS: Final = {"ok": "✓", "absent": "·", "denied": "!", "timeout": "✗", "truncated": "✗"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What one call asks for. `done` are steps that `earlier` has (a bag's id and SHA-256), `held` parts of logs."""

    profile: str
    bags: str | None = None
    tsa: str | None = None
    tsa_ca: Path | None = None
    earlier: tuple[str, str] = ("", "")
    done: frozenset[str] = frozenset()
    held: Mapping[str, tuple[Held, ...]] = field(default_factory=dict)

    @property
    def planned(self) -> tuple[Step, ...]:
        """The steps to be run, in order."""
        return tuple(step for step in steps.chosen(self.profile) if step.name not in self.done)


@dataclass(frozen=True, slots=True)
class Collected:
    """What came of one host."""

    bag: Bagging
    sealed: Sealed
    lines: tuple[Line, ...]
    remarks: tuple[str, ...]
    interrupted: bool

    @property
    def code(self) -> int:
        """0 when every step is whole, 130 when it was interrupted, else 20."""
        if self.interrupted:
            return Interrupted.exit_code
        return Partial.exit_code if self.sealed.lacking or self.sealed.unstamped else 0


def collect(around: World, screen: Screen, hosts: Sequence[str], wish: Wish) -> int:
    """Collect from these hosts at once, a bag each; the exit code."""
    made = _Command(around, screen, wish)
    around.observe = made.observe
    screen.many = len(hosts) > 1
    made.show(hosts)
    if around.options.dry_run:
        screen.say("dry-run: nobody was dialled", talk=True)
        return made.told([], "", 0)
    incident = around.incident(f"evidence of {', '.join(hosts)}")
    with stopping(around, screen):
        found = fleet.each(hosts, lambda host: made.one(host, incident))
    documents = [made.tell(host, one) for host, one in zip(hosts, found, strict=True)]
    code = fleet.exit_code([one.exit_code if isinstance(one, RemedyError) else one.code for one in found])
    return made.told(documents, incident, code)


def resumed(around: World, screen: Screen, name: str, wish: Wish) -> tuple[str, Wish]:
    """Whose evidence a bag is, and what is still wanted of it. The bag is verified first.

    Raises Refused when it does not verify, UsageError when it was not collected by remedy or lacks nothing.
    """
    from remedy.transports import held  # noqa: PLC0415 -- zstandard

    path = find(around, wish.bags, name)
    findings = believed(around, (), None, None, None).verify(around, path, _tell(screen, "verifying"))
    if not findings.ok:
        wrong = next(iter(findings.of("damage")), None)
        said = f": {wrong.path or 'the bag'}: {wrong.text}" if wrong else ""
        hint = "collect anew; `remedy evidence verify` says all that is wrong with it"
        raise Refused(f"the bag does not verify{said}", where=str(path), hint=hint)
    host, profile = findings.said("Remedy-Target"), findings.said("Remedy-Profile")
    if not host or profile not in steps.PROFILES:
        raise UsageError("is no bag of a collection", where=str(path), hint="`remedy evidence show` says what it is")
    earlier = held.read(path, host, steps.chosen(profile))
    if earlier.done >= {step.name for step in steps.chosen(profile)}:
        raise UsageError("nothing is missing in it", where=str(path), hint="without --resume it is collected anew")
    bag_id = findings.said("External-Identifier")
    return host, Wish(profile, wish.bags, wish.tsa, wish.tsa_ca, (bag_id, findings.sha256), earlier.done, earlier.held)


@dataclass(slots=True)
class _Command:
    """One call, for all its hosts."""

    around: World
    screen: Screen
    wish: Wish
    pace: Pace = field(default_factory=Pace)

    def observe(self, event: Event) -> None:
        """Show or stream what happens."""
        if not self.around.options.jsonl:
            self.screen.event(event)
        elif self.pace.due(event):
            document.emit(document.of_event(event), self.around.redact)

    def show(self, hosts: Sequence[str]) -> None:
        """What would be asked, of whom, within which limits."""
        planned = self.wish.planned
        most, longest = sum(step.cap for step in planned), sum(step.seconds for step in planned)
        self.screen.say(f"evidence of {', '.join(hosts)}   profile {self.wish.profile}", "bold", talk=True)
        self.screen.say(
            f"  {len(planned)} steps, read-only; at most {size(most)} and {span(longest)} a host", talk=True
        )
        for host in hosts:
            if seconds := self._last(host):
                self.screen.say(f"  {host}: the last one of this profile took {span(seconds)}", talk=True)
        for bag_id in filter(None, (self.wish.earlier[0],)):
            self.screen.say(f"  goes on where bag {bag_id} stopped, which has {len(self.wish.done)} steps", talk=True)
        if self.around.options.dry_run or self.around.options.verbose:
            for step in planned:
                limits = f"{size(step.cap)}, {span(step.seconds)}, silent for {step.idle} s"
                root = {"no": "", "better": "; sees more as root", "needed": "; needs root"}[step.root]
                self.screen.say(f"  {step.order:02}  {step.name:<22} {step.title}", talk=True)
                self.screen.say(f"      {'':<22} at most {limits}{root}", "dim", talk=True)

    def _last(self, host: str) -> float:
        """Seconds that the newest whole collection of this profile from this host took, by the record; 0 for none."""
        if self.wish.earlier[0] or not self.around.record_path().exists():
            return 0
        begun: dict[str, str] = {}
        took = 0.0
        for entry in self.around.record.entries(kinds=[recorded.KIND]):
            body = json.loads(entry.body)
            if body.get("event") == recorded.BEGUN and (body["targets"], body["profile"]) == (
                [host],
                self.wish.profile,
            ):
                begun[entry.run] = entry.time
            elif body.get("event") == recorded.SEALED and body["whole"] and entry.run in begun:
                ended, started = map(datetime.fromisoformat, (entry.time, begun[entry.run]))
                took = (ended - started).total_seconds()
        return took

    def one(self, host: str, incident: str) -> Collected:
        """One host, from the entry that says it will be asked to the one that says what came. Raises RemedyError."""
        from remedy.transports import collecting  # noqa: PLC0415 -- zstandard

        around, wish, planned = self.around, self.wish, self.wish.planned
        target = around.target(host)
        if around.inventory.device(host) is not None:
            raise UsageError(
                "is a network device", where=host, hint=f"`remedy device save {host}` keeps what it is set to"
            )
        root = target.user == "root" or target.become
        title = f"evidence of {host}, profile {wish.profile}, {len(planned)} steps"
        made = begin(
            around,
            incident,
            title,
            bags=wish.bags,
            tsa=wish.tsa,
            tsa_ca=wish.tsa_ca,
            targets=(host,),
            profile=wish.profile,
            method="collected",
        )
        bag_id = made.writing.info.id
        asked: dict[str, Json] = {"event": PLANNED, "target": host, "steps": [step.name for step in planned]}
        note(around, incident, bag_id, {**asked, "root": root, "continues": wish.earlier[0]})
        self._say(host, "phase", "logging in")
        try:
            root, refused = collecting.reach(around.bulk, host, root=root)
        except RemedyError as error:
            made.writing.discard()
            body: dict[str, Json] = {"event": UNREACHED, "target": host, "reason": error.message}
            note(around, incident, bag_id, {**body, "exit_code": error.exit_code})
            raise
        remarks = [f"without root, for sudo refused: {refused}"] if refused else []
        for text in remarks:
            self._say(host, "note", text, ok=False)
        run = collecting.Collecting(
            around.bulk,
            host,
            made.writing,
            root,
            around.stop,
            lambda what, done, total: self._progress(host, what, done, total),
            lambda line: self._line(host, line),
            _outside(around, host),
            wish.held,
        )
        if wish.earlier[0]:
            run.continues(*wish.earlier, wish.done)
        broken = ""
        try:
            lines = run.run(planned)
        except RemedyError as error:  # our own disk does not even take the ledger
            lines, broken = run.lines, str(error)
        entry: dict[str, Json] = {"event": COLLECTED, "target": host, "root": root, "remarks": [*remarks]}
        note(around, incident, bag_id, {**entry, "ledger": [_short(line) for line in lines]})
        self._say(host, "phase", "sealing")
        sealed = made.seal(*ledger.lacking(lines), *filter(None, [broken]))
        self.screen.rest(host)
        stopped = any(line.cause == "stopped" for line in lines) or (around.stop.is_set() and bool(sealed.lacking))
        return Collected(made, sealed, lines, tuple(remarks), stopped)

    def tell(self, host: str, found: Collected | RemedyError) -> dict[str, Json]:
        """Say what came of one host, and give its part of the document."""
        if isinstance(found, RemedyError):
            self.screen.error(host, found)
            return document.of_error(host, found)
        sealed, place = found.sealed, found.bag.writing.final
        if not (self.around.options.json or self.around.options.jsonl):
            self.screen.say(str(place))
        for line in found.lines:
            for text in line.findings:
                calm = text.startswith((clocks.AGREES, "as seen from"))
                self.screen.say(f"  {'·' if calm else '!'} {line.step}: {text}", "dim" if calm else "yellow", talk=True)
        counts = {state: count for state, count in ledger.counted(found.lines).items() if count}
        said = ", ".join(f"{count} {state}" for state, count in counts.items())
        self.screen.say(f"{host}: {said}; {size(sealed.size)} in bag {sealed.id}", "bold", talk=True)
        if any(line.cause == "no-root" for line in found.lines):
            self.screen.say(
                "  what was denied needs root: log in as root, or set ansible_become; then --resume", talk=True
            )
        elif sealed.lacking:
            self.screen.say(f"  the rest: remedy evidence collect --resume {sealed.name}", talk=True)
        if sealed.unstamped:
            self.screen.say(f"  ? it has no time stamp: {sealed.unstamped}", "yellow", talk=True)
        self.screen.say(
            f"  sealed: tag manifest SHA-256 {sealed.sha256}; verify with {place}/VERIFY.txt", "dim", talk=True
        )
        return {
            "target": host,
            "status": "partial" if sealed.lacking else "sealed",
            "exit_code": found.code,
            "bag": sealed.id,
            "path": str(place),
            "sha256": sealed.sha256,
            "size": sealed.size,
            "files": sealed.count,
            "lacking": [*sealed.lacking],
            "remarks": [*found.remarks],
            "stamped": sealed.stamped or None,
            "unstamped": sealed.unstamped,
            "steps": [encode(line) for line in found.lines],
        }

    def told(self, documents: Sequence[dict[str, Json]], incident: str, code: int) -> int:
        """Write the command's document, when one was asked for; the exit code."""
        if self.around.options.json or self.around.options.jsonl:
            whole = document.whole("evidence collect", incident, code, documents)
            wanted: list[Json] = [_wanted(step) for step in self.wish.planned]
            document.emit({**whole, "profile": self.wish.profile, "planned": wanted}, self.around.redact)
        return code

    def _progress(self, host: str, what: str, done: int, total: int) -> None:
        self.around.observe(Event(host, "progress", what, done=done, total=total))

    def _say(self, host: str, kind: str, text: str, *, ok: bool = True) -> None:
        self.around.observe(Event(host, kind, text, ok=ok))

    def _line(self, host: str, line: Line) -> None:
        if self.around.options.jsonl:
            text = f"{line.step}: {line.state}{f': {line.why}' if line.why else ''}"
            self._say(host, "reply", text, ok=line.complete)
            return
        self.screen.rest(host)
        lead = f"{host}: " if self.screen.many else "  "
        rest = f"   {line.why}" if line.why else ""
        text = f"{lead}{_MARKS[line.state]} {line.step:<22} {line.state:<9} {size(line.received):>8}{rest}"
        self.screen.say(text, _STYLES[line.state], talk=True)


def _outside(around: World, host: str) -> Outside:
    """Who looks at a host from outside: the first vantage there that the inventory names for it, else this machine."""
    from remedy.transports.collecting import Outside  # noqa: PLC0415 -- zstandard

    site, target = around.site(host), around.target(host)
    ports = tuple(port for port in site.probe_tcp if port != target.port) or Outside().ports
    vantage = next((one.name for one in site.vantages if one.role == "outside"), Outside().vantage)
    return Outside(vantage, target.address, ports)


def _short(line: Line) -> dict[str, Json]:
    """A line of the ledger as the record keeps it."""
    said: dict[str, Json] = {"step": line.step, "state": line.state, "cause": line.cause, "received": line.received}
    return {**said, "findings": [*line.findings]} if line.findings else said


def _wanted(step: Step) -> dict[str, Json]:
    limits: dict[str, Json] = {"seconds": step.seconds, "idle": step.idle, "cap": step.cap}
    return {"order": step.order, "step": step.name, "title": step.title, "root": step.root, **limits}


def _tell(screen: Screen, what: str) -> Tell:
    return lambda _what, done, total: screen.event(Event("", "progress", what, done=done, total=total))
