"""What restoring a backup in an isolated server showed of it.

Decides the judgement that follows from a run of `actions.prove`: proven when everything held; not proven when what was
loaded, compared or asked speaks against the backup; and no verdict at all when the staging host failed, for then
nothing was learned about the backup. Leaves to others: the run itself, and remembering (`verdicts`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from remedy.backups.values import LEVELS, Contents, Finding, Judgement
from remedy.core.canon import Json, decode
from remedy.core.errors import Partial, PlanFileError
from remedy.core.ports import Journal
from remedy.engine.outcome import Outcome, Step
from remedy.engine.verdicts import OF_PROOFS

#: The finding of a backup that did not restore.
FAILED: Final = "proof"
#: How the script of `recovery.instance` is called that clears up: that it fails says nothing of the backup.
_REMOVE: Final = "remedy-remove"
#: Said by a server or a way to it that gave out, whatever it was given: disk full, killed, gone, out of memory.
OF_THE_HOST: Final = re.compile(
    r"no space left|disk (?:is )?full|errcode: 28\b|errno: 28\b|error 28\b|ERROR 1021\b|ERROR 1114\b|table '.*' is full"
    r"|gone away|lost connection|can't connect|cannot connect|killed|out of memory"
    r"|ERROR (?:1037|1038|1041|2002|2006|2013)\b"
    r"|no answer|refused the connection|went silent|broke|was ended from outside",
    re.IGNORECASE,
)


def judged(judgement: Judgement, outcome: Outcome, results: Mapping[str, Json], *, now: int, seconds: int) -> Judgement:
    """The judgement after the run. `results` are those of its streams, by the steps' names; times as in `Judgement`.

    Raises Partial when the staging host, and not the backup, is to blame.
    """
    judgement = replace(judgement, at=now, seconds=seconds, contents=_contents(judgement.contents, results))
    findings = tuple(one for one in judgement.findings if one.code not in OF_PROOFS)
    failed = [step for step in outcome.steps if not step.ok and not _is(step, outcome, _REMOVE)]
    tried = {step.name for step in outcome.steps if step.ok and step.name.isdecimal()}
    wanted = {f"{n}" for n, one in enumerate(outcome.plan.changes, 1) if _REMOVE not in one.do.argv}
    if not failed and wanted and wanted <= tried:
        return replace(judgement, level=LEVELS[-1], findings=findings)
    against = [step for step in failed if _is_of_the_backup(step, outcome)]
    if not against:
        said = failed[0].said or failed[0].why if failed else "; ".join(outcome.doubts) or outcome.status
        raise Partial(
            f"it could not be tried: {said}",
            where=outcome.plan.target,
            hint="nothing is known of the backup by it; put the staging host right, or name another, and repeat",
        )
    text = "; ".join(f"{step.why}: {step.said}" for step in against)
    return replace(judgement, findings=(*findings, Finding(FAILED, f"it did not restore: {text}")))


def results(journal: Journal, run: str) -> dict[str, Json]:
    """What the streams of a run came to, by the names of its steps."""
    found: dict[str, Json] = {}
    for entry in journal.entries(run=run, kinds=("sent",)):
        body = cast("dict[str, Any]", json.loads(entry.body))
        if "result" in body:
            found[body["step"]] = body["result"]
    return found


def _is_of_the_backup(step: Step, outcome: Outcome) -> bool:
    """Whether a failed step speaks against the backup: one that used it, and was not stopped by the host."""
    changes = outcome.plan.changes
    if not step.name.isdecimal():
        return False
    first = next((n for n, change in enumerate(changes, 1) if change.transfer is not None), len(changes) + 1)
    return int(step.name) >= first and not step.late and not OF_THE_HOST.search(step.said)


def _is(step: Step, outcome: Outcome, word: str) -> bool:
    """Whether a step of the plan, or taking one back, runs the script of that name."""
    if step.name.isdecimal():
        return word in outcome.plan.changes[int(step.name) - 1].do.argv
    return step.name.startswith("u")


def _contents(contents: Contents, found: Mapping[str, Json]) -> Contents:
    """What a physical backup holds is known once a server was started on it; what it says of itself stays."""
    for result in found.values():
        if isinstance(result, dict) and "contents" in result:
            try:
                return replace(decode(Contents, result["contents"]), facts=contents.facts, findings=contents.findings)
            except PlanFileError:
                return contents
    return contents
