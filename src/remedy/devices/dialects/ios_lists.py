"""Numbered access lists as IOS and NX-OS show and configure them: read, written, and edited line by line.

Decides where a list begins and ends in a text, which remark belongs to which rule, and which numbers an edit uses.
Leaves to others: what a rule's words mean (`ios`), and remedy's own drop rule (`ios_gates`).

What `show` prints (no remarks on IOS) and what the configuration says are joined: numbers from the one, remarks from
the other.

    Extended IP access list sample                      ip access-list extended sample
        10 permit tcp any host 10.1.1.1 eq www           remark the shop
        20 deny ip any any log (20 matches)              permit tcp any host 10.1.1.1 eq www
    IPv6 access list inbound                             deny   ip any any log
        permit tcp any any eq bgp (8 matches) sequence 10

Source: "Cisco IOS Security Command Reference", `ip access-list`, `ipv6 access-list`, `permit (IP)`, `remark`; "Cisco
IOS Security Configuration Guide: Access Control Lists", chapter "IP Access List Entry Sequence Numbering"; "Cisco Nexus
9000 Series NX-OS Security Configuration Guide", chapter "Configuring IP ACLs".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.core.errors import AnswerUnusable
from remedy.devices.acl import Acl, Line, Rule
from remedy.devices.dialects.ios import Words, parse_rule

__all__ = ["Entry", "Listing", "hits_of", "joined", "lines_of", "listings", "read_list", "refused"]

#: What IOS, NX-OS and ASA print instead of an answer.
_REFUSED: Final = re.compile(
    r"^[ \t]*(?:ERROR: )?%[ \t]*(?:Invalid|Incomplete|Ambiguous|Unrecognized|Unknown|Permission|Bad)\b.*$", re.MULTILINE
)
_SHOWN: Final = re.compile(
    r"^(?:(?P<kind>Standard|Extended|Reflexive) +)?(?P<family>IPv6|IPV6|IP|IPv4|IPV4|MAC) +"
    r"(?i:access list|ACL) +(?P<name>\S+)(?P<more>.*)$"
)
_CONFIGURED: Final = re.compile(
    r"^(?P<family>ip|ipv6|mac) access-list (?:(?P<kind>standard|extended) )?(?P<name>\S+)\s*$"
)
_NUMBERED: Final = re.compile(r"^access-list (?P<name>\d{1,5}) (?P<text>.+)$")
_ENTRY: Final = re.compile(r"^(?:sequence )?(?:(?P<number>\d{1,10}) +)?(?P<text>(?:permit|deny|remark)\b.*)$")
_COUNTED: Final = re.compile(
    r"(?:\((?P<ios>\d{1,20}) match(?:es)?\)|\[match=(?P<nxos>\d{1,20})\]|\(hitcnt=(?P<asa>\d{1,20})\)"
    r"(?: \((?:in)?active\))?(?: 0x[0-9a-f]{1,16})?|\((?:in)?active\)|sequence (?P<number>\d{1,10}))\Z"
)
#: A line ends with its counter, whether its time range is active, and its number, at most.
_MARKS: Final = 4
_NOT_LISTS: Final = frozenset(
    {"access-list", "role-based", "log-update", "logging", "resequence", "match-local-traffic"}
)
_STANDARD: Final = ((1, 99), (1300, 1999))


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a list. `text` is it from `permit`, `deny` or `remark` on, without counters; hits -1: none said."""

    number: int | None
    text: str
    hits: int = -1

    @property
    def line(self) -> str:
        """The line with its number."""
        return self.text if self.number is None else f"{self.number} {self.text}"


@dataclass(slots=True)
class Listing:
    """A list as it stands in one text. `shown` says that `show` printed it, not the configuration."""

    name: str
    family: int
    kind: str
    shown: bool
    entries: list[Entry] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)


def lines_of(text: str) -> list[str]:
    """A device's lines. Only line ends part them: a control character within a remark does not make a line of it."""
    return [line.rstrip("\r\0") for line in text.split("\n")]


def refused(texts: Sequence[str]) -> None:
    """Raise AnswerUnusable where a text is a refusal: it must not be read as an empty answer."""
    for text in texts:
        if found := _REFUSED.search(text):
            raise AnswerUnusable(
                f"the device refused the question: {found[0].strip()[:120]}", hint="its release or the account lacks it"
            )


def hits_of(text: str) -> tuple[str, int, int | None]:
    """A shown line without counters, with its hits (-1: not said) and the number it ends with."""
    hits, number = -1, None
    text = text.rstrip()
    for _ in range(_MARKS):
        found = _COUNTED.search(text)
        if found is None:
            break
        text = text[: found.start()].rstrip()
        if said := found["ios"] or found["nxos"] or found["asa"]:
            hits = int(said)
        if found["number"]:
            number = int(found["number"])
    return text.strip(), hits, number


def _entry(match: re.Match[str]) -> Entry:
    number = int(match["number"]) if match["number"] else None
    if match["text"].startswith("remark"):
        return Entry(number, f"remark {match['text'][6:].strip()}".strip())
    text, hits, last = hits_of(match["text"])
    return Entry(last if number is None else number, " ".join(text.split()), hits)


