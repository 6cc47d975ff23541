"""The rule line that Cisco's command lines share: read and written for IOS, NX-OS and ASA, which differ in words.

Decides what one line means and how one rule is typed. Leaves to others: the list it stands in, its number, its remarks
(`ios_lists`, `cisco_asa`), and the object groups (`ios_gates`, `cisco_asa`).

    permit tcp 10.0.0.0 0.255.255.255 eq telnet ssh host 10.1.0.1 neq 80 log     IOS: wildcard bits
    permit tcp 10.0.0.0 255.0.0.0 host 10.1.0.1 eq https log                     ASA: mask
    permit tcp 10.0.0.0/8 10.1.0.1/32 eq 443 log                                 NX-OS: prefix
    deny ip object-group remedy-block any                                        NX-OS says `addrgroup`

What a line says beyond action, protocol, addresses and ports stands in `Rule.rest`, word by word. A line whose
addresses cannot be said as spans (wildcard bits with holes, service groups, `object X`, `interface X`) is no rule here:
whoever reads the list keeps it as an unknown line.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from remedy.core.errors import UsageError
from remedy.devices.acl import ANY, Endpoint, Ports, Rule
from remedy.devices.addresses import Span, merged
from remedy.devices.dialects.ios_names import NUMBERS, PROTOCOLS, port_number

__all__ = [
    "Words",
    "address_words",
    "atomic",
    "canonical_address",
    "mask",
    "parse_rule",
    "plain",
    "prefixed",
    "rule_words",
]

_TOP: Final = 65535
_OPERATORS: Final = frozenset({"eq", "neq", "gt", "lt", "range"})
_PORTED: Final = frozenset({"tcp", "udp"})
#: Words that a rest cannot hold: an address that we could not place must not be taken for a harmless option.
_ADDRESSING: Final = frozenset({"any", "any4", "any6", "host", "object", "interface"})
#: A word of ours in `Rule.rest`: which word said "any" where it is not the usual one.
_MARK: Final = re.compile(r"(?:source|destination)=any[46]?\Z")
_PLAIN: Final = re.compile(r"[!->@-~]+\Z")


class UnreadableError(Exception):
    """A line that is no rule of ours. Never leaves this module's readers."""


@dataclass(frozen=True, slots=True)
class Words:
    """How a vendor words a rule.

    `masks` is "wildcard", "mask" or "prefix"; `group` the word before a group's name; `many` how many ports one `eq`
    takes; `unified` says that one list holds IPv4 and IPv6, so that `any` is neither (ASA: `any4`, `any6`).
    """

    title: str
    masks: str
    group: str = "object-group"
    many: int = 1
    unified: bool = False


def plain(word: str, what: str) -> str:
    """The word, if it can be typed as one: printable ASCII, no blank, no `?` (it asks for help). Raises UsageError."""
    if not _PLAIN.match(word):
        raise UsageError(f"{word[:80]!r} cannot stand in a command line as {what}", hint="letters, digits, - and _")
    return word


def canonical_address(text: str, family: int) -> int:
    """One address of the family as a number. Raises UnreadableError."""
    try:
        return int(ipaddress.IPv4Address(text) if family == 4 else ipaddress.IPv6Address(text))  # noqa: PLR2004
    except ValueError as error:
        raise UnreadableError(text) from error


