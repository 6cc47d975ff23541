"""What recovery and blocking were to cost, and what one run says of it: each target with its figure, met or missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from benchmarks.measuring import middle

Json = dict[str, Any]
_MEMORY: Final = 150.0
_SEND: Final = "remedy's Sessions.send"
_PASTE: Final = "pasted over one SSH channel"


def table(cases: dict[str, Json]) -> str:
    """The targets of all cases that were measured, as tables in Markdown; "" when none has any."""
    rows = [row for name, case in cases.items() for row in _rows(name, case)]
    restoring = [
        case for case in cases.values() if any("rate" in run for runs in case["runs"].values() for run in runs)
    ]
    peaks = [run["peak"] for case in restoring for runs in case["runs"].values() for run in runs if "peak" in run]
    if peaks:
        rows.append(_row("memory of remedy, the most in any run", f"< {_MEMORY:.0f} MB", max(peaks), _MEMORY, " MB"))
    return "\n".join(_titled("Recovery", rows) + _titled("Blocking", [*_blocking(cases)]))


def _titled(what: str, rows: list[str]) -> list[str]:
    head = ["| what | target | measured | |", "| --- | --- | --- | --- |"]
    return [f"### {what} against its targets", "", *head, *rows, ""] if rows else []


def _blocking(cases: dict[str, Json]) -> Iterator[str]:
    peaks: dict[str, float] = {}
    for name, case in cases.items():
        runs: dict[str, list[Json]] = case["runs"]
        if _SEND in runs:
            share = _wall(runs, _SEND) / _wall(runs, _PASTE)
            many = name.endswith("members onto a group")
            if many:
                yield _row(f"typing, {name}", f"≤ 1.3 of {_PASTE}", share, 1.3)
            peaks["many" if many else "few"] = max(run["peak"] for run in runs[_SEND])
        elif name.startswith("connecting"):
            share = _wall(runs, "remedy, to the prompt") / _wall(runs, "netmiko, to the prompt")
            yield _row(name, "≤ 1.0 of netmiko", share, 1.0)
        elif "devices at once" in name:
            one, all_of_them = runs
            share = _wall(runs, all_of_them) / _wall(runs, one)
            yield _row(f"{name}, beside one", f"≤ 1.3 of {one}", share, 1.3)
            more = max(run["peak"] for run in runs[all_of_them]) - max(run["peak"] for run in runs[one])
            yield _row(f"{name}: memory beside one", "< 100 MB more", more, 100, " MB")
    if len(peaks) > 1:
        more = max(0.0, peaks["many"] - peaks["few"])
        yield _row("memory of typing, thousands of members beside few", "< 10 MB more", more, 10, " MB")


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
    chunks = "remedy's load alone, mydumper's format, 2 clients"
    if chunks in runs and "myloader, 2 threads" in runs:  # not in older results; and it may have failed
        share = _wall(runs, chunks) / _wall(runs, "myloader, 2 threads")
        yield _row(f"load alone, mydumper's format, {size}", "≤ 1.1 of myloader, 2 threads", share, 1.1)


def _row(what: str, target: str, found: float, most: float, unit: str = "") -> str:
    return f"| {what} | {target} | {found:.2f}{unit} | {'met' if found <= most else '**missed**'} |"


def _wall(runs: dict[str, list[Json]], name: str) -> float:
    return middle([float(run["steps_wall"] if "steps_wall" in run else run["wall"]) for run in runs[name]])
