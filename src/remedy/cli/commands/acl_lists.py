"""`remedy acl show`, `diff` and `push`: what devices filter, and a file of rules brought to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.isolate import complete
from remedy.cli.options import acting, common, looking
from remedy.cli.world import World, world
from remedy.core.errors import RemedyError, UsageError

if TYPE_CHECKING:
    from remedy.core.canon import Json
    from remedy.engine.job import Job
    from remedy.inventory.devices import Device

F = TypeVar("F", bound=Callable[..., Any])


def _on(function: F) -> F:
    for option in (
        click.option("--replace", is_flag=True, help="Also lists that are somebody else's: their rules go."),
        click.option("--list", "acl", default="", metavar="NAME", help="The list of rules under no `list` line."),
        click.option(
            "--on",
            "patterns",
            multiple=True,
            metavar="DEVICE",
            shell_complete=complete,
            help="Only these; default: all with gates.",
        ),
    ):
        function = option(function)
    return function


@click.command("show")
@click.argument("patterns", nargs=-1, metavar="[DEVICE...]", shell_complete=complete)
@click.option("--list", "acl", default="", metavar="NAME", help="Only the list of this name or number.")
@looking
@click.pass_context
def show(ctx: click.Context, /, patterns: tuple[str, ...], acl: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Show the access lists of devices as they are: every rule, its hits, and what never decides.

    A line that is not understood is shown as it stands, with a question mark. Nothing is changed or recorded.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli import acl_view, blocking, document  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine import fleet  # noqa: PLC0415

        found = blocking.devices(around, patterns) if patterns else around.inventory.devices()
        if not found:
            raise UsageError(
                "the inventory names no network device", hint="`remedy inventory check` says what is missing"
            )
        screen = screen_of(around.options, around)
        answers = fleet.each(found, lambda one: _read(around, one))
        devices: list[Json] = []
        codes = []
        for one, answer in zip(found, answers, strict=True):
            codes.append(answer.exit_code if isinstance(answer, RemedyError) else 0)
            if isinstance(answer, RemedyError):
                screen.error(one.name, answer)
                devices.append(document.of_error(one.name, answer))
                continue
            lists, texts = answer
            met = acl_view.hits(lists, texts)
            shown: list[Json] = []
            if not around.options.json:
                screen.say(f"{one.name}   {one.vendor.title}", "bold cyan")
            for place, made in enumerate(lists):
                if acl not in {"", made.name}:
                    continue
                mine = {number: count for (where, number), count in met.items() if where == place}
                shown.append(acl_view.document(made, mine))
                if not around.options.json:
                    for line, style in acl_view.lines(made, mine):
                        screen.say(line, style)
            entry: dict[str, Json] = {"target": one.name, "platform": one.vendor.name, "exit_code": 0, "lists": shown}
            devices.append(entry)
        code = fleet.exit_code(codes)
        if around.options.json:
            document.emit({"command": "acl show", "exit_code": code, "targets": devices}, around.redact)
        return code


def _read(around: World, one: Device) -> tuple[Sequence[Any], list[str]]:
    """A device's lists, and the text that they were read from."""
    from remedy.probes import device  # noqa: PLC0415 -- lazily

    filters = device.vendor_filters(one.vendor)
    [texts] = around.reader.ask([device.texts(one.vendor, filters.ask_lists())], at=one.name)
    said = [str(text) for text in texts] if isinstance(texts, list) else []
    return filters.read_lists(said), said


