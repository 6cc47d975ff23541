"""What recovery was to cost, and what one run says of it: each target with the figure beside it, met or missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.measuring import middle

Json = dict[str, Any]
_MEMORY: Final = 150.0


def table(cases: dict[str, Json]) -> str:
    """The targets of all cases that were measured, as a table in Markdown; "" when none has any."""
    rows = [row for name, case in cases.items() for row in _rows(name, case)]
    peaks = [run["peak"] for case in cases.values() for runs in case["runs"].values() for run in runs if "peak" in run]
    if peaks:
        rows.append(_row("memory of remedy, the most in any run", f"< {_MEMORY:.0f} MB", max(peaks), _MEMORY, " MB"))
    head = ["| what | target | measured | |", "| --- | --- | --- | --- |"]
    return "\n".join(["### Recovery against its targets", "", *head, *rows]) + "\n" if rows else ""


def _rows(name: str, case: Json) -> Iterator[str]:
    runs: dict[str, list[Json]] = case["runs"]
    if name.startswith("reading "):
        yield from _reading(name, runs, case.get("floor", ""))
    elif name.startswith("restoring "):
        yield from _restoring(name.removeprefix("restoring "), runs)
    elif name.startswith("cut-over"):
        held = middle([run["frozen"] for run in runs["remedy restore"]])
        yield _row(f"writes held, {name}", "< 1 s", held, 1.0, " s")


def _reading(name: str, runs: dict[str, list[Json]], floor: str) -> Iterator[str]:
    speed = _wall(runs, floor) / _wall(runs, "remedy's reading alone")
    kept = "met" if speed >= 0.9 else "**missed**"  # noqa: PLR2004 -- the target
    yield f"| {name}, against {floor} | ≥ 0.9 of its speed | {speed:.2f} | {kept} |"


def _restoring(size: str, runs: dict[str, list[Json]]) -> Iterator[str]:
    base = _wall(runs, "mariadb < dump.sql")
    for name, found in runs.items():
        if name.startswith("remedy restore"):
            share = middle([run["live"] for run in found]) / base
            yield _row(f"{name}, {size}, until it is live", "≤ 0.85 of mariadb < dump.sql", share, 0.85)
    load = _wall(runs, "remedy's load alone, zst, 2 clients")
    yield _row(f"load alone, {size}", "≤ 0.70 of mariadb < dump.sql", load / base, 0.70)
    loader = _wall(runs, "myloader, 2 threads")
    yield _row(f"load alone, {size}", "≤ 1.1 of myloader, 2 threads", load / loader, 1.1)


def _row(what: str, target: str, found: float, most: float, unit: str = "") -> str:
    return f"| {what} | {target} | {found:.2f}{unit} | {'met' if found <= most else '**missed**'} |"


def _wall(runs: dict[str, list[Json]], name: str) -> float:
    return middle([float(run["steps_wall"] if "steps_wall" in run else run["wall"]) for run in runs[name]])
