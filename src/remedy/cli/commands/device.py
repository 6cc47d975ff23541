"""`remedy device`: the configurations of network devices kept, compared and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remedy.cli.act import Acting, screen_of
from remedy.cli.commands.isolate import complete
from remedy.cli.options import acting, common, reading
from remedy.cli.world import world

if TYPE_CHECKING:
    from remedy.core.canon import Json


@click.group(
    "device",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  remedy device save                    every device, whole, beside the record
  remedy device diff fw01               today's changes of fw01
  remedy device restore fw01 --dry-run  the exact lines that take them back
""",
)
def command() -> None:
    """Keep, compare and put back the configurations of network devices."""


@command.command(
    "save",
    epilog="""\b
Examples:
  remedy device save                 every device of the inventory
  remedy device save fw01 sw01 -q    for cron
""",
)
@click.argument("patterns", nargs=-1, metavar="[DEVICE...]", shell_complete=complete)
@reading
@click.pass_context
def save(ctx: click.Context, /, patterns: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """Keep the running configuration of devices as evidence, in a file of its own beside the record.

    The file has the configuration whole, secrets too, and is readable by you only; screen and record get its name,
    size and SHA-256. The same is done before and after every change that remedy makes on a device. Nothing is changed.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli.comparing import save_all  # noqa: PLC0415 -- lazily, with all below it

        return save_all(around, screen_of(around.options, around), patterns)


@command.command(
    "diff",
    epilog="""\b
Examples:
  remedy device diff fw01                      since before today's first change
  remedy device diff fw01 5e884898             from a kept one, by its SHA-256, to now
  remedy device diff fw01 5e884898 6b86b273    between two kept ones; nobody is dialled
""",
)
@click.argument("name", metavar="DEVICE", shell_complete=complete)
@click.argument("first", required=False, default="", metavar="[A]")
@click.argument("second", required=False, default="", metavar="[B]")
@reading
@click.pass_context
def diff(ctx: click.Context, /, name: str, first: str, second: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Show what differs between two configurations, section by section. Exit 10 when something does.

    A and B are kept configurations, by file name or the beginning of their SHA-256. Without B it is the one the device
    has now; without A the one from before today's first change, else the newest. Secrets are masked; lines that only
    say when the text was printed, and the order of a group's members, do not count.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli.comparing import show_difference  # noqa: PLC0415 -- lazily, with all below it

        return show_difference(around, screen_of(around.options, around), name, first, second)


@command.command(
    "restore",
    epilog="""\b
Examples:
  remedy device restore fw01 --dry-run         back to before today's first change; the exact lines
  remedy device restore fw01 5e884898          to a kept one, by its SHA-256
  remedy device restore fw01 --partly          what can be typed, and the rest as lines to paste
""",
)
@click.argument("name", metavar="DEVICE", shell_complete=complete)
@click.argument("kept", required=False, default="", metavar="[SAVED]")
@click.option("--partly", is_flag=True, help="Put back what can be typed for certain; say what is left to paste.")
@click.option("--force", is_flag=True, help="Also where the parts differ that carry our own session.")
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
def restore(ctx: click.Context, /, name: str, kept: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Put a kept configuration back: what differs and nothing else.

    Access lists, address groups, security policies, and filters, descriptions, access VLANs and shutdown of interfaces
    are typed line by line. Where anything else differs, the device replaces its configuration by the one it starts
    with, if that says the same and the device can do so (Comware V7); else it is refused, with the lines to paste. No
    line with a secret is ever typed. What is typed is guarded by the device's own timer, read back over a fresh login,
    confirmed, saved, and undoable.
    """
    wish: dict[str, Any] = {key: given.pop(key) for key in ("partly", "force", "seconds")}
    with world(common(ctx, given)) as around:
        from remedy.cli.comparing import goal  # noqa: PLC0415 -- lazily, with all below it
        from remedy.engine.job import Job  # noqa: PLC0415

        action = goal(around, name, kept, **wish)
        incident = around.incident(f"restore the configuration of {name}")
        job = Job(action, around.target(name), around.site(name), around.context(incident))
        made = Acting("device restore", around, screen_of(around.options, around))
        left: list[Json] = [*action.left]
        made.extra["left"] = left
        return made.carry([job], incident)
