"""The options that every acting command shares, and the one value they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Common:
    """The shared options. `inventory` and `record` are paths as given, "" when not."""

    inventory: str = ""
    record: str = ""
    incident: str = ""
    dry_run: bool = False
    yes: bool = False
    json: bool = False
    jsonl: bool = False
    verbose: int = 0
    quiet: bool = False
    color: bool = True
    out: str = ""


def looking(function: F) -> F:
    """-i, --record, --json, -v, -q, --no-color."""
    for option in (
        click.option("--no-color", is_flag=True, help="No colour, whatever the terminal ($NO_COLOR)."),
        click.option("-q", "--quiet", is_flag=True, help="Say only how it ended and what is in doubt."),
        click.option("-v", "--verbose", count=True, help="Show the exact commands, and every cell."),
        click.option(
            "--json", "json_", is_flag=True, help="One JSON document on standard output; never implies --yes."
        ),
        click.option("--record", metavar="FILE", help="Incident record ($REMEDY_RECORD)."),
        click.option("-i", "--inventory", metavar="PATH", help="Inventory file or folder ($REMEDY_INVENTORY)."),
    ):
        function = option(function)
    return function


def reading(function: F) -> F:
    """`looking`, and --incident, --jsonl."""
    for option in (
        click.option("--jsonl", is_flag=True, help="Stream events as JSON lines on standard output."),
        click.option("--incident", metavar="INC", envvar="REMEDY_INCIDENT", help="The incident this belongs to."),
    ):
        function = option(function)
    return looking(function)


def acting(function: F) -> F:
    """`reading`, and --dry-run, --yes, --out."""
    for option in (
        click.option("--out", metavar="FILE", help="Write the plan to a file for `remedy apply` (implies --dry-run)."),
        click.option("--yes", is_flag=True, help="Approve the plan without asking."),
        click.option("--dry-run", is_flag=True, help="Show the exact plan and change nothing (exit 10 if it would)."),
    ):
        function = option(function)
    return reading(function)


def common(ctx: click.Context, given: dict[str, Any]) -> Common:
    """Take the shared options out of `given`; what was said before the command's name counts too."""
    above: dict[str, Any] = ctx.find_root().obj or {}
    out = given.pop("out", None) or ""
    return Common(
        inventory=given.pop("inventory", None) or above.get("inventory") or "",
        record=given.pop("record", None) or above.get("record") or "",
        incident=given.pop("incident", None) or "",
        dry_run=given.pop("dry_run", False) or bool(out),
        yes=given.pop("yes", False),
        json=given.pop("json_", False),
        jsonl=given.pop("jsonl", False),
        verbose=given.pop("verbose", 0),
        quiet=given.pop("quiet", False),
        color=not given.pop("no_color", False),
        out=out,
    )
