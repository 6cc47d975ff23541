"""The dead-man timer: a detached process on the target that restores management reach by itself.

It survives the session that armed it (own session by setsid(1), no terminal, no open file), is found again by the
run's name in its argument vector, and is ended as a process group. It counts on the kernel's monotonic clock, so a
wrong wall clock on the target does not matter. It does not survive a reboot; neither do the rules until they are made
permanent, which happens only after it was disarmed.
"""

from __future__ import annotations

from remedy.actions.containment.rules import HostRules
from remedy.core.values import Command, Context, Guard, wanted
from remedy.probes import deadman

_ARM = (
    "run=$1 secs=$2; shift 2; rules=$(cat; printf x); "
    'grep -ls "remedy-[d]eadman-$run" /proc/[0-9]*/cmdline >/dev/null 2>&1 && exit 0; '
    'setsid sh -c \'rules=$1 secs=$2; shift 2; sleep "$secs"; printf %s "${rules%x}" | "$@"\' '
    '"remedy-deadman-$run" "$rules" "$secs" "$@" </dev/null >/dev/null 2>&1 & '
    'sleep 0.05 2>/dev/null; kill -0 $! || { echo "the timer did not start" >&2; exit 1; }'
)
#: The group is named without `--`: the kill of dash and of busybox does not know it.
_DISARM = (
    'found=1; for f in $(grep -ls "remedy-[d]eadman-$1" /proc/[0-9]*/cmdline 2>/dev/null); do '
    'p=${f#/proc/}; p=${p%/cmdline}; kill -TERM "-$p" 2>/dev/null || kill -TERM "$p" 2>/dev/null && found=0; '
    "done; [ $found = 0 ] || { echo 'no timer of this run is ticking' >&2; exit 3; }"
)


def guard(target: str, rules: HostRules, context: Context, *, seconds: int, reopen: bool) -> Guard:
    """The timer of one isolation. `reopen` is the explicit policy to give up containment when unconfirmed."""
    what = (
        "removes the isolation altogether (asked for by policy)"
        if reopen
        else "opens sshd's port to every address; everything else stays cut off"
    )
    fallback = rules.fallback
    return Guard(
        why=f"unless confirmed over a fresh login within {seconds} s, the host itself {what}",
        at=target,
        seconds=seconds,
        arm=Command(("sh", "-c", _ARM, "remedy-arm", context.run, str(seconds), *fallback.argv), stdin=fallback.stdin),
        disarm=Command(("sh", "-c", _DISARM, "remedy-disarm", context.run)),
        state=deadman.state(context.run),
        seen=rules.seen,
        fallen=wanted(rules.before if reopen else rules.fallen),
    )
