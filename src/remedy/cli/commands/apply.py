"""`remedy apply`: carry out a saved plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from remedy import __version__
from remedy.cli.act import Acting, screen_of
from remedy.cli.options import acting, common
from remedy.cli.world import world
from remedy.core.canon import decode
from remedy.core.errors import PlanFileError
from remedy.core.values import PLAN_SCHEMA, Context, Plan

_LARGEST = 64 * 1024 * 1024


def load(path: Path) -> list[Plan]:
    """The plans of a file written with --out.

    Raises PlanFileError: unreadable, no JSON, from another version, an option this version does not know, or a plan
    that is not the one its hash names.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise PlanFileError("is far too large for a plan", where=str(path))
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        hint = "write one with: remedy isolate HOST --out FILE"
        raise PlanFileError(f"cannot be read as a plan: {error}", where=str(path), hint=hint) from error
    if not isinstance(data, dict) or set(data) != {"remedy", "plans"} or not isinstance(data["plans"], list):
        raise PlanFileError(
            "is not a plan file", where=str(path), hint="write one with: remedy isolate HOST --out FILE"
        )
    if data["remedy"] != __version__:
        raise PlanFileError(
            f"was written by remedy {str(data['remedy'])[:40]!r}; this is {__version__}",
            where=str(path),
            hint="make the plan again with this version",
        )
    plans: list[Plan] = []
    for item in data["plans"]:
        if not isinstance(item, dict) or set(item) != {"hash", "plan"}:
            raise PlanFileError("is not a plan file", where=str(path))
        plan = decode(Plan, item["plan"], where=f"{path}: plan")
        if plan.schema != PLAN_SCHEMA:
            raise PlanFileError(f"has plan format {plan.schema}; this remedy knows {PLAN_SCHEMA}", where=str(path))
        if plan.hash != item["hash"]:
            raise PlanFileError(
                "the plan has been altered since it was written",
                where=str(path),
                hint="do not use it: make the plan again, and find out who changed the file",
            )
        plans.append(plan)
    if not plans:
        raise PlanFileError("has no plan in it", where=str(path), hint="write one with: remedy isolate HOST --out FILE")
    return plans


@click.command(
    "apply",
    epilog="""\b
Examples:
  remedy isolate web01 --out plan.json && remedy apply plan.json
""",
)
@click.argument("file", type=click.Path(path_type=Path))
@acting
@click.pass_context
def command(ctx: click.Context, /, file: Path, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Carry out a saved plan: exactly those bytes, or nothing.

    The plan is computed again from live facts; when it comes out different in any byte that would be sent, it is
    refused (exit 25). Only plans that this record made are taken, and each only once.
    """
    plans = load(file)
    with world(common(ctx, given)) as around:
        from remedy.actions import build  # noqa: PLC0415 -- lazily, with all below it
        from remedy.cli import blocking  # noqa: PLC0415
        from remedy.engine import limits, replay  # noqa: PLC0415
        from remedy.engine.job import Job  # noqa: PLC0415

        cut_off = {*limits.isolated(around.record), *(plan.target for plan in plans)}
        jobs = []
        for plan in plans:
            replay.refuse_stranger(around.record, plan)
            replay.refuse_second_time(around.record, plan.run)
            context = Context(plan.run, plan.incident, plan.anchor)
            action = build(plan.action, plan.params)
            jobs.append(Job(action, around.target(plan.target), around.site(plan.target, cut_off=cut_off), context))
        acting_ = Acting("apply", around, screen_of(around.options, around))
        code = acting_.carry(jobs, plans[0].incident if plans else "", saved=plans)
        blocking.remember(around, acting_.outcomes)
        return code
