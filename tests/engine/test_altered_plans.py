"""A plan in the record that is not the one that was approved is neither resumed nor undone."""

from __future__ import annotations

import pytest
from tests.worlds.memory import Journal

from remedy.core.canon import encode
from remedy.core.errors import PlanFileError
from remedy.core.values import Change, Command, Plan
from remedy.engine import replay


def test_a_masked_secret_is_no_command() -> None:
    """Where redaction has altered what was recorded, it is said so instead of being sent to a host."""
    made = Plan(
        "isolate",
        "web01",
        "R1",
        "INC-1",
        "",
        "{}",
        changes=(
            Change(
                "log in",
                "web01",
                Command(("x", "hunter2")),
            ),
        ),
    )
    altered = Plan(
        "isolate",
        "web01",
        "R1",
        "INC-1",
        "",
        "{}",
        changes=(
            Change(
                "log in",
                "web01",
                Command(("x", "<secret>")),
            ),
        ),
    )
    journal = Journal()
    journal.append(
        "plan", {"plan": encode(altered), "hash": made.hash, "action": "isolate"}, incident="INC-1", run="R1"
    )
    with pytest.raises(PlanFileError, match="not the one that was approved") as caught:
        replay.read(journal, "R1")
    assert "INC-1" in caught.value.hint
