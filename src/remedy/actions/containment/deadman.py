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

_END = r"""
end_timers() { for p in $pids; do kill -TERM "-$p" 2>/dev/null || kill -TERM "$p" 2>/dev/null; done; }
"""
#: 1. End timers left from before, so that a resumed run has its full time again. 2. Start the new one: sleep, then feed
#: the rules to the loader; under systemd in a scope of its own, because logind may kill what a session leaves behind
#: (logind.conf(5): KillUserProcesses). 3. Say yes only when it is seen to tick.
_ARM = (
    deadman.FIND
    + _END
    + r"""
run=$1 secs=$2; shift 2
rules=$(cat; printf x)
find_timers; old=" $pids "; end_timers
(
  if [ -d /run/systemd/system ] && systemd-run --quiet --collect --scope true 2>/dev/null; then
    own_scope='systemd-run --quiet --collect --scope'
  fi
  exec ${own_scope-} setsid sh -c 'rules=$1 secs=$2; shift 2; sleep "$secs"; printf %s "${rules%x}" | "$@"' \
    "remedy-deadman-$run" "$rules" "$secs" "$@"
) </dev/null >/dev/null 2>&1 &
n=0
while [ $n -lt 50 ]; do
  find_timers
  for p in $pids; do case $old in *" $p "*) ;; *) exit 0 ;; esac; done  # one that is still dying is not the new one
  n=$((n + 1)); sleep 0.02 2>/dev/null || sleep 1
done
echo 'the timer did not start' >&2; exit 1
"""
)
_DISARM = (
    deadman.FIND
    + _END
    + r"""
run=$1; find_timers
[ -n "$pids" ] || { echo 'no timer of this run is ticking' >&2; exit 3; }
end_timers
n=0  # until it is gone: who asks next must not see one that is still dying
while [ $n -lt 50 ]; do
  find_timers
  [ -n "$pids" ] || exit 0
  n=$((n + 1)); sleep 0.02 2>/dev/null || { sleep 1; n=$((n + 20)); }
done
exit 0
"""
)


def disarming(run: str) -> Command:
    """End the timer of a run; status 3 when none is ticking."""
    return Command(("sh", "-c", _DISARM, "remedy-disarm", run))


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
        disarm=disarming(context.run),
        state=deadman.state(context.run),
        seen=rules.seen,
        fallen=wanted(rules.before if reopen else rules.fallen),
    )
