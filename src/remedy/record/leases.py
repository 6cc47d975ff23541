"""Leases: which run holds which target, and whether the process behind it still lives.

Decides when a lease may be taken over: its process is gone from this machine for certain. A process is known by
machine name, boot id, PID namespace, PID and start time, so that a reused PID is not taken for it. Where one cannot
know (another machine, another container), the lease stands.
Leaves to others: the transaction, and the entries that every take, take-over and return leaves in the chain (journal).
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from remedy.core.errors import HeldByOther

_COLUMNS: Final = "target, run, holder, since, machine, boot, namespace, pid, started"
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process, for good: `started` is in clock ticks after boot. Empty `boot` or `namespace`: unknown."""

    machine: str
    boot: str
    namespace: str
    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a target since when (UTC), for which run. `holder` is the text for people."""

    target: str
    run: str
    holder: str
    since: str
    process: Process


def this_process(machine: str, pid: int, *, proc: Path = _PROC) -> Process:
    """The calling process as leases know it."""
    boot = _text(proc / "sys/kernel/random/boot_id")
    return Process(machine, boot, _namespace(proc), pid, start_time(pid, proc=proc) or 0)


def start_time(pid: int, *, proc: Path = _PROC) -> int | None:
    """When a process started, clock ticks after boot; None when there is no such process, or only its zombie.

    Field 22 of /proc/PID/stat (proc_pid_stat(5)); the name in brackets may hold blanks and brackets itself:

        812 (a (b) c) S 1 812 812 0 -1 4194560 93 0 0 0 0 0 0 0 20 0 1 0 4711 2527232 …
    """
    fields = _text(proc / str(pid) / "stat").rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in {"Z", "X", "x"}:  # noqa: PLR2004 -- fields 3 to 22
        return None
    return int(fields[19])


def is_gone(process: Process, me: Process, *, proc: Path = _PROC) -> bool:
    """True only when the process certainly no longer runs."""
    if not process.boot or not me.boot:
        return False
    if process.boot != me.boot:
        return process.machine == me.machine  # this machine has started again since
    if not process.namespace or process.namespace != me.namespace:
        return False  # its PID means something else there
    return start_time(process.pid, proc=proc) != process.started


def all_leases(db: sqlite3.Connection) -> tuple[Lease, ...]:
    """Every lease there is, by target."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM lease ORDER BY target").fetchall()  # noqa: S608 -- a constant
    return tuple(_lease(row) for row in rows)


def find(db: sqlite3.Connection, target: str) -> Lease | None:
    """The lease on a target."""
    row = db.execute(f"SELECT {_COLUMNS} FROM lease WHERE target = ?", (target,)).fetchone()  # noqa: S608
    return _lease(row) if row else None


def store(db: sqlite3.Connection, lease: Lease) -> None:
    """Write a lease in place of whatever was there."""
    values = (lease.target, lease.run, lease.holder, lease.since, *astuple(lease.process))
    db.execute(f"INSERT OR REPLACE INTO lease ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", values)  # noqa: S608


def remove(db: sqlite3.Connection, target: str) -> None:
    """Remove the lease on a target."""
    db.execute("DELETE FROM lease WHERE target = ?", (target,))


def refusal(lease: Lease) -> HeldByOther:
    """The error that says who holds the target, since when, for which run, and how to go on."""
    process = lease.process
    return HeldByOther(
        f"held by {lease.holder} since {lease.since} for run {lease.run or '(none)'}",
        where=lease.target,
        hint=f"wait for that run; if it hangs, end process {process.pid} on {process.machine}, then `remedy resume`",
    )


def _lease(row: tuple[str, str, str, str, str, str, str, int, int]) -> Lease:
    return Lease(*row[:4], Process(*row[4:]))


def _namespace(proc: Path) -> str:
    try:
        return str((proc / "self/ns/pid").readlink())
    except OSError:  # not Linux: unknown, so nothing is ever taken over
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
