"""The cases: what is compared with what, in which state of the network, and what is kept of each run.

All contenders of a case take turns (A B C A B C …), so that a busy minute of the machine hits everybody. Every run is
checked on the hosts' consoles before its time counts, and undone before the next.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import contenders
from benchmarks.contenders import Contender, Maker
from benchmarks.estate import INTERFACE, REMEDY, BrokenRun, Estate, estate
from benchmarks.measuring import Run, busy, load, measure

Json = dict[str, Any]
_LIVE_WITHOUT: Final = "all alive"
_LIVE_WITH: Final = "one dead"


@dataclass(frozen=True, slots=True)
class Settings:
    """How often, on how many hosts, over which round trip (milliseconds), and who (by name; all when empty)."""

    rounds: int = 5
    slow_rounds: int = 3
    hosts: int = 100
    delays: tuple[float, ...] = (0, 20)
    only: tuple[str, ...] = ()


def startup(settings: Settings) -> Iterator[tuple[str, Json]]:
    """How long it takes to say something."""
    programs = {
        "python -c pass": [contenders.PYTHON, "-c", "pass"],
        "a bare click program, --help": [contenders.PYTHON, str(contenders.PARTS / "bare_click.py"), "--help"],
        "remedy --help": [REMEDY, "--help"],
        "remedy --version": [REMEDY, "--version"],
        "ansible --version": [contenders.ANSIBLE, "--version"],
        "pyinfra --version": [contenders.PYINFRA, "--version"],
    }
    before = _state()
    runs: dict[str, list[Json]] = {name: [] for name in programs}
    for name, argv in programs.items():
        if measure(argv).status:  # also fills the caches
            raise BrokenRun(f"{name} failed")
    for _ in range(4 * settings.rounds):
        for name, argv in programs.items():
            runs[name].append(_kept(measure(argv)))
    yield "start-up", {"floor": "a bare click program, --help", "hosts": 0, **before, "runs": runs}


def one(settings: Settings) -> Iterator[tuple[str, Json]]:
    """One host, the whole process; and when its first packet leaves."""
    makers = (contenders.floor, contenders.remedy, contenders.transport, contenders.pyinfra, contenders.ansible)
    for delay in settings.delays:
        with estate(1, delay) as there:
            found = _compare(there, list(there.hosts), makers, settings, interface=INTERFACE)
        yield f"one host, {delay:g} ms", found


def certificate(settings: Settings) -> Iterator[tuple[str, Json]]:
    """One web server with every vantage point: what the proof costs on top."""
    with estate(1, 0) as there:
        runs = []
        before = _state()
        for _ in range(settings.rounds):
            made = contenders.remedy_full(there, ["web01"])
            run = measure(made.argv, marks=made.marks)
            _expect(made, run, {0, 22})
            made.undo(["web01"])
            runs.append(_kept(run, ["web01"]))
    yield "web01 with its full certificate", {"hosts": 1, **before, "runs": {"remedy isolate": runs}}


def fan_out(settings: Settings) -> Iterator[tuple[str, Json]]:
    """Many hosts, cold: nothing is open when the clock starts."""
    makers = (contenders.floor, contenders.remedy, contenders.transport, contenders.pyinfra, contenders.ansible)
    for delay in settings.delays:
        with estate(settings.hosts, delay) as there:
            found = _compare(there, list(there.hosts), makers, settings)
        yield f"{settings.hosts} hosts cold, {delay:g} ms", found


def connected(settings: Settings) -> Iterator[tuple[str, Json]]:
    """Many hosts whose connections are open; the cold floor beside them, since the target is a share of that."""
    makers = (contenders.floor, contenders.floor_open, contenders.transport_open)
    for delay in settings.delays:
        with estate(settings.hosts, delay) as there:
            found = _compare(there, list(there.hosts), makers, settings)
        yield f"{settings.hosts} hosts, connections open, {delay:g} ms", found


def dead(settings: Settings) -> Iterator[tuple[str, Json]]:
    """The same with one host that swallows every packet: when are the live ones done, and when is it known?"""
    makers = (contenders.floor, contenders.remedy, contenders.transport, contenders.pyinfra, contenders.ansible)
    with estate(settings.hosts, 0) as there:
        names = list(there.hosts)
        silent = names[len(names) // 2]
        live = [name for name in names if name != silent]
        runs: dict[str, list[Json]] = {}
        before = _state()
        for number in range(settings.slow_rounds):
            for make in _chosen(makers, settings):
                for state, off in ((_LIVE_WITHOUT, False), (_LIVE_WITH, True)):
                    if off:
                        there.lab.fault("loss", silent, 100)
                    made = make(there, names)
                    if made.slow and number > 1:
                        continue
                    run = _once(there, made, names, live if off else names, any_status=off)
                    if off:
                        there.lab.clear(silent)
                    there.require_clean(names)
                    runs.setdefault(f"{made.name}, {state}", []).append(_kept(run, live))
    yield f"{settings.hosts} hosts, one dead", {"hosts": len(names), "round_trip_ms": None, **before, "runs": runs}


CASES: Final[dict[str, Callable[[Settings], Iterator[tuple[str, Json]]]]] = {
    "start-up": startup,
    "one": one,
    "certificate": certificate,
    "fan-out": fan_out,
    "open": connected,
    "dead": dead,
}


def _chosen(makers: Sequence[Maker], settings: Settings) -> list[Maker]:
    return [make for make in makers if not settings.only or make.__name__ in settings.only]


def _compare(
    there: Estate, names: Sequence[str], makers: Sequence[Maker], settings: Settings, *, interface: str = ""
) -> Json:
    """Let everybody take turns; the first maker is the floor of the ratios."""
    runs: dict[str, list[Json]] = {}
    kept: Json = {"hosts": len(names), "round_trip_ms": round(there.round_trip(), 2), **_state()}
    for number in range(settings.rounds):
        for make in _chosen(makers, settings):
            made = make(there, names)
            if made.slow and number >= settings.slow_rounds:
                continue
            run = _once(there, made, names, names, interface=interface)
            there.require_clean(names)
            runs.setdefault(made.name, []).append(_kept(run, names))
    return {**kept, "load_after": load(), "floor": next(iter(runs)), "runs": runs}


def _once(
    there: Estate,
    made: Contender,
    names: Sequence[str],
    live: Sequence[str],
    *,
    any_status: bool = False,
    interface: str = "",
) -> Run:
    made.before(names)
    run = measure(made.argv, environment=made.environment, marks=made.marks, interface=interface)
    _expect(made, run, set(range(256)) - {0} if any_status else {made.status})
    if missing := set(live) - set(run.marks["done"]):
        raise BrokenRun(f"{made.name} did not say it was done with {sorted(missing)[:3]}: {run.said}")
    there.require_applied(live)
    made.undo(live)
    print(f"  {made.name:<40} {run.wall:8.3f} s", file=sys.stderr, flush=True)
    return run


def _expect(made: Contender, run: Run, statuses: set[int]) -> None:
    if run.status not in statuses:
        raise BrokenRun(f"{made.name} ended with {run.status}: {run.said}")


def _state() -> Json:
    """How quiet the machine was when we began."""
    return {"load_before": load(), "busy_before": round(busy(), 2)}


def _kept(run: Run, live: Sequence[str] = ()) -> Json:
    """What of a run goes into the results. A mark is when the last of the live hosts had it."""
    kept: Json = {"wall": round(run.wall, 4), "cpu": round(run.cpu, 4), "status": run.status}
    for mark, times in run.marks.items() if live else ():
        kept[mark] = round(max(times[name] for name in live), 4)
    if run.first_syn is not None:
        kept["first_syn"] = round(run.first_syn, 4)
    if steps := re.search(r"^steps (\S+) (\S+)$", run.said, re.MULTILINE):
        kept |= {"steps_wall": float(steps[1]), "steps_cpu": float(steps[2])}
    return kept


def tools() -> dict[str, Sequence[str]]:
    """What the results depend on, and how each says its version."""
    return {
        "remedy": [REMEDY, "--version"],
        "ansible-core": [contenders.ANSIBLE, "--version"],
        "pyinfra": [contenders.PYINFRA, "--version"],
        "openssh": ["ssh", "-V"],
    }


def missing() -> str:
    """What has to be installed first; empty when nothing."""
    if Path(contenders.PYINFRA).exists():
        return ""
    home = Path(contenders.PYINFRA).parents[1]
    return f"pyinfra is wanted in an environment of its own: python3 -m venv {home} && {home}/bin/pip install pyinfra"
