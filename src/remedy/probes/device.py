"""What network devices show, asked in their own words and read by their vendor's file.

Decides how a question to a device is put as a `Probe`: the lines to type, and for the parser which vendor, groups and
gate they were about. Leaves to others: the words themselves (`remedy.devices`) and typing them (the transport, which
answers with a JSON list of texts, one per line typed).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from remedy import devices
from remedy.core.canon import Json, canonical, decode, digest, encode
from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.core.values import Command, Probe, Reply
from remedy.devices import Filters, Gate, Group, Members, Vendor
from remedy.devices.acl import Acl, Rule
from remedy.devices.addresses import Span
from remedy.devices.packing import pack, unpack

_SECONDS = 60
#: Between a member and the number that it goes by.
_UNDER: Final = " under "
#: Number or place in front of a line that nobody understands: it shifts when lines are put in above.
_PLACE: Final = re.compile(r"^\d{1,10} ")


def members(vendor: Vendor, groups: Sequence[Group]) -> Probe:
    """Ask for what each group holds: `{name: [span, …] or None where there is no such group}`, as the device has it."""
    parts = vendor_groups(vendor)
    lines = [line for group in groups for line in parts.ask_members(group)]
    counts = [len(parts.ask_members(group)) for group in groups]
    about: Json = {"vendor": vendor.name, "groups": [encode(group) for group in groups], "lines": [*counts]}
    return _probe("members", lines, about)


def progress(vendor: Vendor, moves: Mapping[Group, tuple[Sequence[str], Sequence[str]]], rest: str) -> Probe:
    """Ask how far members have come and gone: "before", "after", "halfway", or "other" when something else moved.

    `moves` gives for each group what is to be added and what removed, as `labels`; `rest` is `remainder` of what the
    groups held besides, or empty where that is nobody's concern. With nothing to move the answer is "after" as long as
    nothing else moved. Where members go by a number, another one under a number of these is something else that moved.
    """
    parts = vendor_groups(vendor)
    lines = [line for group in moves for line in parts.ask_members(group)]
    about: Json = {
        "vendor": vendor.name,
        "groups": [encode(group) for group in moves],
        "lines": [len(parts.ask_members(group)) for group in moves],
        "moves": [[[*add], [*remove]] for add, remove in moves.values()],
        "rest": rest,
    }
    return _probe("progress", lines, about)


def labels(vendor: Vendor, group: Group, spans: Sequence[Span], texts: Sequence[str]) -> list[str]:
    """Members as `progress` tells them apart: canonical texts, with their number where they go by one.

    `texts` are what the lines that ask for the group's members printed.
    """
    places = vendor_groups(vendor).places(group, spans, texts)
    numbered = zip(spans, places, strict=True) if places else ()
    return [f"{span}{_UNDER}{place}" for span, place in numbered] or [str(span) for span in spans]


def remainder(left: Mapping[str, Collection[str]]) -> str:
    """SHA-256 of what groups hold besides what is on the move, as `labels`: to see that nobody else has changed it."""
    return digest({name: [*sorted(members)] for name, members in left.items()})


def setup(vendor: Vendor, where: Gate, group: Group, before: str, beside: int) -> Probe:
    """Ask how far setting a gate up has come: "after" (ready), "before" (as it was found), "halfway", or "foreign".

    `before` is what `standing` made of the answers then, `beside` is that of the `GateState`. When more rests on it by
    now, which taking it back would take with it, the answer is "in use": members of a group that was made for it, other
    drop rules in a list that was.
    """
    parts = vendor_groups(vendor)
    lines = parts.ask_gate(where, group)
    about: Json = {
        "vendor": vendor.name,
        "gate": encode(where),
        "group": encode(group),
        "lines": len(lines),
        "before": before,
        "beside": beside,
    }
    return _probe("setup", (*lines, *parts.ask_members(group)), about)


def standing(state: str, *, there: bool) -> str:
    """A gate's state and whether its group is there, in a word that `setup` compares with."""
    return f"{state}, group {'there' if there else 'absent'}"


