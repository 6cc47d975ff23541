"""What `remedy device` does: configurations taken, compared, and made the goal of a restore.

Decides what is shown of a configuration (never a secret), and what of a kept one goes into a plan: only sections that
can be typed. Refuses what would cut our own way to the device. Leaves to others: reading and keeping (`keeping`), what
differs and what to type (`remedy.devices`), carrying it out (the engine).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from remedy.actions.device_restore import DeviceRestore, Part, way
from remedy.cli import document, keeping
from remedy.core.errors import Refused, RemedyError, UsageError
from remedy.core.text import printable
from remedy.devices.configuration import Sections, changed, fingerprint, masked, sections, unified
from remedy.devices.reconfigure import carrying, steps, undo_word
from remedy.engine import fleet
from remedy.probes import configuration

if TYPE_CHECKING:
    from remedy.cli.screen import Screen
    from remedy.cli.world import World
    from remedy.core.canon import Json
    from remedy.devices import Vendor

_DIFFERS: Final = 10
_MOST: Final = 1800


def save_all(around: World, screen: Screen, patterns: Sequence[str]) -> int:
    """`remedy device save`: the exit code."""
    names = around.inventory.select(patterns) if patterns else [one.name for one in around.inventory.devices()]
    names = [keeping.device(around, name).name for name in names]
    if not names:
        raise UsageError("the inventory names no network device", hint="remedy_platform on a host says what it is")
    incident = around.under()
    taken = fleet.each(names, lambda name: keeping.take(around, name, when="asked", incident=incident))
    documents: list[dict[str, Json]] = []
    for name, one in zip(names, taken, strict=True):
        if isinstance(one, RemedyError):
            if not around.options.json:
                screen.error(name, one)
            documents.append(document.of_error(name, one))
            continue
        kept, _, fresh = one
        said = f"{kept.file.name}   {kept.size} bytes{'' if fresh else '   (kept already)'}"
        if not (around.options.json or around.options.jsonl):
            screen.say(f"{name}   {said}")
        body: dict[str, Json] = {"target": name, "status": "kept" if fresh else "unchanged", "exit_code": 0}
        documents.append({**body, "file": str(kept.file), "sha256": kept.sha256, "size": kept.size})
    if any(not isinstance(one, RemedyError) for one in taken):
        around.record.checkpoint()
    code = fleet.exit_code([0 if not isinstance(one, RemedyError) else one.exit_code for one in taken])
    _emit(around, "device save", incident, code, documents)
    return code


def show_difference(around: World, screen: Screen, name: str, first: str, second: str) -> int:
    """`remedy device diff`: the exit code."""
    vendor = keeping.device(around, name).vendor
    store = keeping.configurations(around)
    one = store.named(name, first) if first else keeping.usual(around, name)
    other = store.named(name, second) if second else None
    before = sections(store.read(one))
    after = sections(store.read(other) if other else keeping.now(around, name))
    names = (one.file.name, other.file.name if other else f"{name} now")
    lines = [printable(line, 1000, one_line=True) for line in unified(before, after, vendor, names)]
    if not (around.options.json or around.options.jsonl):
        for line in lines:
            screen.say(line, {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], ""))
        if not lines:
            screen.say(f"{names[0]} and {names[1]} say the same", talk=True)
    code = _DIFFERS if lines else 0
    said: list[Json] = [*lines]
    body: dict[str, Json] = {"target": name, "status": "differs" if lines else "same", "exit_code": code}
    _emit(around, "device diff", "", code, [{**body, "before": names[0], "after": names[1], "diff": said}])
    return code


def _emit(around: World, command: str, incident: str, code: int, documents: Sequence[dict[str, Json]]) -> None:
    if around.options.json or around.options.jsonl:
        document.emit(document.whole(command, incident, code, documents), around.redact)


def goal(around: World, name: str, kept: str, *, partly: bool, force: bool, seconds: int) -> DeviceRestore:
    """What is to be put back. Raises Refused with what to paste, or naming what carries our own session."""
    vendor = keeping.device(around, name).vendor
    store = keeping.configurations(around)
    one = store.named(name, kept) if kept else keeping.usual(around, name)
    wanted, now = sections(store.read(one)), sections(keeping.now(around, name))
    keys = changed(now, wanted)
    do, back = steps(vendor, now, wanted, keys), steps(vendor, wanted, now, keys)
    left = {head for head, *_ in (*do.left, *back.left)}
    typed = tuple(key for key in keys if key not in left)
    made = DeviceRestore(vendor.name, one.file.name, seconds=seconds)
    replaced = bool(left) and _starts_with(around, name, vendor, wanted)
    if not force:
        # What is left for people to paste cuts nobody off.
        aim = (
            wanted
            if replaced or not partly
            else {**{k: v for k, v in now.items() if k not in typed}, **_of(wanted, typed)}
        )
        _refuse_cutting(around, name, carrying(vendor, now, aim, around.target(name).address))
    if replaced:
        return DeviceRestore(vendor.name, one.file.name, whole=fingerprint(wanted), seconds=seconds)
    if left and not (partly and typed):
        raise Refused(
            f"{_named(left, vendor)} of {name} cannot be put back by typing lines that are known to be right",
            where=name,
            hint=_paste(vendor, now, wanted, left, str(one.file)),
        )
    parts = tuple(Part(key, tuple(wanted.get(key, ())), key in wanted) for key in typed)
    said = tuple(
        f"{masked(head, vendor) or 'single lines'}: {len(added) + len(gone)} lines differ and are left to be pasted"
        for head, added, gone in _differing(now, wanted, left)
    )
    return DeviceRestore(made.vendor, made.kept, parts, fingerprint(now, typed), said, seconds=seconds)


def _of(found: Sections, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {key: found[key] for key in keys if key in found}


def _starts_with(around: World, name: str, vendor: Vendor, wanted: Sections) -> bool:
    """Whether the device can replace its configuration by a file of its own that says the same."""
    if not way(vendor, startup_is_it=True):
        return False
    (saved,) = around.reader.ask([configuration.saved(vendor)], at=name)
    return fingerprint(sections(str(saved))) == fingerprint(wanted)


def _refuse_cutting(around: World, name: str, found: Sequence[str]) -> None:
    if found:
        few = "; ".join(printable(one, 80, one_line=True) for one in found[:6])
        raise Refused(
            f"this would change what carries our own session to {name} ({around.target(name).address}): {few}",
            where=name,
            hint="look at `remedy device diff`; --force does it, with the device's own timer as the way back",
        )


def _named(heads: set[str], vendor: Vendor) -> str:
    few = [printable(masked(head, vendor), 80, one_line=True) or "single lines" for head in sorted(heads)]
    return ", ".join(few[:6]) + (f" and {len(few) - 6} more" if len(few) > 6 else "")  # noqa: PLR2004


def _differing(now: Sections, wanted: Sections, heads: set[str]) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    out = []
    for head in sorted(heads):
        old, new = now.get(head, ()), wanted.get(head, ())
        out.append((head, tuple(x for x in new if x not in set(old)), tuple(x for x in old if x not in set(new))))
    return out


def _paste(vendor: Vendor, now: Sections, wanted: Sections, heads: set[str], file: str) -> str:
    """What an administrator types by hand, secrets masked, as far as it fits into a message."""
    lines = [f"in configuration mode on the console (secrets stand in {file}; check each line that takes back):"]
    for head, added, gone in _differing(now, wanted, heads):
        if head and head not in wanted:
            lines.append(f"{undo_word(vendor)} {head}")
            continue
        lines += [head] if head else []
        lines += [f" {undo_word(vendor)} {line}" for line in gone] + [f" {line}" for line in added]
    lines.append("or --partly: what can be typed is, and these lines are left to you")
    return printable(masked("\n".join(lines), vendor), _MOST)
