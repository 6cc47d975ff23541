"""What commands on devices share: which devices, which addresses, what must never be cut off, and what has ended.

The wiring between inventory, record and the actions; no decision of its own.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from remedy.core.errors import Refused, UnknownTarget, UsageError

if TYPE_CHECKING:
    from remedy.actions.perimeter.harm import Way
    from remedy.cli.world import World
    from remedy.core.canon import Json
    from remedy.core.errors import RemedyError
    from remedy.core.values import Cell, Plan, Site, Target
    from remedy.devices.addresses import Span
    from remedy.engine.blocks import Standing
    from remedy.engine.job import Job
    from remedy.engine.outcome import Outcome
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
        for number, line in enumerate(written(name, "a text file with an address to a line").splitlines(), 1):
            for word in line.partition("#")[0].replace(",", " ").split():
                try:
                    out.append(str(parse(word)))
                except UsageError as error:
                    raise UsageError(error.message, where=f"{name}:{number}", hint=error.hint) from error
    if not out:
        raise UsageError("no address is given", hint="remedy block 203.0.113.7 198.51.100.0/24")
    return tuple(dict.fromkeys(out))


def written(name: str, hint: str) -> str:
    """The text of a file in UTF-8, `-` being standard input; its line ends stay what they are. Raises UsageError."""
    try:
        return (sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{name} cannot be read: {error}", hint=f"{hint}, in UTF-8") from error


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


def admit(around: World, plan: Plan) -> None:
    """Ask the limits once more just before a block or push is carried out, a saved one above all. Raises Refused."""
    from remedy.devices.addresses import merged, parse  # noqa: PLC0415 -- lazily

    found = around.inventory.device(plan.target)
    if plan.action == "push":
        _require_known(around, plan, (found,) if found else ())
        return
    spans = merged(parse(address) for address in json.loads(plan.params)["addresses"])
    check(around, spans, (found,) if found else (), counted=True)


def _require_known(around: World, plan: Plan, found: Sequence[Device]) -> None:
    """Raise Refused when somebody has to stay reachable now whom the plan of a push did not ask about."""
    known = {(who, tuple(there)) for who, there in json.loads(plan.params)["keep"]}
    for who, there in kept(around, found):
        if there and (who, tuple(there)) not in known:
            raise Refused(
                f"the plan does not know of {who}: the inventory has changed since it was made",
                hint="nothing was changed; plan again",
            )


def check(around: World, spans: Sequence[Span], found: Sequence[Device], *, counted: bool = False) -> None:
    """Raise Refused when blocking these would cut off who must stay, or exceeds the budget."""
    from remedy.engine import blocks  # noqa: PLC0415 -- lazily

    budgets = [around.inventory.policy(one.name).budget for one in found]
    if not budgets:
        raise UnknownTarget("the device of this plan is none any more", hint="remedy_platform says what a device is")
    blocks.check(
        spans,
        keep=dict(kept(around, found)),
        journal=around.record,
        now=time.time(),
        limits=blocks.Limits(
            min(budget.blocked_addresses for budget in budgets), min(budget.blocks_per_hour for budget in budgets)
        ),
        counted=counted,
    )


def kept(around: World, found: Sequence[Device]) -> Iterator[tuple[str, list[str]]]:
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
        target = inventory.target(one.name)
        yield f"the device {one.name} itself", _literal(target.address)
        for hop in target.jump:
            yield f"the jump host {hop.name}", _literal(hop.address)
        yield "the controller itself", _source((target.jump[0] if target.jump else target).address)


def ours(around: World, spans: Sequence[Span]) -> tuple[str, ...]:
    """The hosts of the inventory that stand at one of these addresses, and are not protected, with where they do."""
    from remedy.devices.addresses import parse, touched  # noqa: PLC0415 -- lazily

    inventory = around.inventory
    there: dict[Span, str] = {}
    for host in inventory.hosts:
        policy = inventory.policy(host)
        if not policy.protected:
            there.update((parse(one), host) for one in (*policy.addresses, *_literal(inventory.target(host).address)))
    return tuple(f"{there[span]} ({span})" for span in touched(there, spans))


def _source(address: str) -> list[str]:
    """The address of ours that packets to a device leave with, where no DNS is needed to know; nothing is sent."""
    for literal in _literal(address):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET6 if ":" in literal else socket.AF_INET, socket.SOCK_DGRAM) as probe,
        ):
            probe.connect((literal, 9))
            return _literal(str(probe.getsockname()[0]))
    return []


def _literal(address: str) -> list[str]:
    try:
        return [str(ipaddress.ip_address(address))]
    except ValueError:
        return []


def ways(target: Target) -> tuple[Way, ...]:
    """How we reach a device: from the jump host next to it, or from the address that packets leave here with."""
    from remedy.actions.perimeter.harm import Way  # noqa: PLC0415 -- lazily
    from remedy.devices.addresses import parse  # noqa: PLC0415

    found = []
    with contextlib.suppress(OSError, UnicodeError, UsageError):
        if target.jump:
            source, there = target.jump[-1].address, target.address
            if parse(source).is_host and parse(there).is_host:
                found.append(Way(source, there, target.port))
        else:
            for family, kind, protocol, _, peer in socket.getaddrinfo(
                target.address, target.port, type=socket.SOCK_DGRAM
            ):
                with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as probe:
                    probe.connect(peer)  # UDP: nothing is sent
                    source, there = (str(end[0]).partition("%")[0] for end in (probe.getsockname(), peer))
                    found.append(Way(source, there, target.port))
    return tuple(dict.fromkeys(found))


def doors(around: World, device: Device) -> tuple[tuple[str, int], ...]:
    """TCP addresses and ports of our own that somebody at a blocked address can be asked to try, public ones first.

    Those behind the device, where the inventory says what is (`remedy_behind`): no other block stops anybody there.
    """
    from remedy.devices.addresses import covers, parse  # noqa: PLC0415 -- lazily

    inventory = around.inventory
    out: list[tuple[int, str, int]] = []
    for host in inventory.hosts:
        policy = inventory.policy(host)
        hidden = "outside" in policy.unreachable_from
        there = [one for one in policy.addresses if not device.behind or covers(device.behind, parse(one))]
        out += [(hidden, address, port) for address in there for port in policy.probe.tcp]
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

    found: list[Cell] = []
    for one in blocks:
        with contextlib.suppress(UsageError):  # prolonged when it stood already: it has proven nothing of its own
            found += replay.proven_cells(replay.read(around.record, one.run).plan, set())
    return tuple(dict.fromkeys(found))


def expiring(around: World, names: Sequence[str] | None = None, *, incident: str = "") -> list[list[Job]]:
    """The jobs that take off, on each device, what was blocked or pushed for a time that is over; see `rounds`.

    `names` are the devices asked about (None: all), `incident` the one whose runs count ("": all). What another block
    or push keeps stays. The inventory is read only when something is due; a device that it no longer has is left out.
    """
    jobs = [*_blocks_over(around, incident), *_pushes_over(around, incident)]
    return rounds([job for job in jobs if names is None or job.target.name in names])


def rounds(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs to be done one list after the other, no device twice in a list: all of a list go at once."""
    out: list[list[Job]] = []
    for job in jobs:
        free = next((one for one in out if all(job.target.name != other.target.name for other in one)), None)
        if free is None:
            out.append(free := [])
        free.append(job)
    return out


