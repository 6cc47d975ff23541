r"""The words of Comware and of VRP, which come from one family: access lists in both their forms, and refusals.

Reads what `display acl` prints and what a configuration file holds. Decides what a line means; writing lines is
`comware_write`'s, numbering and editing `comware_edit`'s. A real switch ends its lines CR NUL LF:

    Advanced IPv4 ACL 3767, 2 rules,
    test-web-acl-0903
    ACL's step is 5, start ID is 0
     rule 200 permit udp tos max-reliability
     rule 5000 permit ospf tos 3 (12 times matched)
     rule 5000 comment until 2026-11-21T00:00:00Z asked for by the network team

Follows H3C Comware V7, ACL and QoS Command Reference, ACL commands (`acl`, `rule`, `rule comment`, `display acl`); its
V5 counterpart; and Huawei S1720, S2700, S5700 and S6720 Command Reference, ACL configuration commands.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.devices.acl import ANY, Acl, Endpoint, Line, Rule
from remedy.devices.addresses import Span
from remedy.devices.dialects.comware_words import PORTS, PROTOCOLS

__all__ = ["ABSENT", "REFUSALS", "UNTIL", "answer", "kind_of", "lines", "read_lists", "read_rule"]

#: What a refused line prints: the marks of the parser, then sentences. The references say that a line fails and seldom
#: in which words, so these are sentences that say no. All are sought at the start of a line, where a description, which
#: may say anything, never stands.
REFUSALS: Final = (
    r"^\s*%\s*(?:Unrecognized command|Wrong parameter|Incomplete command|Ambiguous command|Too many parameters)\b.*",
    r"^\s*%?\s*(?:Error\b|Permission denied|Access denied|Invalid |Illegal ).*",
    (
        r"^\s*(?!.*\[Y/N)(?:The|This|That|A|An|Another|Object|Specified|ACL|Rule|Configuration|System|All)\b.*\b(?:not|n't|cannot"
        r"|already|identical|different|invalid|failed|in use|used|edited|referenced|configured exclusively|locked|busy"
        r"|upper limit|maximum|insufficient|because)\b.*"
    ),
    r"^\s*(?:Failed to|Can(?:not|'t)|Unable to|Not enough|Insufficient|No (?:enough|sufficient|configuration))\b.*",
    r"^\s*Please (?:try again|wait and try)\b.*",
)
#: Those of them that answer a question: there is no such thing.
ABSENT: Final = (r"^\s*(?:Error:\s*)?(?:The|This|Specified)\b.*\b(?:does not|doesn't) exist\b.*",)

_ENDS: Final = re.compile(r"\r\n|\n|\r")
# A prompt, with or without the echo of what was typed: <H3C>, [H3C-acl-ipv4-adv-3000], RBM_P<FW>, [~HW].
_PROMPT: Final = re.compile(r"^(?:RBM_\w)?(?:<[^<>]*>|\[[^\[\]]*\])\s*(?:display\b.*)?$|^dis(?:play)? \S.*$")
# What may stand before a refusal: the mark below the wrong word, and log lines.
_BEFORE: Final = re.compile(r"^\s*\^\s*$|^%(?:@\d+)?[A-Z][a-z]{2} +\d")
_MARKS: Final = re.compile(r"\s+\(([^()]*)\)\s*$")
_RULE: Final = re.compile(r"^\s*rule (\d{1,10}) (\S+)(?: (.*))?$")
_HEADER: Final = re.compile(
    r"^\s*(?P<kind>Basic|Advanced|MAC|L2|Ethernet frame|User[ -]defined)(?:\s+(?P<ip>IPv[46]))?\s+ACL\s+"
    r"(?P<label>[^,]+?)\s*(?:,(?P<more>.*))?$"
)
_VIEW: Final = re.compile(r"^acl(?:\s+(?P<ip>ipv6|mac|user-defined))?\s+(?P<words>\S.*)$")
_STEP: Final = re.compile(
    r"^\s*(?:ACL'?s step is|step) (\d{1,5})\b(?:, start ID is \d+)?(?: start \d+)?\s*$", re.IGNORECASE
)
UNTIL: Final = re.compile(r"^until (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)(?: (.*))?$")


def lines(text: str) -> list[str]:
    """The text's lines without line ends, trailing blanks, prompts, echoes and empty lines."""
    found = (line.rstrip() for line in _ENDS.split(text.replace("\0", "")))
    return [line for line in found if line and not _PROMPT.match(line)]


def answer(text: str) -> list[str]:
    """The lines that answer a question; none where there is no such thing. Raises AnswerUnusable for a refusal.

    A sentence refuses where it comes first: further down it may be somebody's description.
    """
    said = lines(text)
    first = next((line for line in said if not _BEFORE.match(line)), "")
    if any(re.search(pattern, first) for pattern in ABSENT):
        return []
    marked = next((line for line in said if re.search(REFUSALS[0], line)), "")
    if marked or any(re.search(pattern, first) for pattern in REFUSALS):
        raise AnswerUnusable(
            f"the device refused to answer: {printable((marked or first).strip(), 200, one_line=True)}",
            hint="may this account use `display`, and does this version know the line?",
        )
    return said