def prefixed(text: str, family: int) -> Span:
    """A prefix, host bits cut off as the device does. Raises UnreadableError."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise UnreadableError(text) from error
    if network.version != family:
        raise UnreadableError(text)
    return Span(family, int(network.network_address), int(network.broadcast_address))


def mask(address: int, bits: int, *, wildcard: bool) -> Span:
    """The IPv4 prefix of an address and its mask or wildcard bits. Raises UnreadableError for bits with holes."""
    free = bits if wildcard else bits ^ 0xFFFFFFFF
    if free & (free + 1):
        raise UnreadableError("holes in the mask")
    first = address & ~free
    return Span(4, first, first + free)


def address_words(span: Span, words: Words) -> str:
    """An address or prefix as the vendor writes it in a rule or a group. Raises UsageError for a range."""
    if span.is_host:
        return f"host {span.low}"
    prefix = span.prefix
    if prefix is None:
        raise UsageError(f"{words.title} cannot say the range {span} in a rule", hint="cut it into prefixes")
    if span.family == 6 or words.masks == "prefix":  # noqa: PLR2004
        return f"{span.low}/{prefix}"
    free = span.size - 1
    return f"{span.low} {ipaddress.IPv4Address(free if words.masks == 'wildcard' else free ^ 0xFFFFFFFF)}"


def _address(tokens: list[str], family: int, words: Words) -> tuple[Endpoint, str]:
    """Take one side's address off the front. Returns it and the word that said any, if one did."""
    if not tokens:
        raise UnreadableError("an address is missing")
    word = tokens.pop(0)
    if word in ("any", "any4", "any6"):
        return ANY, word
    if word == words.group and tokens:
        return Endpoint(group=tokens.pop(0)), ""
    if word == "host" and tokens:
        number = canonical_address(tokens.pop(0), family)
        return Endpoint(spans=(Span(family, number, number),)), ""
    if "/" in word:
        span = prefixed(word, family)
        return (ANY if span.is_everything else Endpoint(spans=(span,))), ""
    if family == 4 and tokens:  # noqa: PLR2004
        number = canonical_address(word, 4)
        span = mask(number, canonical_address(tokens.pop(0), 4), wildcard=words.masks != "mask")
        return (ANY if span.is_everything else Endpoint(spans=(span,))), ""
    raise UnreadableError(word)


def _merged_ports(ports: Sequence[tuple[int, int]]) -> Ports:
    return tuple((span.first, span.last) for span in merged(Span(0, first, last) for first, last in ports))


def _holes(ports: Ports) -> Ports:
    out, at = [], 0
    for first, last in ports:
        if first > at:
            out.append((at, first - 1))
        at = last + 1
    return tuple(out) if at > _TOP else (*out, (at, _TOP))


def _ports(tokens: list[str], protocol: str, words: Words) -> Ports:
    """Take one side's ports off the front; empty when none are named."""
    if protocol not in _PORTED or not tokens or tokens[0] not in _OPERATORS:
        return ()
    operator = tokens.pop(0)
    most = 2 if operator == "range" else words.many if operator in ("eq", "neq") else 1
    numbers: list[int] = []
    while tokens and len(numbers) < most and (number := port_number(tokens[0], protocol)) is not None:
        numbers.append(number)
        tokens.pop(0)
    if not numbers or (operator == "range" and (len(numbers) != most or numbers[0] > numbers[1])):
        raise UnreadableError(operator)
    ranges: Ports
    match operator:
        case "range":
            ranges = ((numbers[0], numbers[1]),)
        case "gt":
            ranges = ((numbers[0] + 1, _TOP),) if numbers[0] < _TOP else ()
        case "lt":
            ranges = ((0, numbers[0] - 1),) if numbers[0] else ()
        case _:
            ranges = _merged_ports([(number, number) for number in numbers])
            ranges = ranges if operator == "eq" else _holes(ranges)
    if not ranges:
        raise UnreadableError("matches no port")
    return ranges


def _family(tokens: Sequence[str], given: int) -> int:
    if given:
        return given
    return 6 if any(":" in word or word in ("any6", "icmp6") for word in tokens) else 4


def parse_rule(text: str, family: int, words: Words, *, standard: bool = False) -> Rule | None:
    """Read a rule from `permit` or `deny` on, counters and numbers taken off. None: no rule that we can hold.

    `family` is the list's, 0 where a list holds both. `standard` lists name sources only.
    """
    tokens = text.replace(", wildcard bits", "").split()
    if len(tokens) < 2 or tokens[0] not in ("permit", "deny"):  # noqa: PLR2004 -- action and one word
        return None
    if not all(_PLAIN.match(token) for token in tokens) or (standard and tokens[1] in PROTOCOLS):
        return None
    action = tokens.pop(0)
    family = _family(tokens, family)
    try:
        if standard:
            return _standard(action, tokens, family, words)
        return _extended(action, tokens, family, words)
    except UnreadableError:
        return None