def _header(line: str) -> Listing | None:
    if shown := _SHOWN.match(line.strip()):
        family = {"ipv6": 6, "mac": 0}.get(shown["family"].lower(), 4)
        listing = Listing(shown["name"], family, (shown["kind"] or "").lower(), shown=True)
        listing.options += [shown["more"].strip()] if shown["more"].strip() else []
        return listing
    if made := _CONFIGURED.match(line):
        if made["name"] in _NOT_LISTS:
            return None
        return Listing(made["name"], {"ip": 4, "ipv6": 6}.get(made["family"], 0), made["kind"] or "", shown=False)
    return None


def listings(text: str) -> Iterator[Listing]:
    """Every IPv4 and IPv6 list of one text, in its order. Lines outside of lists are other people's and not ours."""
    found: list[Listing] = []
    by_number: dict[str, Listing] = {}
    at: Listing | None = None
    lost: list[str] = []
    for line in lines_of(text):
        if not line.strip() or line.strip() == "!":
            continue
        if (header := _header(line)) is not None:
            at = header
            found.append(at)
        elif numbered := _NUMBERED.match(line):
            at = None
            name = numbered["name"]
            kind = "standard" if any(low <= int(name) <= high for low, high in _STANDARD) else "extended"
            if name not in by_number:
                by_number[name] = Listing(name, 4, kind, shown=False)
                found.append(by_number[name])
            entry = _ENTRY.match(numbered["text"].strip())
            by_number[name].entries += [_entry(entry)] if entry else []
            by_number[name].strays += [] if entry else [line.strip()]
        elif at is None:
            lost.append(line.strip())
        elif entry := _ENTRY.match(line.strip()):
            at.entries.append(_entry(entry))
        elif line[0].isspace() or at.shown:
            option = line.strip().startswith(("statistics ", "fragments "))
            (at.options if option else at.strays).append(line.strip())
        else:
            at = None
    shown = [listing for listing in found if listing.shown]
    if shown:  # an answer to `show`: whatever else stands in it is shown with the first list
        shown[0].strays[:0] = lost
    yield from (listing for listing in found if listing.family)


def read_list(listing: Listing, words: Words) -> Acl:
    """One list as rules; what cannot be said as a rule is an unknown line with its number, its remarks likewise.

    `extra` keeps what rules have no place for: ("remark 10", text) for each numbered remark of a rule, ("behind 30",
    text) or ("remark", text) for one behind the last rule, with a number or without, ("numbered", "") where the
    configuration itself shows numbers, ("option", line).
    """
    rules: list[Rule] = []
    unknown = [Line(stray) for stray in listing.strays]
    known: list[Entry] = []
    waiting: list[Entry] = []
    for entry in listing.entries:
        if entry.text.startswith("remark "):
            waiting.append(entry)
            continue
        rule = parse_rule(entry.text, listing.family, words, standard=listing.kind == "standard")
        if rule is None:
            unknown += [Line(one.line) for one in (*waiting, entry)]
        else:
            comment = "\n".join(one.text[7:] for one in waiting)
            rules.append(replace(rule, number=entry.number, comment=comment))
            known += waiting
        waiting = []
    extra = [("option", option) for option in listing.options]
    extra += [(f"remark {entry.number}", entry.text[7:]) for entry in known if entry.number is not None]
    extra += [(f"behind {entry.number}", entry.text[7:]) for entry in waiting if entry.number is not None]
    extra += [("remark", entry.text[7:]) for entry in waiting if entry.number is None]
    if not listing.shown and any(entry.number is not None for entry in listing.entries):
        extra.append(("numbered", ""))
    # an applied list without a rule lets everything through: the deny at its end comes with its first rule
    default = "deny" if listing.entries else "permit"
    return Acl(
        listing.name,
        listing.family,
        listing.kind,
        tuple(rules),
        tuple(unknown),
        default=default,
        extra=tuple(extra),
    )


def joined(texts: Sequence[str], words: Words) -> tuple[Acl, ...]:
    """All lists of several texts, each once: numbers from where they stand, remarks from where they stand."""
    refused(texts)
    lists: dict[tuple[int, str], Acl] = {}
    for text in texts:
        for listing in listings(text):
            acl = read_list(listing, words)
            key = (acl.family, acl.name)
            lists[key] = _join(lists[key], acl) if key in lists else acl
    return tuple(lists.values())


def _join(first: Acl, second: Acl) -> Acl:
    """Two views of one list. Where they do not hold the same rules, the first stands and the difference is shown."""
    if [_bare(rule) for rule in first.rules] != [_bare(rule) for rule in second.rules]:
        return replace(first, unknown=(*first.unknown, Line("the configuration names other rules than `show` does")))
    rules = tuple(
        replace(
            a,
            number=b.number if a.number is None else a.number,
            comment=a.comment or b.comment,
        )
        for a, b in zip(first.rules, second.rules, strict=True)
    )
    known = {line.text for line in first.unknown} | {line.text.partition(" ")[2] for line in first.unknown}
    return replace(
        first,
        kind=first.kind or second.kind,
        rules=rules,
        unknown=(*first.unknown, *(line for line in second.unknown if line.text not in known)),
        extra=tuple(dict.fromkeys((*first.extra, *second.extra))),
    )


def _bare(rule: Rule) -> Rule:
    return replace(rule, number=None, comment="")
