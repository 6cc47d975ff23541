"""A run that an older remedy began, went on with or taken back by this one."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.worlds.memory import Killed
from tests.worlds.toy import Contain, Desk

from remedy.actions.undo import Undo
from remedy.core.canon import canonical, digest
from remedy.core.errors import PlanFileError
from remedy.core.values import PLAN_SCHEMA
from remedy.engine import replay

#: What a step of a plan has not got in each format.
ADDED = {1: ("transfer", "halfway", "repeats", "guard", "reaching"), 2: ("repeats", "guard", "reaching"), 3: ()}
#: The first format whose timers can be started anew.
AGAIN = 4


def recorded(desk: Desk, schema: int, added: tuple[str, ...]) -> str:
    """Make the record's plan one of that format, without what it had not, everywhere; the hash it was approved by."""
    pages = desk.journal().pages
    (entry,) = (one for one in pages.entries if one.kind == "plan")
    body = json.loads(entry.body)
    body["plan"]["schema"] = schema
    for change in (*body["plan"]["changes"], *body["plan"]["keep"]):
        for name in added:
            del change[name]
    if schema < AGAIN:
        del body["plan"]["guard"]["again"]
    old, new = body["hash"], digest(body["plan"])
    body["hash"] = new
    texts = {one.seq: canonical(body).decode() if one is entry else one.body.replace(old, new) for one in pages.entries}
    pages.entries[:] = [replace(one, body=texts[one.seq]) for one in pages.entries]
    return new


def begun(ends_after: int) -> Desk:
    """An isolation whose process was killed."""
    desk = Desk()
    with contextlib.suppress(Killed):
        desk.apply(Contain(), engine=desk.engine(ends_after))
    return desk


@pytest.mark.parametrize("schema", sorted(ADDED))
def test_a_run_begun_before_an_update_is_resumed_after_it(schema: int) -> None:
    """What an older version recorded is gone on with, and every entry names the plan by the hash that was approved."""
    desk = begun(7)
    approved = recorded(desk, schema, ADDED[schema])
    engine = desk.engine(None)
    (run,) = replay.unfinished(engine.journal)
    assert run.plan.hash == approved
    assert replay.resume(engine, run).exit_code == 0
    bodies: list[dict[str, Any]] = [json.loads(one.body) for one in engine.journal.entries(run="R1")]
    assert {body["plan"] for body in bodies if isinstance(body.get("plan"), str)} == {approved}
    assert list(replay.unfinished(engine.journal)) == []


@pytest.mark.parametrize("schema", sorted(ADDED))
def test_a_run_of_an_older_version_is_taken_back(schema: int) -> None:
    """Undo reads the old plan, and the plan of the undo, which holds the old one, is read again as well."""
    desk = Desk()
    start = desk.toy.snapshot()
    desk.apply(Contain())
    recorded(desk, schema, ADDED[schema])
    engine = desk.engine(None)
    outcome = desk.apply(Undo(replay.read(engine.journal, "R1").plan), "U1", engine)
    assert outcome.exit_code == 0
    assert {**desk.toy.snapshot(), "flows": "live"} == start
    assert replay.read(engine.journal, "U1").plan.action == "undo"


def test_a_run_of_a_newer_version_is_left_to_it() -> None:
    """A plan of a format that is not known is not guessed at: nothing is sent, and the error says what to use."""
    desk = begun(7)
    recorded(desk, PLAN_SCHEMA + 1, ())
    engine = desk.engine(None)
    sent = len(desk.toy.sent)
    with pytest.raises(PlanFileError, match="plan format") as caught:
        list(replay.unfinished(engine.journal))
    assert "use the version of remedy that wrote it" in caught.value.hint
    assert len(desk.toy.sent) == sent