def is_timed(around: World, incident: str) -> bool:
    """Whether anything of an incident stands that has an end."""
    from remedy.engine import blocks, pushes  # noqa: PLC0415 -- lazily

    if any(one.until and one.incident == incident for one in blocks.standing(around.record)):
        return True
    return any(one.ends and one.incident == incident for one in pushes.standing(around.record))


def _blocks_over(around: World, incident: str) -> Iterator[Job]:
    """A job for each device that still blocks what is over, under the block's incident."""
    from remedy.devices.addresses import merged, subtract  # noqa: PLC0415 -- lazily
    from remedy.engine import blocks  # noqa: PLC0415

    there = blocks.standing(around.record)
    over = blocks.expired(there, now().timestamp())
    for name in dict.fromkeys(one.device for one in over if incident in {"", one.incident}):
        mine = [one for one in over if one.device == name and incident in {"", one.incident}]
        going = [span for one in there if one.device == name and one not in over for span in one.spans]
        left = subtract(merged(span for one in mine for span in one.spans), going)
        found = around.inventory.device(name) if left and name in around.inventory.hosts else None
        if found is not None:
            yield unblocking(around, found, left, mine[-1].incident)


def _pushes_over(around: World, incident: str) -> Iterator[Job]:
    """A job for each push of whose rules some are over, under its incident."""
    from dataclasses import replace  # noqa: PLC0415

    from remedy.engine import pushes  # noqa: PLC0415 -- lazily
    from remedy.engine.job import Job  # noqa: PLC0415

    for one in pushes.expired(pushes.standing(around.record), now()):
        found = around.inventory.device(one.device) if one.device in around.inventory.hosts else None
        if found is not None and incident in {"", one.incident}:
            target = around.target(one.device)
            keep = tuple((who, tuple(there)) for who, there in kept(around, (found,)) if there)
            action = replace(one.ending(now()), vendor=found.vendor.name, ways=ways(target), keep=keep)
            yield Job(action, target, site(around, one.device, ()), around.context(one.incident))


