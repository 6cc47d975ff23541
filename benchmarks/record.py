"""The record as it grows to a million entries: what one more costs, what verifying costs, what a command costs.

    python benchmarks/run.py record               up to a million entries (about three minutes)
    python benchmarks/run.py record --quick       up to a hundred thousand

Decides the sizes, how the record gets there, and what has to hold for a run to count: a verification reads all of the
entries and finds no damage. One record grows from size to size, by the same code as an append (`parts/record_entries`).
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from benchmarks.estate import REMEDY, BrokenRun
from benchmarks.measuring import Run, busy, load, measure

Json = dict[str, Any]
_PART: Final = str(Path(__file__).resolve().parent / "parts" / "record_entries.py")
_MEGABYTE: Final = 1e6
#: Appends of one measured run.
_APPENDS: Final = 200
_SIGNED: Final = 50


def record(*, quick: bool, rounds: int) -> Iterator[tuple[str, Json]]:
    """The cases: all sizes side by side."""
    sizes = (1_000, 10_000, 100_000) if quick else (1_000, 10_000, 100_000, 1_000_000)
    cases: dict[str, dict[str, list[Json]]] = {}
    before = {"load_before": load(), "busy_before": round(busy(), 2)}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "state" / "record.db"
        for size in sizes:
            print(f"  {size:,} entries", file=sys.stderr, flush=True)
            grown = _part(path, "fill", size)
            _add(cases, "the way there", f"to {size:,} entries", grown)
            for _ in range(rounds):
                for case, name, count in (
                    (f"{_APPENDS} entries more, each on the disk", "append", _APPENDS),
                    (f"{_SIGNED} entries more, each signed", "sign", _SIGNED),
                ):
                    _add(cases, case, f"at {size:,} entries", _part(path, name, count))
                case = f"{_APPENDS} entries more, each on the disk"
                _add(cases, case, f"rows of plain SQLite, beside {size:,}", _part(path, "rows", _APPENDS))
                _add(cases, "a note, the whole command", f"at {size:,} entries", _note(path))
            _add(cases, "verifying", f"{size:,} entries", _part(path, "verify", size))
            _add(cases, "three entries with their proofs", f"of {size:,} entries", _part(path, "prove", size))
    for case, runs in cases.items():
        floor = next(iter(runs))
        yield f"record, {case}", {"floor": floor, "hosts": 0, **before, "load_after": load(), "runs": runs}


def _add(cases: dict[str, dict[str, list[Json]]], case: str, name: str, run: Run) -> None:
    kept: Json = {"wall": round(run.wall, 4), "cpu": round(run.cpu, 4), "status": run.status}
    last = run.said.strip().splitlines()[-1:] or [""]
    if last[0].startswith("steps "):
        wall, cpu, peak = map(float, last[0].split()[1:])
        kept |= {"steps_wall": wall, "steps_cpu": cpu, "peak": round(peak / _MEGABYTE, 1)}
    cases.setdefault(case, {}).setdefault(name, []).append(kept)


def _part(path: Path, what: str, count: int) -> Run:
    return _done(measure([sys.executable, _PART, str(path), what, str(count)], seconds=600))


def _note(path: Path) -> Run:
    incident = path.with_name("incident")
    if not incident.exists():
        opened = _done(measure([REMEDY, "--record", str(path), "incident", "open", "a benchmark", "--json", "-q"]))
        incident.write_text(json.loads(opened.said.splitlines()[0])["incident"])
    return _done(measure([REMEDY, "--record", str(path), "incident", "note", incident.read_text(), "seen"]))


def _done(run: Run) -> Run:
    if run.status:
        raise BrokenRun(f"ended with {run.status}: {run.said[-500:]}")
    return run
