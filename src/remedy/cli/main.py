"""The entry point: a group that imports a command only when it is called, and the one place that exits.

The table of commands is static, so that `remedy --help` reads nothing else.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, Final

import click

from remedy import __version__
from remedy.core.errors import Interrupted, RemedyError, UsageError

#: Name -> module below remedy.cli.commands, and the line shown by `remedy --help`.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "isolate": ("isolate", "Cut hosts off from everything but management, and prove it."),
    "release": ("release", "Give isolated hosts back as they were; drop the data a restore has kept."),
    "restore": ("restore", "Restore a database from its newest valid backup, and lose nothing."),
    "backup": ("backup", "List, check, prove and take backups; say whether promises hold."),
    "verify": ("verify", "Compare a database with a backup's manifest; check rows and keys."),
    "rebuild": ("rebuild", "An empty data directory for a database server that cannot start."),
    "block": ("block", "Drop attackers' addresses on every firewall."),
    "unblock": ("unblock", "Take addresses off the block again."),
    "acl": ("acl", "Set devices up for blocking; show, compare and push access lists."),
    "device": ("device", "Keep, compare and put back configurations of network devices."),
    "undo": ("undo", "Take a run back, step by step."),
    "resume": ("resume", "Go on with runs that were interrupted."),
    "apply": ("apply", "Carry out a saved plan, byte for byte."),
    "watch": ("watch", "Keep asking whether an incident's isolations still hold."),
    "incident": ("incident", "Open, show, note, close, verify and export incidents."),
    "evidence": ("evidence", "Collect, seal, list, verify, export and hand over evidence."),
    "inventory": ("inventory", "List, draw and check the inventory."),
    "lab": ("lab", "The rehearsal lab: real hosts in network namespaces."),
    "completion": ("completion", "Print the completion script for your shell."),
}

_EPILOG = """\b
Exit codes: 0 done and verified, 10 dry-run has changes, 20 partial, 21 unreachable,
22 applied but unverified, 23 rolled back by the dead-man timer, 24 approval needed,
25 refused by a safety limit, 26 record or evidence does not verify, 27 no valid backup.
See docs/reference/exit-codes.md.

\b
Try it without risk:  remedy lab demo
First real use:       remedy -i inventories/mine isolate web01 --dry-run
"""


_DEFECT = "a defect of remedy: what was begun is in the record (`remedy resume`); REMEDY_TRACEBACK=1 shows where"


class LazyGroup(click.Group):
    """A group over `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"remedy.cli.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is answered with the nearest known one."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            import difflib  # noqa: PLC0415 -- only on a slip

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="remedy %(version)s")
@click.option("-i", "--inventory", metavar="PATH", help="Inventory file or folder ($REMEDY_INVENTORY).")
@click.option("--record", metavar="FILE", help="Incident record ($REMEDY_RECORD).")
@click.pass_context
def group(ctx: click.Context, inventory: str | None, record: str | None) -> None:
    """Contain, recover, block and prove: emergency actions that verify themselves and can be undone."""
    ctx.obj = {"inventory": inventory, "record": record}


def run(args: list[str] | None = None) -> None:
    """Run the command line; ends the process with an exit code of core.errors.EXIT_CODES."""
    sys.exit(main(args))


def main(args: list[str] | None = None) -> int:  # noqa: PLR0911 -- one return per way to end
    """Run the command line and return its exit code. Errors for people go to standard error."""
    try:
        code: Any = group.main(args, prog_name="remedy", standalone_mode=False)
    except RemedyError as error:
        _say(error)
        _document(error, args)
        return error.exit_code
    except click.exceptions.Exit as error:
        return int(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("remedy: interrupted", err=True)
        _document(Interrupted("interrupted"), args)
        return Interrupted.exit_code
    except click.ClickException as error:
        error.show()
        _document(UsageError(error.format_message()), args)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if os.environ.get("REMEDY_TRACEBACK"):
            raise
        defect = RemedyError(f"internal error: {type(error).__name__}: {error}", hint=_DEFECT)
        _say(defect)
        _document(defect, args)
        return RemedyError.exit_code
    return int(code or 0)


def _document(error: RemedyError, args: list[str] | None) -> None:
    """A failure before a command had anything to report is a document too, when one was asked for."""
    if not {"--json", "--jsonl"} & set(sys.argv[1:] if args is None else args):
        return
    import json  # noqa: PLC0415 -- only when something went wrong

    what = {"kind": type(error).__name__, "message": error.message, "where": error.where, "hint": error.hint}
    click.echo(json.dumps({"schema_version": 1, "exit_code": error.exit_code, "error": what}, ensure_ascii=False))


def _say(error: RemedyError) -> None:
    from remedy.core.text import printable  # noqa: PLC0415 -- only when something went wrong

    where = f"{error.where}: " if error.where else ""
    click.echo(f"remedy: {printable(where + error.message, 2000)}", err=True)
    if error.hint:
        click.echo(f"        {printable(error.hint, 2000)}", err=True)