@dataclass(slots=True)
class _Reading:
    """A list while it is read."""

    name: str
    family: int
    kind: str
    order: str = "config"
    announced: int = 0
    rules: list[Rule] = field(default_factory=list)
    comments: dict[int, str] = field(default_factory=dict)
    unknown: list[Line] = field(default_factory=list)
    step: int = 0
    extra: list[tuple[str, str]] = field(default_factory=list)
    typed: bool = False
    numbers: int = 0

    def done(self) -> Acl:
        if self.numbers < self.announced:
            shown = printable(self.name, 60, one_line=True)
            raise AnswerUnusable(
                f"list {shown} announces {self.announced} rules and shows {self.numbers}: output is cut"
            )
        rules = []
        for rule in self.rules:
            said = self.comments.pop(rule.number if rule.number is not None else -1, "")
            until = UNTIL.match(said)
            rules.append(replace(rule, comment=(until[2] or "") if until else said, until=until[1] if until else ""))
        self.unknown += [Line(f"rule {number} comment {said}") for number, said in self.comments.items()]
        return Acl(
            name=self.name,
            family=self.family,
            kind=self.kind,
            rules=tuple(rules),
            unknown=tuple(self.unknown),
            order=self.order,
            step=self.step,
            extra=tuple(self.extra),
        )


def read_lists(texts: Iterable[str]) -> tuple[Acl, ...]:
    """Every list of what `display acl all` printed, or of a configuration; also lists of neither family, family 0.

    Lines outside of any list are the unknown lines of a nameless list, which comes first. Raises AnswerUnusable for a
    refusal, and for a list that shows fewer rules than its header announces.
    """
    found: list[_Reading] = []
    stray: list[Line] = []
    for text in texts:
        now: _Reading | None = None
        for line in answer(text):
            header = _display_header(line) or _view_header(line)
            if header is not None:
                now = header
                found.append(now)
            elif line.strip() in {"#", "quit", "return"}:
                now = None if line.strip() != "quit" or (now is not None and now.typed) else now
            elif now is None:
                if not re.match(r"^\s*Total (?:quantity of )?nonempty ACL number is \d+\s*$", line):
                    stray.append(Line(line.strip()))
            else:
                _read_line(now, line)
    acls = tuple(reading.done() for reading in found)
    return (Acl(name="", family=4, unknown=tuple(stray)), *acls) if stray else acls


def _read_line(now: _Reading, line: str) -> None:
    step = _STEP.match(line)
    rule = _RULE.match(line)
    text = line.strip()
    if rule and rule[2] in {"comment", "description", "remark"}:
        now.comments[int(rule[1])] = (rule[3] or "").strip()
    elif rule:
        now.numbers += 1
        read = read_rule(line, now.family)
        if read is None:
            now.unknown.append(Line(text))
        else:
            now.rules.append(read[0])
    elif step:
        now.step = int(step[1])
    elif text.startswith("description "):
        now.extra.append(("description", text.removeprefix("description ").strip()))
    elif text in {"ACL accelerated", "accelerate"}:
        now.extra.append(("accelerated", ""))
    elif not now.typed and not now.step and not now.numbers and not any(k == "description" for k, _ in now.extra):
        now.extra.append(("description", text))  # `display acl` shows it bare, before the step
    else:
        now.unknown.append(Line(text))


def _display_header(line: str) -> _Reading | None:
    match = _HEADER.match(line)
    if not match:
        return None
    labels = match["label"].split()
    number = next((label for label in labels if label.isdecimal()), "")
    name = next((label for label in labels if not label.isdecimal() and label != "named"), "")
    kind = match["kind"].lower()
    layer3 = kind in {"basic", "advanced"}
    now = _Reading("", (6 if match["ip"] == "IPv6" else 4) if layer3 else 0, kind if layer3 else "mac")
    for part in (match["more"] or "").split(","):
        said = part.strip()
        count = re.fullmatch(r"(\d{1,6}) rules?", said)
        if count:
            now.announced = int(count[1])
        elif said.startswith("named "):
            name = "" if said == "named -none-" else said.removeprefix("named ")
        elif said in {"match-order is auto", "match-order is config"}:
            now.order = said.rsplit(" ", 1)[1]
        elif said:
            now.unknown.append(Line(said))
    now.name = name or number
    if name and number:
        now.extra.append(("number", number))
    return now


def _view_header(line: str) -> _Reading | None:
    match = _VIEW.match(line)
    if not match:
        return None
    now = _Reading("", {None: 4, "ipv6": 6}.get(match["ip"], 0), "", typed=True)
    number = ""
    rest = iter(match["words"].split())
    for said in rest:
        if said in {"basic", "advanced", "advance"}:
            now.kind = "basic" if said == "basic" else "advanced"
        elif said == "name":
            now.name = next(rest, "")
        elif said == "match-order":
            now.order = next(rest, "")
        elif said.isdecimal():
            number = said
        elif said != "number":
            return None  # another command: `acl copy`, `acl logging interval`
    if now.name and number:
        now.extra.append(("number", number))
    now.name = now.name or number
    now.kind = (now.kind or kind_of(number)) if now.family else "mac"
    return now if now.name else None