@click.command("diff")
@click.argument("file", metavar="FILE")
@_on
@looking
@click.pass_context
def diff(ctx: click.Context, /, file: str, patterns: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """Show the lines that `acl push` would type, in each vendor's own words; nothing is changed or recorded.

    Exit code 10 when there is something to do, 0 when the devices hold what the file says.
    """
    acl, replace = given.pop("acl"), given.pop("replace")
    with world(common(ctx, given)) as around:
        from remedy.cli import document  # noqa: PLC0415 -- lazily, with all below it
        from remedy.core.values import Plan  # noqa: PLC0415
        from remedy.engine import fleet  # noqa: PLC0415

        jobs = _jobs(around, file, patterns, acl=acl, replace=replace)
        screen = screen_of(around.options, around)
        documents = []
        for job, plan in zip(jobs, fleet.each(jobs, lambda job: job.action.plan(*_asked(around, job))), strict=True):
            if not isinstance(plan, Plan):
                screen.error(job.target.name, plan)
                documents.append(document.of_error(job.target.name, plan))
                continue
            documents.append(document.of_plan(plan))
            if not around.options.json:
                screen.say(f"{plan.target}{'   nothing to do' if plan.is_noop else ''}", "bold")
                for change in plan.changes:
                    for line in (f"# {change.why}", *change.do.stdin.splitlines()):
                        screen.say(f"  {line}", "dim" if line.startswith("# ") else "green")
                for line in (*plan.impact, *plan.notes):
                    screen.say(f"  ! {line}", "dim", talk=True)
        code = fleet.exit_code([int(str(made["exit_code"])) for made in documents])
        if around.options.json:
            document.emit(document.whole("acl diff", "", code, documents), around.redact)
        return code


def _asked(around: World, job: Job) -> tuple[Any, ...]:
    return job.target, job.site, job.context, around.reader


@click.command("push")
@click.argument("file", metavar="FILE")
@_on
@click.option("--all-or-none", is_flag=True, help="When one device fails, take it back on the others.")
@click.option(
    "--confirm-within",
    "seconds",
    type=click.IntRange(30, 3600),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="The device's own revert timer, where it has one.",
)
@acting
@click.pass_context
def push(ctx: click.Context, /, file: str, patterns: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """Make access lists hold the rules of a file, on every firewall of the inventory.

    The file is in no vendor's words: `deny tcp from 198.51.100.0/24 to any port 22`. A list that is not there is made;
    one that remedy has made is changed by the fewest lines; somebody else's only with --replace. The change is read
    back over a fresh login before it is confirmed and saved. A list that would cut off our own way in, management,
    protected hosts, name servers or everybody is refused. Rules with an end (`for`, `until`) are taken off by
    `remedy unblock --expired`, `remedy watch` or `remedy resume`.
    """
    acl, replace, seconds = given.pop("acl"), given.pop("replace"), given.pop("seconds")
    all_or_none = given.pop("all_or_none")
    with world(common(ctx, given)) as around:
        from remedy.cli import blocking  # noqa: PLC0415 -- lazily

        incident = around.incident(f"push {Path(file).name}")
        jobs = _jobs(around, file, patterns, acl=acl, replace=replace, seconds=seconds, incident=incident)
        made = Acting("acl push", around, screen_of(around.options, around), all_or_none=all_or_none)
        code = made.carry(jobs, incident)
        blocking.remember(around, made.outcomes)
        return code


def _jobs(
    around: World,
    file: str,
    patterns: Sequence[str],
    *,
    acl: str,
    replace: bool,
    seconds: int = 120,
    incident: str = "",
) -> list[Job]:
    """One job a device; without an incident none that is recorded. Raises UsageError for what is no file of rules."""
    from remedy.actions.push import Push  # noqa: PLC0415 -- lazily, with all below it
    from remedy.cli import blocking  # noqa: PLC0415
    from remedy.core.values import Context  # noqa: PLC0415
    from remedy.devices import rulefile  # noqa: PLC0415
    from remedy.engine.job import Job  # noqa: PLC0415

    text = blocking.written(file, "a text file with a rule to a line")
    now = blocking.now()
    rulefile.read(text, now=now, name=file)  # a slip is told before any device is dialled
    found = blocking.devices(around, patterns)
    keep = tuple((who, tuple(addresses)) for who, addresses in blocking.kept(around, found) if addresses)
    stamp = now.isoformat(timespec="seconds")
    jobs = []
    for one in found:
        target = around.target(one.name)
        action = Push(one.vendor.name, text, file, stamp, acl, replace, blocking.ways(target), keep, seconds)
        context = around.context(incident) if incident else Context("diff", "", "")
        jobs.append(Job(action, target, blocking.site(around, one.name, ()), context))
    return jobs
