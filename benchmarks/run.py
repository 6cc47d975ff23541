"""Measure remedy beside what a user would pick instead, in the lab. By hand, as root, on a quiet machine.

    python benchmarks/run.py                          everything (about half an hour)
    python benchmarks/run.py start-up one             some cases
    python benchmarks/run.py restore --quick          recovery, with a small database (without: 12 minutes)
    python benchmarks/run.py block --quick            blocking on emulated devices, few members (without: 5 minutes)
    python benchmarks/run.py record --quick           the record up to 100,000 entries (without: a million, 3 minutes)
    python benchmarks/run.py evidence --quick         collecting 200 MB of logs (without: 1 GiB, two minutes)
    python benchmarks/run.py fan-out --delay 0 --hosts 50 --rounds 3

Results go to benchmarks/results/DATE.json, cases merged into what the file has, and as tables to standard output.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import block, cases, evidence, machine, record, restore, tables, targets
from benchmarks.estate import BrokenRun

from remedy.core.errors import RemedyError

_RESTORE = "restore"
_BLOCK = "block"
_RECORD = "record"
_EVIDENCE = "evidence"


def main() -> int:
    """Run the chosen cases; 1 when one could not be measured."""
    given = _arguments()
    # Ended from outside, the lab still has to come down: unwind as for Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if given.tables:
        found = json.loads(given.out.read_text(encoding="utf-8"))
        print("\n".join(tables.table(name, case) for name, case in found["cases"].items()))
        print(targets.table(found["cases"]))
        return 0
    chosen_cases = given.case or [*cases.CASES, _RESTORE, _BLOCK, _RECORD, _EVIDENCE]
    lacks = [
        restore.missing() if _RESTORE in chosen_cases else "",
        cases.missing() if {*chosen_cases} - {_RESTORE, _BLOCK, _RECORD, _EVIDENCE} else "",
    ]
    if lack := "\n".join(filter(None, lacks)):
        print(lack, file=sys.stderr)
        return 1
    settings = cases.Settings(
        rounds=given.rounds,
        slow_rounds=min(given.rounds, given.slow_rounds),
        hosts=given.hosts,
        delays=tuple(given.delay or (0, 20)),
        only=tuple(given.only or ()),
    )
    measured: dict[str, dict[str, Any]] = {}
    for chosen in chosen_cases:
        print(chosen, file=sys.stderr, flush=True)
        try:
            for name, found in _measured(chosen, settings, given):
                _keep(given.out, name, found)
                measured[name] = found
                print(tables.table(name, found), flush=True)
        except (BrokenRun, RemedyError, TimeoutError) as error:
            print(f"{chosen}: not measured: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print(f"{chosen}: interrupted, not measured; the lab is down", file=sys.stderr)
            return 130
    print(targets.table(measured), flush=True)
    return 0


def _measured(chosen: str, settings: cases.Settings, given: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    if chosen == _RESTORE:
        return restore.restore(quick=given.quick, size=given.size, rounds=given.slow_rounds)
    if chosen == _BLOCK:
        return block.block(quick=given.quick, rounds=given.slow_rounds)
    if chosen == _RECORD:
        return record.record(quick=given.quick, rounds=given.slow_rounds)
    if chosen == _EVIDENCE:
        return evidence.evidence(quick=given.quick, rounds=given.slow_rounds)
    return cases.CASES[chosen](settings)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    today = Path(__file__).parent / "results" / f"{datetime.now(UTC):%Y-%m-%d}.json"
    names = [*cases.CASES, _RESTORE, _BLOCK, _RECORD, _EVIDENCE]
    # argparse wants the empty list among the choices, or naming no case would be an error.
    parser.add_argument("case", nargs="*", choices=[*names, []], metavar="CASE", help=f"of {names}; default all")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contender (start-up: four times that)")
    parser.add_argument("--slow-rounds", type=int, default=3, help="runs of those that take long")
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--delay", type=float, action="append", metavar="MS", help="round trip; default 0 and 20")
    parser.add_argument("--only", action="append", metavar="CONTENDER", help="a function of contenders.py")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="recovery: 150 MB alone; block: few members and devices; record: 100,000 entries",
    )
    parser.add_argument("--size", default="", help="recovery: of this size alone, such as 500M")
    parser.add_argument("--out", type=Path, default=today)
    parser.add_argument("--tables", action="store_true", help="measure nothing, print what the file has")
    return parser.parse_args()


def _keep(path: Path, name: str, found: dict[str, Any]) -> None:
    """Write the case into the file, whole or not at all."""
    kept: dict[str, Any] = {"schema_version": 1, "cases": {}}
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))
    tools = {**(restore.tools() if not restore.missing() else {}), **(cases.tools() if not cases.missing() else {})}
    tools |= block.tools()
    kept["machine"] = machine.describe(tools)
    kept["cases"][name] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **found}
    path.parent.mkdir(exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main())
