"""The same three steps by remedy's transport alone: no plan, no rehearsal, no timer, no record, no certificate.

Usage: transport.py INVENTORY RULES WANTED HOST...   With --open first, all connections are opened before the clock
starts and the check goes over them too; otherwise the check is over a new login. Prints "verified HOST" per host, and
with --open last "steps WALL CPU" in seconds: the three steps alone, without start-up and without connecting.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from remedy.cli.options import Common
from remedy.cli.world import World
from remedy.core.errors import RemedyError
from remedy.core.values import Command
from remedy.engine import fleet
from remedy.probes import nft

_TABLES = ("inet remedy_isolation", "bridge remedy_isolation")


def main(argv: list[str]) -> int:
    """Run it; 0 when every host was verified."""
    warm = argv[0] == "--open"
    inventory, rules, wanted, *names = argv[warm:]
    text = Path(rules).read_text(encoding="utf-8")
    expected = Path(wanted).read_text(encoding="utf-8").rstrip("\n")
    world = World(Common(inventory=inventory))
    sessions = world.sessions

    def steps(name: str) -> bool:
        sessions.ask([nft.ruleset()], at=name)
        reply = sessions.send(Command(("nft", "-f", "-"), stdin=text), at=name)
        if not warm:
            sessions.renew(name)
        return reply.status == 0 and sessions.ask([nft.tables(*_TABLES)], at=name)[0] == expected

    def timed(name: str) -> bool:
        held = steps(name)
        if held:
            sys.stdout.write(f"verified {name}\n")
            sys.stdout.flush()
        return held

    try:
        if warm:
            fleet.each(names, lambda name: sessions.ask([nft.tables("inet none")], at=name))
        wall, cpu = time.monotonic(), time.process_time()
        found = fleet.each(names, timed)
        if warm:
            print(f"steps {time.monotonic() - wall:.6f} {time.process_time() - cpu:.6f}", flush=True)
    finally:
        world.close()
    for name, held in zip(names, found, strict=True):
        if held is not True:
            print(f"{name}: {held if isinstance(held, RemedyError) else 'not as wanted'}", file=sys.stderr)
    return 0 if all(held is True for held in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