def _standard(action: str, tokens: list[str], family: int, words: Words) -> Rule:
    if tokens[0][0].isdigit() and (len(tokens) == 1 or not tokens[1][0].isdigit()):
        tokens.insert(0, "host")  # `10 permit 10.1.1.1`
    source, said = _address(tokens, family, words)
    rest, log, enabled = _tail(tokens)
    rule = Rule(action, family, source=source, log=log, enabled=enabled, rest=rest)
    marks = (f"source={said}",) if said not in ("", _any(rule, words)) else ()
    return replace(rule, rest=(*rest, *marks))


def _extended(action: str, tokens: list[str], family: int, words: Words) -> Rule:
    word = tokens.pop(0)
    protocol = PROTOCOLS.get(word)
    if protocol is None:
        if not (word.isascii() and word.isdigit() and len(word) <= 3 and int(word) <= 255):  # noqa: PLR2004 -- 8 bits
            raise UnreadableError(word)
        protocol = NUMBERS.get(word, word)
    if protocol == "icmp" and family == 6:  # noqa: PLR2004
        protocol = "icmpv6"
    source, first = _address(tokens, family, words)
    source = replace(source, ports=_ports(tokens, protocol, words))
    destination, second = _address(tokens, family, words)
    destination = replace(destination, ports=_ports(tokens, protocol, words))
    rest, log, enabled = _tail(tokens)
    rule = Rule(action, family, protocol, source, destination, log=log, enabled=enabled, rest=rest)
    usual = _any(rule, words)
    marks = [f"{side}={said}" for side, said in (("source", first), ("destination", second)) if said not in ("", usual)]
    return replace(rule, rest=(*rest, *marks))


def _tail(tokens: Sequence[str]) -> tuple[tuple[str, ...], bool, bool]:
    """What stands behind the addresses: the words, whether it logs, whether it is enabled."""
    rest = list(tokens)
    if _ADDRESSING & set(rest):
        raise UnreadableError("an address in an unexpected place")
    enabled = not (rest and rest[-1] == "inactive")
    if not enabled:
        rest.pop()
    log = "log" in rest and rest[-1:] != ["disable"]
    if rest and rest[-1] == "log":
        rest.pop()
    return tuple(rest), log, enabled


def _any(rule: Rule, words: Words) -> str:
    """The word for any address in this rule: a unified list needs the family where the other side does not give it."""
    pinned = any(side.spans or side.group for side in (rule.source, rule.destination))
    if not words.unified or (pinned and rule.family == 4):  # noqa: PLR2004
        return "any"
    return f"any{rule.family}"


def _numbers(ports: Ports) -> int:
    return sum(last - first + 1 for first, last in ports)


def _port_pieces(ports: Ports, many: int) -> list[Ports]:
    """The fewest sets of ports that one operator each can say."""
    if len(ports) <= 1 or min(_numbers(ports), _numbers(_holes(ports))) <= many:
        return [ports]
    singles = [pair for pair in ports if pair[0] == pair[1]]
    pieces: list[Ports] = [tuple(singles[at : at + many]) for at in range(0, len(singles), many)]
    return pieces + [(pair,) for pair in ports if pair[0] != pair[1]]


def _port_words(ports: Ports) -> list[str]:
    if len(ports) == 1:
        first, last = ports[0]
        if first == last:
            return ["eq", str(first)]
        if last == _TOP and first:
            return ["gt", str(first - 1)]
        return ["lt", str(last + 1)] if not first and last < _TOP else ["range", str(first), str(last)]
    holes = _holes(ports)
    word, said = ("eq", ports) if _numbers(ports) <= _numbers(holes) else ("neq", holes)
    return [word, *(str(number) for first, last in said for number in range(first, last + 1))] if ports else []


