"""Reachability, asked from a vantage point: which of these addresses and ports answer?

One program tries all cells at once, so a vantage costs one round trip and the silent cells share one wait.
TCP: SYN-ACK is "open", RST is "refused" (RFC 9293 §3.10.7). UDP: a datagram back is "open", ICMP port unreachable
is "refused" (RFC 1122 §4.1.3.1): both are answers of the far end, so both mean *reached*. Nothing at all is
"silent", an ICMP prohibition is "prohibited". A fault of the vantage's own (no socket, no port, no route) is "unable",
which proves nothing. Every cell is tried several times before it is silent:
one lost packet must not pass for containment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.values import Command, Probe, Reply
from remedy.probes import text

STATES = frozenset({"open", "refused", "silent", "prohibited", "unable"})

_NONSENSE, _NOTHING = "the probe's answer makes no sense", "the vantage point proves nothing"

#: Tries before a cell counts as silent, and seconds of silence after each. A control that is lost costs a cell, a proof
#: that is lost would pass a leak for containment: so a control gives up early, at eight times the slowest answer so
#: far, and a proof never does; it also keeps listening to its earlier tries until the last one is over.
CONTROL, PROOF = 2, 3
_WAIT = 0.4

_PYTHON = r"""
import errno, json, os, selectors, socket, struct, sys, time
tries, wait = int(sys.argv[1]), float(sys.argv[2])
hasty = tries < 3
patience = wait
cells = [c.split() for c in sys.argv[3:]]
state = ["silent"] * len(cells)
NAME = b"\x07example\x04test\x00"
def query():
    return os.urandom(2) + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + NAME + b"\x00\x01\x00\x01"
SAID = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "refused"}
NO = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPERM, errno.EACCES)
LATER = (errno.ETIMEDOUT, errno.EAGAIN)
def said(e):
    return SAID.get(e, "prohibited" if e in NO else "silent" if e in LATER else "unable")
sel = selectors.DefaultSelector()
def start(i):
    proto, host, port = cells[i]
    fam = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        s = socket.socket(fam, socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    except OSError:
        state[i] = "unable"
        return
    s.setblocking(False)
    e = s.connect_ex((host, int(port)))
    if e not in (0, errno.EINPROGRESS):
        state[i] = "unable" if e == errno.ENETUNREACH else said(e)
        s.close()
        return
    if proto != "tcp":
        try:
            s.send(query() if proto == "dns" else b"remedy probe")
        except OSError as x:
            state[i] = said(x.errno)
            s.close()
            return
    sel.register(s, selectors.EVENT_WRITE if proto == "tcp" else selectors.EVENT_READ, i)
def event(s, i):
    e = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if state[i] != "silent":
        return
    if e:
        state[i] = said(e)
    elif cells[i][0] == "tcp":
        state[i] = "open"
    else:
        try:
            s.recv(2048)
            state[i] = "open"
        except OSError as x:
            state[i] = said(x.errno)
for n in range(tries):
    left = [i for i in range(len(cells)) if state[i] == "silent"]
    if not left:
        break
    for i in left:
        start(i)
    begin = time.monotonic()
    end = begin + patience
    late = False  # what has come is read once more after the deadline: a busy vantage must not pass for a silent one
    while not late and any(state[i] == "silent" for i in left):
        late = time.monotonic() >= end
        for key, _ in sel.select(max(0.0, end - time.monotonic())):
            event(key.fileobj, key.data)
            sel.unregister(key.fileobj)
            key.fileobj.close()
            if hasty:
                patience = min(wait, max(0.1, 8 * (time.monotonic() - begin)))
                end = begin + patience
print(json.dumps(state))
"""

#: Without Python: bash tries TCP one cell in the background each; UDP and DNS cannot be told without it.
_BASH = r"""
n=0
for c in "$@"; do
  set -- $c
  if [ "$1" = tcp ]; then
    ( e=$(timeout 2 bash -c ": </dev/tcp/$2/$3" 2>&1); r=$?
      case "$r:$e" in
        0:*) s=open;; *refused*|*reset*) s=refused;; 124:*) s=silent;;
        *route*|*nreachable*|*ermi*|*rohibited*) s=prohibited;; *) s=unable;; esac
      printf '%s %s\n' "$n" "$s" ) &
  else printf '%s unable\n' "$n"; fi
  n=$((n + 1))
done
wait
"""

_SCRIPT = (
    "py=$1; sh=$2; tries=$3; wait=$4; shift 4; "
    'if command -v python3 >/dev/null 2>&1; then exec python3 -I -S -c "$py" "$tries" "$wait" "$@"; '
    'elif command -v bash >/dev/null 2>&1 && command -v timeout >/dev/null 2>&1; then exec sh -c "$sh" sh "$@"; '
    'else for c in "$@"; do echo "- unable"; done; fi'
)


def reach(cells: Sequence[tuple[str, str, int]], tries: int = PROOF) -> Probe:
    """Try cells of ("tcp" | "udp" | "dns", address, port); answers one state each, in order.

    At most about `tries` x 0.4 s of silence; needs python3 on the vantage, or bash for TCP alone.
    """
    words = tuple(f"{protocol} {address} {port}" for protocol, address, port in cells)
    argv = ("sh", "-c", _SCRIPT, "remedy", _PYTHON, _BASH, str(tries), str(_WAIT), *words)
    return Probe(Command(argv, root=False, seconds=20), "reach.states")


def parse_states(reply: Reply) -> Json:
    """Read the states.

    Sample from Python: ``["open", "refused", "silent"]``; from bash, in the order in which they were known::

        1 unable
        0 open
    """
    raw = text(reply, "probing").strip()
    if raw.startswith("["):
        try:
            states = json.loads(raw.splitlines()[-1])
        except (ValueError, RecursionError) as error:
            raise AnswerUnusable(
                "the probe's answer makes no sense", hint="the vantage point proves nothing"
            ) from error
    else:
        pairs = [line.split() for line in raw.splitlines()]
        if not all(len(pair) == 2 for pair in pairs):  # noqa: PLR2004 -- index and state
            raise AnswerUnusable(_NONSENSE, hint=_NOTHING)
        states = [s for _, s in sorted(pairs, key=lambda p: int(p[0]) if p[0].isdigit() else 0)]
    if not isinstance(states, list) or not all(isinstance(s, str) and s in STATES for s in states):
        raise AnswerUnusable(_NONSENSE, hint=_NOTHING)
    return list(states)


PARSERS = {"states": parse_states}
