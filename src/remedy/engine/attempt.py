"""What a restore that failed shows of the backup it took: whether another one, another copy, or nothing is tried next.

Decides whose fault it was. A content that does not load, or is another one when it was dumped again, is no use in any
copy. Bytes that are not those that were judged, or a way to the copy that broke, speak against that copy alone. And a
database server that went away, a full disk or a broken session say nothing of any backup: an older one would not do
better, and to take it would throw data away. Leaves to others: the attempts themselves (cli), what is remembered.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from remedy.actions.prove import Prove
from remedy.backups.values import Judgement
from remedy.core.canon import Json
from remedy.engine.outcome import Outcome, Step
from remedy.engine.proof import OF_THE_HOST

#: `content`: this content does not restore, whichever copy it comes from. `copy`: what lies in this copy is not, or no
#: longer, what was judged. `way`: the copy could not be read to its end. "": none of it is the backup's.
Fault = Literal["content", "copy", "way", ""]

#: Said by a database server that is busy, or of a staging schema that somebody else has filled.
_BUSY: Final = re.compile(r"ERROR (?:1205|1213|1053|1290|1317|1927)\b|is not empty: it has")


def failing(outcome: Outcome) -> Step | None:
    """The step at which a run ended, if it was one that used the backup: loading it, comparing what was loaded.

    In an isolated server everything from the first stream on does: nothing else is in there.
    """
    if outcome.status != "failed":
        return None
    streams = {f"{n}" for n, change in enumerate(outcome.plan.changes, 1) if change.seen and change.transfer}
    if outcome.plan.action == Prove.name and streams:
        streams = {f"{n}" for n in range(min(map(int, streams)), len(outcome.plan.changes) + 1)}
    first = next((step for step in outcome.steps if not step.ok and step.name.isdecimal()), None)
    return first if first is not None and first.name in streams else None


def fault(outcome: Outcome, judgement: Judgement, results: Mapping[str, Json]) -> Fault:
    """Whose fault it is that a restore failed. `results` are those of its streams, by the steps' names."""
    step = failing(outcome)
    if step is None or step.late:
        return ""
    found = results.get(step.name)
    # What was read has a hash: another one than judged, or none because it could not be read to its end.
    if isinstance(found, dict) and found.get("sha256", judgement.sha256) != judgement.sha256:
        return "copy"
    at_host = step.said.startswith(f"{outcome.plan.target}: ")
    if isinstance(found, dict) and "different" in found:
        # A comparison speaks by what it found to differ; one that could not be made says nothing.
        return "content" if found["different"] else "" if at_host else "way"
    if OF_THE_HOST.search(step.said) or _BUSY.search(step.said):
        return "" if at_host else "way"
    return "content"
