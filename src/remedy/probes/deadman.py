"""Is the dead-man timer of a run still ticking on this host?"""

from __future__ import annotations

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text

#: The brackets keep the question from finding itself in the process list.
_STATE = 'grep -ls "remedy-[d]eadman-$1" /proc/[0-9]*/cmdline >/dev/null 2>&1 && echo armed || echo off'


def state(run: str) -> Probe:
    """Ask for "armed" (a timer process of that run lives) or "off"."""
    return Probe(Command(("sh", "-c", _STATE, "remedy", run)), "deadman.state")


def parse_state(reply: Reply) -> Json:
    """Read one word. Sample: ``armed``."""
    word = text(reply, "looking for the dead-man timer").strip()
    if word not in {"armed", "off"}:
        raise AnswerUnusable("the target's answer about its timer makes no sense", hint="nothing was decided from it")
    return word


PARSERS = {"state": parse_state}