def gate(vendor: Vendor, where: Gate, group: Group) -> Probe:
    """Ask whether the drop rule stands and acts: `{"state": …, "why": …}`, see `devices.GateState`."""
    about: Json = {"vendor": vendor.name, "gate": encode(where), "group": encode(group)}
    return _probe("gate", vendor_groups(vendor).ask_gate(where, group), about)


def port(vendor: Vendor, name: str) -> Probe:
    """Ask what a switch port is: `{"mode": …, "vlan": …, "up": …}`, see `devices.Port`; learned addresses left out."""
    return _probe("port", vendor_switch(vendor).ask_port(name), {"vendor": vendor.name, "port": name})


def texts(vendor: Vendor, lines: Sequence[str]) -> Probe:
    """Ask for what lines print, as it is: a list of texts, "there is no such thing" among them."""
    return _probe("texts", lines, {"vendor": vendor.name})


def content(vendor: Vendor, before: Acl | None, after: Acl, *, unified: bool = False) -> Probe:
    """Ask how far a list has come on its way: "before", "after", "halfway", or "other" when something else is in it.

    `before` is None where there was no such list. `unified` says that a list's name is enough, whatever the family.
    """
    about: Json = {
        "vendor": vendor.name,
        "unified": unified,
        "before": None if before is None else pack(before),
        "after": pack(after),
    }
    return _probe("content", vendor_filters(vendor).ask_lists(), about)


def timer(vendor: Vendor, ask: Sequence[str]) -> Probe:
    """Ask whether the device's own revert timer runs: "armed" or "off"; "unknown" where it has no way to say."""
    return _probe("timer", ask, {"vendor": vendor.name})


def vendor_groups(vendor: Vendor) -> devices.Groups:
    """The vendor's groups. Raises AnswerUnusable when it has none."""
    if vendor.groups is None:
        raise AnswerUnusable(f"{vendor.title} cannot block by group", hint="see `remedy acl show` for what it can do")
    return vendor.groups


def vendor_switch(vendor: Vendor) -> devices.Switching:
    """The vendor's ports. Raises AnswerUnusable when it has none."""
    if vendor.switch is None:
        raise AnswerUnusable(f"{vendor.title} has no ports that remedy can move", hint="name another switch")
    return vendor.switch


def vendor_filters(vendor: Vendor) -> Filters:
    """The vendor's access lists as text. Raises AnswerUnusable when it has none."""
    if vendor.filters is None:
        raise AnswerUnusable(f"{vendor.title} has no access lists that remedy can read", hint="see `remedy acl --help`")
    return vendor.filters


def vendor_of(probe: Probe) -> str:
    """Whose device a probe of this module asks, by the vendor's name."""
    return str(_about(probe.parser.partition(":")[2])["vendor"])


def _probe(what: str, lines: Sequence[str], about: Json) -> Probe:
    command = Command(("cli", *lines), root=False, seconds=_SECONDS + len(lines))
    return Probe(command, f"device.{what}:{canonical(about).decode()}")


def _said(reply: Reply, about: dict[str, Any]) -> tuple[Vendor, list[str]]:
    r"""The vendor and what each line printed. Sample: ``["Ip address object group …\\n 0 network host …", ""]``."""
    vendor = devices.named(str(about["vendor"]))
    if reply.status:
        said = printable((reply.err or reply.out).strip(), 300, one_line=True)
        raise AnswerUnusable(f"the device did not answer: {said}", hint="nothing was decided from it")
    try:
        said_all = json.loads(reply.out)
    except ValueError as error:
        raise AnswerUnusable("the device's answer came through garbled", hint="nothing was decided from it") from error
    if not isinstance(said_all, list) or not all(isinstance(one, str) for one in said_all):
        raise AnswerUnusable("the device's answer came through garbled", hint="nothing was decided from it")
    for one in said_all:
        if _matches(vendor.terminal.refusals, one) and not _matches(vendor.terminal.absent, one):
            shown = printable(one.strip().removeprefix("^").strip(), 200, one_line=True)
            raise AnswerUnusable(
                f"the device refused to show something: {shown}",
                hint="may the account read the configuration? ansible_become types `enable` or `super`",
            )
    return vendor, said_all