def unblocking(around: World, one: Device, spans: Sequence[Span], incident: str) -> Job:
    """The job that takes these off the block of a device; whoever was proven closed out is asked again."""
    from remedy.actions.unblock import Unblock  # noqa: PLC0415 -- lazily
    from remedy.devices.addresses import touched  # noqa: PLC0415
    from remedy.engine import blocks  # noqa: PLC0415
    from remedy.engine.job import Job  # noqa: PLC0415

    theirs = [b for b in blocks.standing(around.record) if b.device == one.name and touched(b.spans, spans)]
    return Job(
        Unblock(one.vendor.name, one.gates, tuple(map(str, spans)), cells(around, theirs)),
        around.target(one.name),
        site(around, one.name, spans),
        around.context(incident),
    )


def take_off(around: World, *, incident: str = "") -> list[tuple[str, Outcome | RemedyError]]:
    """Take off what was blocked or pushed for a time that is over: how each device ended, by name.

    The approval is that of the block or push, which said until when.
    """
    from remedy.engine import fleet  # noqa: PLC0415 -- lazily

    out: list[tuple[str, Outcome | RemedyError]] = []
    due = expiring(around, incident=incident)
    if not due:
        return out
    engine = around.engine()
    for jobs in due:
        ended = fleet.each(jobs, lambda job: engine.at_once(job, lambda plan: engine.approve(plan, around.actor)))
        remember(around, ended)
        out += [(job.target.name, one) for job, one in zip(jobs, ended, strict=True)]
    return out


def remember(around: World, outcomes: Sequence[Outcome | RemedyError]) -> None:
    """Put on record what was as asked already: such a run has no plan there, but it may say until when."""
    from remedy.engine import blocks, pushes  # noqa: PLC0415 -- lazily
    from remedy.engine.outcome import Outcome  # noqa: PLC0415

    kinds = {"block": blocks.SO_ALREADY, "unblock": blocks.SO_ALREADY, "push": pushes.SO_ALREADY}
    for one in outcomes:
        if isinstance(one, Outcome) and one.status == "unchanged" and one.plan.action in kinds:
            plan = one.plan
            body: dict[str, Json] = {"action": plan.action, "target": plan.target, "params": plan.params}
            around.record.append(kinds[plan.action], body, incident=plan.incident, run=plan.run)


def now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