def _sides(side: Endpoint, family: int, many: int) -> Iterator[Endpoint]:
    spans: Sequence[Span | None] = [None]
    if side.spans and not side.group and not any(span.is_everything for span in side.spans):
        if any(span.family != family for span in side.spans):
            raise UsageError("a rule's addresses are not all of its family", hint="one rule for IPv4, one for IPv6")
        spans = [prefix for span in side.spans for prefix in span.prefixes()]
    for span in spans:
        for ports in _port_pieces(side.ports, many):
            yield Endpoint(spans=() if span is None else (span,), group=side.group, ports=ports)


def atomic(rule: Rule, words: Words) -> tuple[Rule, ...]:
    """The rule as the lines that it takes: one prefix a side, one operator a side. The comment stays with the first.

    Only a rule that is one line keeps its number.
    """
    pairs = itertools.product(
        _sides(rule.source, rule.family, words.many), tuple(_sides(rule.destination, rule.family, words.many))
    )
    out = [replace(rule, source=source, destination=destination) for source, destination in pairs]
    if len(out) == 1:
        return (out[0],)
    return tuple(replace(one, number=None, comment="" if at else rule.comment) for at, one in enumerate(out))


def rule_words(rule: Rule, words: Words, *, standard: bool = False) -> str:
    """An atomic rule's line from its action on, without number and remark. Raises UsageError naming the reason."""
    marks = dict(word.split("=") for word in rule.rest if _MARK.match(word))
    rest = [plain(word, "a rule's option") for word in rule.rest if not _MARK.match(word)]
    if rule.until:
        raise UsageError(f"{words.title} has no rule that ends by itself", hint="leave the expiry to `remedy watch`")
    if not rule.enabled and not words.unified:
        raise UsageError(f"{words.title} has no disabled rules", hint="leave the rule out")
    if rule.action not in ("permit", "deny"):
        raise UsageError(f"{rule.action!r} is no action", hint="permit or deny")
    ported = bool(rule.source.ports or rule.destination.ports)
    if ported and rule.protocol not in _PORTED:
        raise UsageError(f"ports do not go with the protocol {rule.protocol!r}", hint="tcp or udp")
    usual = _any(rule, words)

    def side(end: Endpoint, mark: str) -> list[str]:
        if end.group:
            return [words.group, plain(end.group, "a group's name"), *_port_words(end.ports)]
        said = address_words(end.spans[0], words) if end.spans else marks.get(mark, usual)
        return [said, *_port_words(end.ports)]

    line = [rule.action]
    if standard:
        if ported or rule.protocol != "ip" or rule.destination != ANY or rule.source.group:
            raise UsageError("a standard list knows source addresses only", hint="use an extended list")
        line += side(rule.source, "source")
    else:
        line += [_protocol_word(rule, words), *side(rule.source, "source"), *side(rule.destination, "destination")]
    line += rest
    if rule.log and "log" not in rest:
        line.append("log")
    return " ".join(line if rule.enabled else [*line, "inactive"])


def _protocol_word(rule: Rule, words: Words) -> str:
    if rule.protocol == "ip":
        return "ipv6" if rule.family == 6 and not words.unified else "ip"  # noqa: PLR2004
    if rule.protocol == ("icmpv6" if rule.family == 4 else "icmp"):  # noqa: PLR2004
        raise UsageError(f"{rule.protocol} is not a protocol of IPv{rule.family}", hint="icmp for 4, icmpv6 for 6")
    if rule.protocol == "icmpv6":
        return "icmp6" if words.unified else "icmp"
    if rule.protocol not in ("tcp", "udp", "icmp") and not (rule.protocol.isascii() and rule.protocol.isdigit()):
        raise UsageError(f"{rule.protocol[:40]!r} is no protocol", hint="ip, tcp, udp, icmp, icmpv6, or a number")
    return rule.protocol
