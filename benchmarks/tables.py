"""Results as tables in Markdown: medians, spread, and ratios to the case's floor in the same run."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.measuring import middle

Json = dict[str, Any]
#: What is true of a part of a process as well as of the whole.
_ANYWAY: Final = frozenset({"rate", "frozen", "server_cpu", "peak"})
#: Above this share of the machine in other hands when a case began, its figures are marked as noisy.
_NOISY: Final = 0.15


def table(name: str, case: Json) -> str:
    """One case."""
    runs: dict[str, list[Json]] = case["runs"]
    first = runs.get(case.get("floor", ""), [])
    base = middle([_wall(run) for run in first]) if first else None
    optional = [
        ("first_syn", "first packet", 1000, "ms"),
        ("loaded", "rules loaded", 1, "s"),
        ("confirmed", "confirmed", 1, "s"),
        ("done", "last live host done", 1, "s"),
        ("rate", "dump text", 1, "MB/s"),
        ("loaded_at", "loaded", 1, "s"),
        ("compared", "compared", 1, "s"),
        ("live", "live (ratio)", 1, "s"),
        ("frozen", "writes held", 1, "s"),
        ("server_cpu", "server CPU", 1, "s"),
        ("peak", "peak memory", 1, "MB"),
    ]
    columns = [entry for entry in optional if any(entry[0] in run for row in runs.values() for run in row)]
    head = ["", "n", "median", "min to max", *(["ratio"] if base else []), "client CPU"]
    head += [title for _, title, _, _ in columns]
    lines = [f"### {name}", "", _remark(case), "", _row(head), _row(["---"] * len(head))]
    for who, row in runs.items():
        walls = [_wall(run) for run in row]
        share = middle([run["steps_cpu"] if "steps_cpu" in run else run["cpu"] for run in row])
        cells = [who, str(len(row)), _seconds(middle(walls)), f"{_seconds(min(walls))} to {_seconds(max(walls))}"]
        cells += [f"{middle(walls) / base:.2f}"] if base else []
        cells += [f"{share * 1000 / max(1, case['hosts']):.1f} ms{' a host' if case['hosts'] > 1 else ''}"]
        for key, _, scale, unit in columns:
            # Marks count from the process start; where only the steps count they would mislead.
            found = [run[key] for run in row if key in run and ("steps_wall" not in run or key in _ANYWAY)]
            cells.append(f"{middle(found) * scale:.{3 if unit == 's' else 0}f} {unit}" if found else "")
            if key == "live" and found and base:
                cells[-1] += f" ({middle(found) / base:.2f})"
        lines.append(_row(cells))
    return "\n".join(lines) + "\n"


def _wall(run: Json) -> float:
    """Where connections were opened by the same process beforehand, only the steps count."""
    return float(run["steps_wall"] if "steps_wall" in run else run["wall"])


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _remark(case: Json) -> str:
    words = [f"load {case['load_before']:g}, {case['busy_before']:.0%} of the machine in other hands at the start"]
    if case.get("round_trip_ms") is not None:
        words.insert(0, f"round trip {case['round_trip_ms']:g} ms")
    noisy = " **Noisy.**" if case["busy_before"] > _NOISY else ""
    return "; ".join(words) + "." + noisy


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
