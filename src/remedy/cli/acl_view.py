"""Access lists as a device has them, for people and for programs: rules, what nobody understood, what never decides.

Decides how a rule is put into words, and which line of the device's answer its hits stand in. Everything here was said
by a device, so what is returned goes through the screen, which makes it printable. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from remedy.actions.perimeter.lists import never_deciding
from remedy.core.canon import Json
from remedy.devices.acl import Acl, Endpoint, Ports, Rule
from remedy.devices.shadows import Shadow

__all__ = ["document", "hits", "lines"]

#: `rule 5 permit …`, `10 deny …`, `permit … sequence 10`, with what each line says of its hits.
_RULE: Final = re.compile(r"^\s*(?:rule )?(?:(\d{1,10}) )?(?:permit|deny)\b(?:.*\bsequence (\d{1,10}))?")
_HITS: Final = re.compile(r"\((?:(\d{1,18}) (?:times matched|match(?:es)?)|hitcnt=(\d{1,18}))\)")


def hits(lists: Sequence[Acl], texts: Sequence[str]) -> dict[tuple[int, int], int]:
    """How often each rule was met, where the device says so: (place of the list, number of the rule) to a count.

    Lists are in the order of the text: each begins at a line that names it, and its rules follow it, by their numbers.
    """
    said = [line for text in texts for line in text.splitlines()]
    out: dict[tuple[int, int], int] = {}
    at = 0
    for place, acl in enumerate(lists):
        name = re.compile(rf"(?<![\w.-]){re.escape(acl.name)}(?![\w.-])")
        named = (n for n in range(at, len(said)) if acl.name and name.search(said[n]))
        begin = next((n for n in named if not _RULE.match(said[n])), -1)
        if begin < 0:
            continue
        at = begin + 1
        for rule in acl.rules:
            found = next((n for n in range(at, len(said)) if _number(said[n]) == rule.number is not None), -1)
            if found < 0:
                break
            at = found + 1
            if match := _HITS.search(said[found]):
                out[place, rule.number or 0] = int(match[1] or match[2])
    return out


def _number(line: str) -> int | None:
    match = _RULE.match(line)
    found = (match[1] or match[2]) if match else None
    return int(found) if found else None


def lines(acl: Acl, met: dict[int, int]) -> Iterator[tuple[str, str]]:
    """A list as lines of a table, each with its style. `met` are the hits by a rule's number."""
    kind = " ".join(word for word in (f"IPv{acl.family}" if acl.family else "", acl.kind) if word)
    default = f"; what no rule matches: {acl.default}" if acl.default else ""
    order = f"; {acl.order} order" if acl.order != "config" else ""
    yield f"{acl.name or '(outside of any list)'}  {kind}, {len(acl.rules)} rules{order}{default}", "bold"
    useless = {one.index: one for one in never_deciding(acl.rules) or ()}
    rows = [_row(acl, at, met, useless.get(at)) for at in range(len(acl.rules))]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    for row, at in zip(rows, range(len(rows)), strict=True):
        number, *cells = (cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True))
        text = "  ".join([number, *cells, row[5]]).rstrip()
        yield f"  {text}", "yellow" if at in useless else "" if acl.rules[at].enabled else "dim"
    for line in acl.unknown:
        yield f"  ? {line.text}", "yellow"


def _row(acl: Acl, at: int, met: dict[int, int], useless: Shadow | None) -> tuple[str, ...]:
    rule = acl.rules[at]
    words = [*rule.rest]
    words += ["log"] if rule.log else []
    words += [] if rule.enabled else ["(disabled)"]
    words += [f"until {rule.until}"] if rule.until else []
    words += [f"({met[rule.number]} hits)"] if rule.number in met else []
    words += [f"# {' / '.join(rule.comment.splitlines())}"] if rule.comment else []
    if useless is not None:
        by = ", ".join(_name(acl.rules[index], index) for index in useless.by)
        words.append(f"<- {'redundant' if useless.same else 'SHADOWED'}: {by} decides before it")
    number = _name(rule, at)
    return (number, rule.action, rule.protocol, side(rule.source), side(rule.destination), " ".join(words))


def _name(rule: Rule, index: int) -> str:
    return str(rule.number) if rule.number is not None else f"#{index + 1}"


def side(end: Endpoint) -> str:
    """One side of a rule in the words of the rule file."""
    who = f"group {end.group}" if end.group else ",".join(str(span) for span in end.spans) or "any"
    return f"{who} port {_ports(end.ports)}" if end.ports else who


def _ports(ports: Ports) -> str:
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ports)


def document(acl: Acl, met: dict[int, int]) -> dict[str, Json]:
    """A list for programs."""
    useless = {one.index: one for one in never_deciding(acl.rules) or ()}
    return {
        "name": acl.name,
        "family": acl.family,
        "kind": acl.kind,
        "order": acl.order,
        "default": acl.default,
        "rules": [_rule(acl, at, met, useless.get(at)) for at in range(len(acl.rules))],
        "unknown": [line.text for line in acl.unknown],
    }


def _rule(acl: Acl, at: int, met: dict[int, int], useless: Shadow | None) -> dict[str, Json]:
    rule = acl.rules[at]
    by: list[Json] = [] if useless is None else [_name(acl.rules[index], index) for index in useless.by]
    return {
        "number": rule.number,
        "action": rule.action,
        "protocol": rule.protocol,
        "source": side(rule.source),
        "destination": side(rule.destination),
        "log": rule.log,
        "enabled": rule.enabled,
        "until": rule.until,
        "comment": rule.comment,
        "rest": [*rule.rest],
        "hits": met.get(rule.number) if rule.number is not None else None,
        "never_decides": "" if useless is None else "redundant" if useless.same else "shadowed",
        "decided_by": by,
    }