def _matches(patterns: Sequence[str], text: str) -> bool:
    return any(re.search(pattern, text, re.MULTILINE) for pattern in patterns)


def _about(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(text))


def parse_members(reply: Reply, informed: str) -> Json:
    """Every group's members as canonical texts, ascending. A line that is not understood makes the answer unusable."""
    about = _about(informed)
    vendor, said = _said(reply, about)
    found: dict[str, Json] = {}
    for group, mine in _shared(about, said):
        seen = members_of(vendor, group, mine)
        found[group.name] = None if seen.absent else [str(span) for span in sorted(seen.spans)]
    return found


def members_of(vendor: Vendor, group: Group, texts: Sequence[str]) -> Members:
    """What a group holds, from what the lines that ask for it printed. Raises AnswerUnusable for a strange line."""
    seen = vendor_groups(vendor).read_members(group, texts)
    if seen.unknown:
        shown = printable(seen.unknown[0], 120, one_line=True)
        if seen.absent:
            raise AnswerUnusable(
                f"the name {group.name} is taken by something that is no group of remedy's: {shown}",
                hint="rename or remove that on the device",
            )
        raise AnswerUnusable(
            f"the group {group.name} has a line that remedy does not understand: {shown}",
            hint="nothing was decided from it; look at the group on the device",
        )
    return seen


def _shared(about: dict[str, Any], said: Sequence[str]) -> Iterator[tuple[Group, Sequence[str]]]:
    """Each group asked about, with what its own lines printed."""
    at = 0
    for made, lines in zip(about["groups"], about["lines"], strict=True):
        yield decode(Group, made, where="a probe's group"), said[at : at + lines]
        at += lines


def parse_progress(reply: Reply, informed: str) -> Json:
    """One word, from the sets: what is there of the coming, of the going, and of the rest."""
    about = _about(informed)
    vendor, said = _said(reply, about)
    rest: dict[str, set[str]] = {}
    come = gone = left = missing = 0
    for (group, mine), (add, remove) in zip(_shared(about, said), about["moves"], strict=True):
        there = {*labels(vendor, group, members_of(vendor, group, mine).spans, mine)}
        rest[group.name] = others = there - {*add, *remove}
        numbers = {text.partition(_UNDER)[2] for text in (*add, *remove)} - {""}
        if any(text.partition(_UNDER)[2] in numbers for text in others):
            return "other"
        come, missing = come + len(there & {*add}), missing + len({*add} - there)
        left, gone = left + len(there & {*remove}), gone + len({*remove} - there)
    if about["rest"] and remainder(rest) != about["rest"]:
        return "other"
    if not missing and not left:
        return "after"
    return "before" if not come and not gone else "halfway"


def parse_setup(reply: Reply, informed: str) -> Json:
    """One word."""
    about = _about(informed)
    vendor, said = _said(reply, about)
    where = decode(Gate, about["gate"], where="a probe's gate")
    group = decode(Group, about["group"], where="a probe's group")
    parts = vendor_groups(vendor)
    seen = parts.read_gate(where, group, said[: about["lines"]])
    held = parts.read_members(group, said[about["lines"] :])
    if seen.state == "foreign":
        return seen.state
    if standing(seen.state, there=not held.absent) == about["before"]:
        return "before"
    made = about["before"].endswith(standing("", there=False))
    if seen.beside > about.get("beside", seen.beside) or (made and held.spans):
        return "in use"
    return "after" if seen.state == "ready" else "halfway"


