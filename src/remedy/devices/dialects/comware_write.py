"""Rules and lists in the words of Comware and VRP, written: one line a rule, and the line that enters a list's view.

Decides what the family can say and how; raises UsageError for the rest, naming the rule. Reading is `comware`'s,
numbering and editing `comware_edit`'s. The references are the same.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from remedy.core.errors import UsageError
from remedy.core.text import printable
from remedy.devices.acl import ANY, Acl, Endpoint, Ports, Rule
from remedy.devices.addresses import Span
from remedy.devices.dialects.comware import UNTIL, kind_of
from remedy.devices.dialects.comware_words import PROTOCOL_NAMES

__all__ = ["Dialect", "comment_of", "enter", "spelled", "word", "write_rule"]

_WORD: Final = re.compile(r"^[!-~]{1,127}$")
_LONGEST: Final = 127  # `rule comment` and `description`


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between the members of the family.

    `comment` is the word for a rule's comment; `typed` whether a list's view is entered by its type (`acl advanced
    3000`) or its number (`acl number 3000`); `grouped` whether a rule can name an address object group; `named_alone`
    whether a list may have a name without a number; `typed_after` whether a new named list's type follows its name.
    """

    title: str
    comment: str = "comment"
    typed: bool = True
    grouped: bool = True
    named_alone: bool = True
    typed_after: bool = False


def word(text: str, what: str) -> str:
    """The text, when it can be typed as one word. Raises UsageError."""
    if not _WORD.match(text) or "?" in text:
        raise UsageError(f"{what} {printable(text, 80, one_line=True)!r} cannot be typed", hint="one word, and no '?'")
    return text


def comment_of(rule: Rule) -> str:
    """The rule's comment as it is typed, its expiry in front. Raises UsageError for what cannot be typed."""
    text = f"until {rule.until} {rule.comment}".strip() if rule.until else rule.comment
    typed = text.isprintable() and "?" not in text and text == text.strip() and "  " not in text
    until = UNTIL.match(text)
    if not typed or len(text) > _LONGEST or (until[1] if until else "") != rule.until:
        raise UsageError(
            f"the comment {printable(text, 80, one_line=True)!r} cannot be typed",
            hint=f"one line of at most {_LONGEST} printable characters, single blanks, no '?'",
        )
    return text


def spelled(rule: Rule) -> Iterator[Rule]:
    """The rule as rules that take one address, prefix or group and one range of ports a side. Raises UsageError."""
    for side in (rule.source, rule.destination):
        if any(span.family != rule.family for span in side.spans):
            raise UsageError(f"{_named(rule)} is of IPv{rule.family} and has an address that is not")
        if side.ports and rule.protocol not in {"tcp", "udp"}:
            raise UsageError(f"{_named(rule)} has ports, which only TCP and UDP have", hint="one rule for each of them")
    for source, destination in itertools.product(_one_each(rule.source), _one_each(rule.destination)):
        yield replace(rule, source=source, destination=destination)


def _one_each(side: Endpoint) -> list[Endpoint]:
    if side.group and side.spans:
        raise UsageError(f"the group {printable(side.group, 60, one_line=True)} and addresses cannot stand in one rule")
    spans: list[tuple[Span, ...]] = [(prefix,) for span in side.spans for prefix in span.prefixes()]
    if any(span.is_everything for span in side.spans):
        spans = [()]
    ports: list[Ports] = [(pair,) for pair in side.ports]
    if side.ports == ((0, 65535),):
        ports = [()]
    elif _all_but_one(side.ports):
        ports = [side.ports]
    return [replace(side, spans=s, ports=p) for s in spans or [()] for p in ports or [()]]


def _all_but_one(ports: Ports) -> bool:
    return len(ports) == 2 and ports[0][0] == 0 and ports[1][1] == 65535 and ports[1][0] - ports[0][1] == 2  # noqa: PLR2004


def _named(rule: Rule) -> str:
    where = f"rule {rule.number}" if rule.number is not None else f"the {rule.action} rule"
    return f"{where} {printable(rule.comment, 60, one_line=True)!r}" if rule.comment else where


