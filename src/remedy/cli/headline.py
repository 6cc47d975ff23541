"""The one line that says how a run ended, and its style.

Decides the words; "isolated" or "blocking" is said only of what is proven.
"""

from __future__ import annotations

import json
from typing import Final

from remedy.engine.outcome import Outcome

#: What a target is when its action is proven.
_DONE: Final = {
    "isolate": "isolated",
    "release": "released",
    "undo": "undone",
    "block": "blocking",
    "unblock": "no longer blocking",
    "prepare": "prepared",
    "push": "filtering as the file says",
}


def headline(outcome: Outcome) -> tuple[str, str]:
    """The one line that matters, and its style. "Isolated" is said only of what is proven."""
    plan = outcome.plan
    done = _DONE.get(plan.action, "done")
    if plan.action == "push" and json.loads(plan.params).get("ended"):
        done = "rid of the rules that have ended"
    count = sum(len(v.expect.cells) for v in outcome.verdicts)
    words = {
        "verified": (f"{plan.target} is {done}: verified{f', {count} cells proven' if count else ''}", "bold green"),
        "unchanged": (f"{plan.target}: nothing to do, and what was asked for holds", "bold green"),
        "unverified": (f"{plan.target}: applied, UNVERIFIED", "bold yellow"),
        "rolled-back": (
            f"{plan.target}: not confirmed in time; its timer restored management, the host stays cut off",
            "bold yellow",
        ),
        "reopened": (
            f"{plan.target}: not confirmed in time; its timer gave the isolation up: the host is NOT cut off",
            "bold red",
        ),
        "reverted": (
            f"{plan.target}: not confirmed in time; its own timer put the configuration back: NOTHING is changed",
            "bold yellow",
        ),
        "failed": (f"{plan.target}: FAILED", "bold red"),
        "unreachable": (f"{plan.target}: UNREACHABLE", "bold red"),
    }
    return words[outcome.status]
