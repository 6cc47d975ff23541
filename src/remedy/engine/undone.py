"""What an undo leaves on record of the run that it has taken back.

Decides how such a run ends, so that nobody resumes it, and that it is not undone as long as something of it is left.
Leaves to others: what is left (`outcome`), and who counts as isolated then (`limits`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from remedy.core.canon import Json
from remedy.core.ports import Journal
from remedy.core.values import Plan
from remedy.engine.outcome import EXIT

__all__ = ["IN_PART", "remember"]

#: The status of a run of which layers are left that the undo could not take back: it is undone, or released, once more.
IN_PART: Final = "undone-in-part"


def remember(journal: Journal, plan: Plan, left: Sequence[str]) -> None:
    """Write the outcome of the run that `plan` took back into that run's own entries. Raises RecordUnavailable."""
    of = json.loads(plan.params)["of"]
    status, code = (IN_PART, EXIT["unverified"]) if left else ("undone", 0)
    body: dict[str, Json] = {"status": status, "exit_code": code, "action": of["action"], "target": plan.target}
    key = f"undone:{of['run']}:{plan.run}"
    journal.append("outcome", {**body, "by": plan.run}, incident=of["incident"], run=of["run"], key=key)