def write_rule(rule: Rule, number: int, kind: str, dialect: Dialect) -> str:
    """The line that makes a rule that `spelled` gave. Raises UsageError for what the vendor cannot say."""
    if rule.action not in {"permit", "deny"} or rule.family not in {4, 6}:
        raise UsageError(f"{_named(rule)}: {rule.action!r} is neither permit nor deny")
    if not dialect.grouped and (rule.source.group or rule.destination.group):
        raise UsageError(f"{_named(rule)}: {dialect.title} has no address groups in rules", hint="write the addresses")
    words = ["rule", str(number), rule.action]
    if kind == "basic":
        if rule.protocol != "ip" or rule.destination != ANY or rule.source.ports:
            raise UsageError(
                f"{_named(rule)}: a basic list tells sources alone", hint="use a list numbered 3000 to 3999"
            )
    else:
        words.append(_protocol_word(rule))
    for name, side in (("source", rule.source), ("destination", rule.destination)):
        words += _address_words(name, side)
        words += _port_words(name, side.ports)
    words += [word(said, "the word") for said in rule.rest]
    if rule.log:
        words.append("logging")
    return " ".join(words)


def _protocol_word(rule: Rule) -> str:
    names = PROTOCOL_NAMES[rule.family]
    said = {"ip": -1, "icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}.get(rule.protocol)
    if said is None:
        if not rule.protocol.isascii() or not rule.protocol.isdecimal() or int(rule.protocol) > 255:  # noqa: PLR2004
            raise UsageError(f"{_named(rule)}: {rule.protocol!r} is no protocol", hint="ip, tcp, udp, icmp or a number")
        said = int(rule.protocol)
    return names.get(said, str(said))


def _address_words(name: str, side: Endpoint) -> list[str]:
    if side.group:
        return [name, "object-group", word(side.group, "the group")]
    if not side.spans:
        return []
    span = side.spans[0]
    prefix = span.prefix
    if prefix is None:  # pragma: no cover -- `spelled` makes prefixes
        raise UsageError(f"{span} is no prefix")
    if span.family == 4:  # noqa: PLR2004
        wildcard = "0" if span.is_host else str(ipaddress.IPv4Address(span.size - 1))
        return [name, span.low, wildcard]
    return [name, f"{span.low}/{prefix}"]


def _port_words(name: str, ports: Ports) -> list[str]:
    if not ports:
        return []
    low, high = ports[0]
    if len(ports) > 1:
        return [f"{name}-port", "neq", str(high + 1)]
    return [f"{name}-port", *(("eq", str(low)) if low == high else ("range", str(low), str(high)))]


def enter(acl: Acl, dialect: Dialect, *, new: bool) -> str:
    """The line that enters the list's view, making it where there is none. Raises UsageError for an impossible name."""
    number = acl.name if acl.name.isdecimal() else dict(acl.extra).get("number", "")
    name = "" if acl.name.isdecimal() else word(acl.name, "the list's name")
    if name and (not name[0].isalpha() or name.lower() == "all" or len(name) > 63):  # noqa: PLR2004
        raise UsageError(f"a list cannot be called {name!r}", hint="a letter first, at most 63 characters, not `all`")
    if number and not 2000 <= int(number) <= 3999:  # noqa: PLR2004
        raise UsageError(f"no list of addresses has the number {number}", hint="basic 2000-2999, advanced 3000-3999")
    kind = acl.kind or kind_of(number)
    if kind not in {"basic", "advanced"} or (number and kind != kind_of(number)):
        raise UsageError(
            f"list {acl.name!r} cannot be of the kind {acl.kind!r}", hint="basic 2000-2999, advanced 3000-3999"
        )
    words = ["acl", *(["ipv6"] if acl.family == 6 else [])]  # noqa: PLR2004
    if dialect.typed:
        words += [kind, *([number] if number else ["name", name])]
    elif name and (not new or dialect.named_alone):
        words += ["name", name]
        if new and dialect.typed_after:
            words.append(number or ("advance" if kind == "advanced" else kind))
    elif number:
        words += ["number", number, *(["name", name] if name else [])]
    else:
        raise UsageError(
            f"{dialect.title} names a list only along with a number", hint="give the list a number as well"
        )
    return " ".join(words)