def parse_gate(reply: Reply, informed: str) -> Json:
    """State and reason."""
    about = _about(informed)
    vendor, said = _said(reply, about)
    where = decode(Gate, about["gate"], where="a probe's gate")
    group = decode(Group, about["group"], where="a probe's group")
    seen = vendor_groups(vendor).read_gate(where, group, said)
    return {"state": seen.state, "why": printable(seen.why, 300, one_line=True)}


def parse_port(reply: Reply, informed: str) -> Json:
    """Mode, VLAN and whether it is up."""
    about = _about(informed)
    vendor, said = _said(reply, about)
    seen = vendor_switch(vendor).read_port(str(about["port"]), said)
    return {"mode": seen.mode, "vlan": seen.vlan, "up": seen.up}


def parse_texts(reply: Reply, informed: str) -> Json:
    """The texts as they are; a refusal among them makes the answer unusable."""
    _, said = _said(reply, _about(informed))
    return [*said]


def parse_content(reply: Reply, informed: str) -> Json:
    """One word, from the list as it is now."""
    about = _about(informed)
    vendor, said = _said(reply, about)
    filters = vendor_filters(vendor)
    before = None if about["before"] is None else unpack(about["before"])
    after = unpack(about["after"])
    return come_so_far(filters, find(filters.read_lists(said), after, unified=about["unified"]), before, after)


def find(lists: Sequence[Acl], wanted: Acl, *, unified: bool) -> Acl | None:
    """The list of this name and family; with `unified`, of this name."""
    return next((one for one in lists if one.name == wanted.name and (unified or one.family == wanted.family)), None)


def find_alike(lists: Sequence[Acl], wanted: Acl) -> Acl | None:
    """The list of this family that the device takes for `wanted` although it shows another name.

    Comware's names are the same in capitals, and a list of its that has a name may have a number besides (H3C ACL and
    QoS Command Reference, `acl`): what is typed to make a new list would change that one.
    """
    name = _plain(wanted.name)
    same = (one for one in lists if one.family == wanted.family)
    return next((one for one in same if name in {_plain(one.name), _plain(dict(one.extra).get("number", ""))}), None)


def _plain(name: str) -> str:
    return name.lstrip("0") if name.isdecimal() else name.lower()


def come_so_far(filters: Filters, found: Acl | None, before: Acl | None, after: Acl) -> str:
    """One word for a list as found, see `content`."""
    if found is None:
        return "before" if before is None or not (before.rules or before.unknown) else "other"
    kept = before.unknown if before is not None else ()
    if sorted(_PLACE.sub("", line.text) for line in found.unknown) != sorted(_PLACE.sub("", one.text) for one in kept):
        return "other"
    if not filters.edit_list(found, after):
        return "after"
    if before is not None and _same(filters, found, before):
        return "before"
    there = before.rules if before is not None else ()
    known = {_bare(rule) for rule in (*there, *after.rules)}
    # a policy's rule has several lines and may be there in part: one under a number that only the new one has is ours
    policy = after.kind == "policy"
    ours = {rule.number for rule in after.rules if policy} - {rule.number for rule in there} - {None}
    strange = any(rule.number not in ours and _bare(rule) not in known for rule in found.rules)
    return "other" if strange else "halfway"


def _same(filters: Filters, found: Acl, before: Acl) -> bool:
    """Whether a list is as it was. An emptied one is compared as it stands: some vendors cannot say how to empty it."""
    return not found.rules if not before.rules else not filters.edit_list(found, before)


def _bare(rule: Rule) -> Rule:
    return replace(rule, number=None, comment="", until="", enabled=True)


def parse_timer(reply: Reply, informed: str) -> Json:
    """One word."""
    vendor, said = _said(reply, _about(informed))
    if vendor.timer is None or not said:
        return "unknown"
    return "armed" if vendor.timer.is_running(said) else "off"


INFORMED = {
    "content": parse_content,
    "gate": parse_gate,
    "members": parse_members,
    "port": parse_port,
    "progress": parse_progress,
    "setup": parse_setup,
    "texts": parse_texts,
    "timer": parse_timer,
}
PARSERS: dict[str, object] = {}