def kind_of(number: str) -> str:
    """The type of a list by its number: 2000-2999 are basic. A list with a name alone is advanced."""
    return "basic" if number.isdecimal() and 2000 <= int(number) < 3000 else "advanced"  # noqa: PLR2004


def read_rule(line: str, family: int) -> tuple[Rule, tuple[str, ...]] | None:
    """One rule and the marks in brackets at its end, such as `5 times matched` or `Failed`; None when it is none."""
    marks: list[str] = []
    while mark := _MARKS.search(line):
        marks.append(mark[1])
        line = line[: mark.start()]
    match = _RULE.match(line)
    if not match or match[2] not in {"permit", "deny"} or family not in {4, 6}:
        return None
    words = (match[3] or "").split()
    protocol = "ip"
    if words and (words[0] in PROTOCOLS[family] or words[0].isdecimal()):
        protocol = _protocol(words.pop(0), family)
    sides = {"source": ANY, "destination": ANY}
    rest: list[str] = []
    log = False
    while words:
        said = words.pop(0)
        side, _, port = said.partition("-")
        taken = 0
        if said in sides and sides[said].spans == () and not sides[said].group:
            taken, sides[said] = _read_address(words, sides[said], family)
        elif port == "port" and side in sides and not sides[side].ports:
            taken, sides[side] = _read_port(words, sides[side])
        elif said == "logging":
            log = True
            continue
        if not taken:
            rest.append(said)
        del words[:taken]
    enabled = not any(mark.lower() == "inactive" for mark in marks)
    rule = Rule(
        action=match[2],
        family=family,
        protocol=protocol,
        source=sides["source"],
        destination=sides["destination"],
        number=int(match[1]),
        log=log,
        enabled=enabled,
        rest=tuple(rest),
    )
    return rule, tuple(reversed(marks))


def _protocol(said: str, family: int) -> str:
    number = int(said) if said.isdecimal() and len(said) < 4 else PROTOCOLS[family].get(said, -1)  # noqa: PLR2004
    return {-1: "ip", 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}.get(number, str(number))


def _read_address(words: list[str], side: Endpoint, family: int) -> tuple[int, Endpoint]:
    """How many words an address takes, 0 when they are none that a span can say, and the side with it."""
    if words[:1] == ["any"]:
        return 1, side
    if words[:1] == ["object-group"] and len(words) > 1:
        return 2, replace(side, group=words[1])
    span, taken = _span(words, family)
    if span is None:
        return 0, side
    return taken, side if span.is_everything else replace(side, spans=(span,))


def _span(words: list[str], family: int) -> tuple[Span | None, int]:
    try:
        if family == 4 and len(words) > 1:  # noqa: PLR2004
            wildcard = "0.0.0.0" if words[1] == "0" else words[1]  # noqa: S104 -- a wildcard
            if wildcard.isdecimal():
                return _network(f"{words[0]}/{wildcard}", 4), 2
            bits = int(ipaddress.IPv4Address(wildcard))
            if bits & (bits + 1):
                return None, 0  # a wildcard with holes is no prefix: the words are kept as they stand
            return _network(f"{words[0]}/{32 - bits.bit_length()}", 4), 2
        if family == 6 and words and "/" in words[0]:  # noqa: PLR2004
            return _network(words[0], 6), 1
        if family == 6 and len(words) > 1:  # noqa: PLR2004
            return _network(f"{words[0]}/{words[1]}", 6), 2
    except ValueError:
        pass
    return None, 0


def _network(text: str, family: int) -> Span | None:
    network = ipaddress.ip_network(text, strict=False)
    if network.version != family or "%" in text:
        return None
    return Span(family, int(network.network_address), int(network.broadcast_address))


def _read_port(words: list[str], side: Endpoint) -> tuple[int, Endpoint]:
    operator = words[0] if words else ""
    count = 2 if operator == "range" else 1
    numbers = [_port(said) for said in words[1 : 1 + count]]
    if operator not in {"eq", "lt", "gt", "neq", "range"} or len(numbers) < count or None in numbers:
        return 0, side
    low, high = min(n for n in numbers if n is not None), max(n for n in numbers if n is not None)
    top = 65535
    found = {
        "eq": [(low, low)],
        "range": [(low, high)],
        "lt": [(0, low - 1)],
        "gt": [(high + 1, top)],
        "neq": [(0, low - 1), (low + 1, top)],
    }[operator]
    ports = tuple(pair for pair in found if pair[0] <= pair[1])
    return (1 + count, replace(side, ports=ports)) if ports else (0, side)


def _port(said: str) -> int | None:
    number = int(said) if said.isdecimal() and len(said) < 6 else PORTS.get(said, -1)  # noqa: PLR2004
    return number if 0 <= number <= 65535 else None  # noqa: PLR2004
