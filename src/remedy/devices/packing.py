"""Access lists as short JSON: some 80 bytes a rule, where `core.canon.encode` would take 400.

Decides the form that a list has within a question about it, and so within plans and the record. Pure.
"""

from __future__ import annotations

from typing import Any

from remedy.core.canon import Json
from remedy.devices.acl import Acl, Endpoint, Line, Rule
from remedy.devices.addresses import Span

__all__ = ["pack", "unpack"]


def pack(acl: Acl) -> dict[str, Json]:
    """The list as JSON."""
    return {
        "name": acl.name,
        "family": acl.family,
        "kind": acl.kind,
        "order": acl.order,
        "default": acl.default,
        "step": acl.step,
        "extra": [[key, value] for key, value in acl.extra],
        "unknown": [line.text for line in acl.unknown],
        "rules": [_row(rule) for rule in acl.rules],
    }


def _row(rule: Rule) -> Json:
    said: list[Json] = [rule.action, rule.family, rule.protocol, _side(rule.source), _side(rule.destination)]
    return [*said, rule.number, rule.comment, rule.until, rule.log, rule.enabled, [*rule.rest]]


def _side(side: Endpoint) -> Json:
    spans: list[Json] = [f"{span.first:x}-{span.last:x}" for span in side.spans]
    ports: list[Json] = [[low, high] for low, high in side.ports]
    return [spans, side.group, ports]


def unpack(said: dict[str, Any]) -> Acl:
    """The list that `pack` made this of. Raises KeyError, TypeError or ValueError for anything else."""
    rules = [_unrow(*row) for row in said["rules"]]
    return Acl(
        said["name"],
        said["family"],
        said["kind"],
        tuple(rules),
        tuple(Line(text) for text in said["unknown"]),
        said["order"],
        said["default"],
        said["step"],
        tuple((key, value) for key, value in said["extra"]),
    )


def _unrow(action: str, family: int, protocol: str, source: list[Any], destination: list[Any], *more: Any) -> Rule:  # noqa: ANN401 -- JSON
    number, comment, until, log, enabled, rest = more
    ends = (_end(source, family), _end(destination, family))
    return Rule(action, family, protocol, *ends, number, comment, until, log, enabled, tuple(rest))


def _end(said: list[Any], family: int) -> Endpoint:
    pairs = (text.split("-") for text in said[0])
    spans = tuple(Span(family, int(low, 16), int(high, 16)) for low, high in pairs)
    return Endpoint(spans, said[1], tuple((low, high) for low, high in said[2]))
