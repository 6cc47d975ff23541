"""Is the dead-man timer of a run still ticking on this host?"""

from __future__ import annotations

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text

#: A shell function that sets `pids` to this user's timer processes of run $run. The brackets keep the question from
#: finding itself in the process list; `-O` leaves out impostors of other users; what grep prints counts, not its
#: status, which tells only that some process ended meanwhile.
FIND = r"""
find_timers() {
  pids=
  for f in $(grep -ls "remedy-[d]eadman-$run" /proc/[0-9]*/cmdline 2>/dev/null); do
    [ -O "$f" ] || continue
    p=${f#/proc/}; pids="$pids ${p%/cmdline}"
  done
}
"""
_STATE = FIND + 'run=$1; find_timers; [ -n "$pids" ] && echo armed || echo off'


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
