"""What `block`, `unblock` and `acl prepare` share: which devices, which addresses, and what must never be cut off.

The wiring between inventory, record and the actions; no decision of its own.
"""

from __future__ import annotations

import ipaddress
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.core.errors import UnknownTarget, UsageError

if TYPE_CHECKING:
    from remedy.cli.world import World
    from remedy.core.values import Cell, Site
    from remedy.devices.addresses import Span
    from remedy.engine.blocks import Standing
    from remedy.inventory.devices import Device

_MOST_DOORS: Final = 16


def until(text: str, now: datetime) -> str:
    """When a block that lasts `text` ("90m", "24h", "7d") ends: RFC 3339 UTC; empty for none. Raises UsageError."""
    if not text:
        return ""
    from remedy.devices.rulefile import lasting  # noqa: PLC0415 -- lazily

    return (now + lasting(text)).astimezone(UTC).isoformat(timespec="seconds")


def addresses(words: Sequence[str], files: Sequence[str]) -> tuple[str, ...]:
    """The addresses named on the command line and in files, one to a line; `#` begins a comment, `-` is stdin.

    Raises UsageError naming file and line of what is no address.
    """
    from remedy.devices.addresses import parse  # noqa: PLC0415 -- lazily

    out = [str(parse(word)) for word in words]
    for name in files:
        try:
            text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{name} cannot be read: {error}", hint="a text file with an address to a line") from error
        for number, line in enumerate(text.splitlines(), 1):
            for word in line.partition("#")[0].replace(",", " ").split():
                try:
                    out.append(str(parse(word)))
                except UsageError as error:
                    raise UsageError(error.message, where=f"{name}:{number}", hint=error.hint) from error
    if not out:
        raise UsageError("no address is given", hint="remedy block 203.0.113.7 198.51.100.0/24")
    return tuple(dict.fromkeys(out))


def devices(around: World, patterns: Sequence[str]) -> tuple[Device, ...]:
    """The devices of these names or patterns; without any, every device that lets the outside in (`remedy_gates`).

    Raises UnknownTarget, UsageError where there is none.
    """
    inventory = around.inventory
    if patterns:
        chosen = {name: inventory.device(name) for name in inventory.select(patterns)}
        if strangers := [name for name, one in chosen.items() if one is None]:
            raise UnknownTarget(
                f"{', '.join(strangers)} is no network device", hint="remedy_platform in the inventory says what it is"
            )
        return tuple(one for one in chosen.values() if one is not None)
    found = tuple(one for one in inventory.devices() if one.gates)
    if not found:
        raise UsageError(
            "the inventory names no device that lets the outside in",
            hint="give a firewall remedy_platform and remedy_gates; `remedy inventory check` says what is missing",
        )
    return found


def check(around: World, spans: Sequence[Span], found: Sequence[Device]) -> None:
    """Raise Refused when blocking these would cut off who must stay, or exceeds the budget."""
    from remedy.engine import blocks  # noqa: PLC0415 -- lazily

    budgets = [around.inventory.policy(one.name).budget for one in found]
    blocks.check(
        spans,
        keep=dict(_kept(around, found)),
        journal=around.record,
        now=time.time(),
        limits=blocks.Limits(
            min(budget.blocked_addresses for budget in budgets), min(budget.blocks_per_hour for budget in budgets)
        ),
    )


def _kept(around: World, found: Sequence[Device]) -> Iterator[tuple[str, list[str]]]:
    """Everybody who must stay reachable, with addresses; names that are no address are left to the probes."""
    inventory = around.inventory
    for host in inventory.hosts:
        policy = inventory.policy(host)
        if policy.management:
            yield f"management of {host}", [*policy.management]
        if policy.resolvers:
            yield f"the name servers of {host}", [*policy.resolvers]
        if policy.protected:
            yield f"{host}, which is protected", [*policy.addresses, *_literal(inventory.target(host).address)]
    for one in found:
        yield f"the device {one.name} itself", _literal(inventory.target(one.name).address)


def _literal(address: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(address))]
    except ValueError:
        return []


def doors(around: World) -> tuple[tuple[str, int], ...]:
    """TCP addresses and ports of our own that somebody at a blocked address can be asked to try, public ones first."""
    inventory = around.inventory
    out: list[tuple[int, str, int]] = []
    for host in inventory.hosts:
        policy = inventory.policy(host)
        hidden = "outside" in policy.unreachable_from
        out += [(hidden, address, port) for address in policy.addresses for port in policy.probe.tcp]
    return tuple((address, port) for _, address, port in sorted(out, key=lambda one: one[0])[:_MOST_DOORS])


def site(around: World, name: str, spans: Sequence[Span]) -> Site:
    """What the inventory knows around a device: of its vantages, those that stand at one of these addresses."""
    from dataclasses import replace  # noqa: PLC0415

    from remedy.devices.addresses import covers, parse  # noqa: PLC0415 -- lazily

    whole = around.site(name)
    there = [v for v in whole.vantages if any(covers(spans, parse(address)) for address in v.addresses)]
    return replace(whole, vantages=tuple(there))


def cells(around: World, blocks: Sequence[Standing]) -> tuple[Cell, ...]:
    """What these blocks had proven closed, from the record."""
    from remedy.engine import replay  # noqa: PLC0415 -- lazily

    found = [cell for one in blocks for cell in replay.proven_cells(replay.read(around.record, one.run).plan, set())]
    return tuple(dict.fromkeys(found))


def now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
