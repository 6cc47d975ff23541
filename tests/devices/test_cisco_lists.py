"""Lists are read whole, and an edit makes of one list the other on a device that keeps to the reference."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import AnswerUnusable, Refused, UsageError
from remedy.devices import Filters, Lines, registered
from remedy.devices.acl import Acl, Endpoint, Line, Rule
from remedy.devices.addresses import parse
from remedy.devices.dialects.ios_diff import hunks


def filters(vendor: str) -> Filters:
    """The vendor's lists."""
    found = registered()[vendor].filters
    assert found is not None
    return found


class Device:
    """One list of a device: applies what is typed as the references say, and shows the list as `show` does.

    IOS and NX-OS: a number twice, a rule twice and an unknown number are refused. ASA: a rule twice and a place
    beyond the end are refused. `tail_remarks` is an older IOS, which appends every remark and does not number it;
    `tied` an IOS-XE that holds remarks at the number of the rule that they stand before.
    """

    def __init__(self, vendor: str, family: int = 4, *, tail_remarks: bool = False, tied: bool = False) -> None:
        """A list X without lines."""
        self.vendor, self.family, self.tail_remarks = vendor, family, tail_remarks
        self.lines: list[tuple[int, str]] = []
        self.tied, self.waiting = tied, list[str]()

    def type(self, lines: Lines) -> None:
        """Type the lines one by one."""
        for line in lines:
            if self.vendor == "cisco_asa":
                self._asa(line)
            elif not re.match(r"(?:ip|ipv6) access-list ", line):
                self._numbered(line)

    def _asa(self, line: str) -> None:
        found = re.fullmatch(r"(no )?access-list X (?:line (\d+) )?(.*)", line)
        assert found, line
        texts = [text for _, text in self.lines]
        if found[1]:
            at = int(found[2]) - 1 if found[2] else texts.index(found[3])
            assert texts[at] == found[3], line
            del self.lines[at]
        else:
            assert found[3].startswith("remark") or found[3] not in texts, f"twice: {line}"
            at = int(found[2]) - 1 if found[2] else len(self.lines)
            assert at <= len(self.lines), line
            self.lines.insert(at, (0, found[3]))

    def _numbered(self, line: str) -> None:
        found = re.fullmatch(r"(no )?(?:(?:sequence )?(\d+) ?)?(.*)", line)
        assert found, line
        if self.tied:
            self._tied(bool(found[1]), int(found[2]) if found[2] else None, found[3])
            return
        numbers = [number for number, _ in self.lines]
        if found[1]:
            if found[2]:
                assert int(found[2]) in numbers, f"no such line: {line}"
                del self.lines[numbers.index(int(found[2]))]
            else:
                assert (-1, found[3]) in self.lines, line
                self.lines.remove((-1, found[3]))
            return
        remark = found[3].startswith("remark")
        assert remark or found[3] not in [text for _, text in self.lines], f"twice: {line}"
        if remark and self.tail_remarks:
            assert not found[2], f"this release takes no numbers here: {line}"
            self.lines.append((-1, found[3]))
            return
        number = int(found[2]) if found[2] else max((n for n in numbers if n >= 0), default=0) // 10 * 10 + 10
        assert number not in numbers, f"number twice: {line}"
        later = [at for at, (n, _) in enumerate(self.lines) if n > number]
        place = min(later, default=len(self.lines))
        while self.tail_remarks and later and place and self.lines[place - 1][0] < 0:
            place -= 1  # what is put in stands before the remarks of the next rule
        self.lines.insert(place, (number, found[3]))

    def _tied(self, undo: bool, number: int | None, text: str) -> None:  # noqa: FBT001 -- of the line
        numbers = [at for at, said in self.lines if not said.startswith("remark")]
        if undo:
            assert number in [at for at, _ in self.lines], f"no such line: {number}"
            assert not text
            self.lines = [one for one in self.lines if one[0] != number]
            return
        if number is None:
            if text.startswith("remark"):
                self.waiting.append(text)
                return
            number = max(numbers, default=0) // 10 * 10 + 10
        if not text.startswith("remark"):
            assert number not in numbers, f"number twice: {number}"
            assert text not in [said for _, said in self.lines], f"twice: {text}"
        self.lines += [(number, one) for one in (*self.waiting, text)]
        self.waiting = []
        self.lines.sort(key=lambda one: (one[0], not one[1].startswith("remark")))

    def show(self) -> tuple[str, ...]:
        """The answers to `ask_lists`."""
        if self.vendor == "cisco_asa":
            return ("".join(f"access-list X {text}\n" for _, text in self.lines),)
        body, rest = [], []
        for number, text in self.lines:
            rest.append(f" {f'{number} ' if not self.tail_remarks else ''}{text}\n")
            if text.startswith("remark") and self.vendor == "cisco_ios":
                continue
            last = self.family == 6 and self.vendor == "cisco_ios"
            body.append(f"    {text} sequence {number}\n" if last else f"    {number} {text}\n")
        ip = "ip" if self.family == 4 else "ipv6"
        kind = "extended " if self.vendor == "cisco_ios" and self.family == 4 else ""
        if self.family == 4:
            head = "Extended IP access list X\n" if self.vendor == "cisco_ios" else "IP access list X\n"
        else:
            head = "IPv6 access list X\n"
        running = f"version 15.2\n!\ninterface Ethernet0/0\n no ip address\n!\n{ip} access-list {kind}X\n"
        return head + "".join(body), running + "".join(rest) + "!\nend\n"

    def read(self) -> Acl:
        """The list as remedy reads it."""
        (acl,) = filters(self.vendor).read_lists(self.show())
        return acl


def numbered(count: int, family: int, comments: tuple[str, ...]) -> tuple[Rule, ...]:
    """Distinct rules, the first of them with these comments."""
    base = "10.0.{}.0/24" if family == 4 else "2001:db8:{}::/48"
    return tuple(
        Rule(
            "deny" if at % 3 else "permit",
            family,
            "tcp",
            Endpoint((parse(base.format(at)),)),
            Endpoint(ports=((at + 1, at + 1),)),
            comment=comments[at] if at < len(comments) else "",
        )
        for at in range(count)
    )


def bare(acl: Acl) -> list[Rule]:
    """What a list says, whatever its numbers."""
    return [replace(rule, number=None) for rule in acl.rules]


comments = st.lists(st.sampled_from(["", "one", "two\nlines", "why not! (really)"]), max_size=8).map(tuple)
ways = st.sampled_from([("cisco_ios", 4), ("cisco_ios", 6), ("cisco_nxos", 4), ("cisco_nxos", 6), ("cisco_asa", 4)])
ways_and_ties = st.one_of(
    ways.map(lambda way: (*way, False)), st.sampled_from([("cisco_ios", 4, True), ("cisco_ios", 6, True)])
)
orders = st.lists(st.integers(0, 11), unique=True, min_size=1, max_size=12)


@given(ways_and_ties, orders, orders, comments, comments)
def test_edit_makes_the_other_list(
    way: tuple[str, int, bool], first: list[int], second: list[int], before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """Any list becomes any other, remarks in order, with no line refused; taking it back gives the first again."""
    vendor, family, tied = way
    device = Device(vendor, family, tied=tied)
    old, new = numbered(12, family, before), numbered(12, family, after)
    device.type(filters(vendor).write_list(Acl("X", family, rules=tuple(old[at] for at in first))))
    was = device.read()
    assert bare(was) == [old[at] for at in first]
    goal = Acl("X", family, was.kind, tuple(new[at] for at in second))
    try:
        lines = filters(vendor).edit_list(was, goal)
    except Refused as error:
        assert "no line number is free" in error.message  # more than nine lines are to stand between two  # noqa: PT017
        assert len(second) + sum(len(rule.comment.splitlines()) for rule in goal.rules) > 9
        return
    device.type(lines)
    now = device.read()
    assert bare(now) == list(goal.rules)
    assert filters(vendor).edit_list(now, goal) == ()
    device.type(filters(vendor).edit_list(now, was))
    assert bare(device.read()) == bare(was)
    if vendor != "cisco_asa":
        assert [rule.number for rule in device.read().rules] == [rule.number for rule in was.rules]


@given(st.lists(st.integers(0, 9), unique=True), st.lists(st.integers(0, 9), unique=True))
def test_most_lines_stay(was: list[int], goal: list[int]) -> None:
    """The hunks make the one of the other, and no common subsequence is longer than what they leave alone."""
    made = list(was)
    for low, high, first, last in reversed(list(hunks(was, goal))):
        made[low:high] = goal[first:last]
    assert made == goal
    stays = len(was) - sum(high - low for low, high, _, _ in hunks(was, goal))
    longest = [[0] * (len(goal) + 1) for _ in range(len(was) + 1)]
    for i, a in enumerate(was):
        for j, b in enumerate(goal):
            longest[i + 1][j + 1] = longest[i][j] + 1 if a == b else max(longest[i][j + 1], longest[i + 1][j])
    assert stays == longest[-1][-1]


def test_large_edit_is_quick() -> None:
    """Every other of 5,000 rules taken out of a list is a matter of moments, not of their square."""
    rules = tuple(replace(rule, number=20 * at + 20) for at, rule in enumerate(numbered(250, 4, ())))
    rules = tuple(replace(rule, number=None, rest=(f"x{part}",)) for part in range(20) for rule in rules)
    for vendor in ("cisco_ios", "cisco_asa"):
        was = Acl("X", 4, "extended", tuple(replace(rule, number=20 * at + 20) for at, rule in enumerate(rules)))
        begun = time.process_time()
        lines = filters(vendor).edit_list(was, replace(was, rules=was.rules[::2]))
        assert time.process_time() - begun < 5
        assert sum(line.startswith("no ") for line in lines) == 2500


@given(ways, orders, st.integers(0, 11))
def test_fewest_lines(way: tuple[str, int], order: list[int], extra: int) -> None:
    """One rule more is one line more, and equal rules are not touched."""
    vendor, family = way
    rules = numbered(13, family, ())
    device = Device(vendor, family)
    device.type(filters(vendor).write_list(Acl("X", family, rules=tuple(rules[at] for at in order))))
    was = device.read()
    place = min(extra, len(order))
    goal = replace(was, rules=(*was.rules[:place], rules[12], *was.rules[place:]))
    lines = [line for line in filters(vendor).edit_list(was, goal) if line.split(" ", 1)[-1] != "access-list X"]
    typed = [line for line in lines if "permit" in line or "deny" in line]
    assert len(typed) == 1
    assert not [line for line in lines if line.startswith("no ")]


@given(ways_and_ties, orders, st.integers(0, 11))
def test_a_rule_goes_with_its_remarks(way: tuple[str, int, bool], order: list[int], which: int) -> None:
    """A rule that is left out takes its remarks with it, and no other line is typed, though others say the same."""
    vendor, family, tied = way
    device = Device(vendor, family, tied=tied)
    rules = numbered(12, family, ("web\nshop",) * 12)
    device.type(filters(vendor).write_list(Acl("X", family, rules=tuple(rules[at] for at in order))))
    was = device.read()
    place = which % len(order)
    goal = replace(was, rules=(*was.rules[:place], *was.rules[place + 1 :]))
    if not goal.rules and vendor == "cisco_asa":
        return
    lines = filters(vendor).edit_list(was, goal)
    assert len(lines) == (2 if tied else 3 if vendor == "cisco_asa" else 4)
    device.type(lines)
    assert bare(device.read()) == bare(goal) if goal.rules else not device.lines


def test_write_and_read_what_was_written() -> None:
    """IOS text of one list, as it is typed."""
    rules = numbered(3, 4, ("the shop",))
    assert filters("cisco_ios").write_list(Acl("edge-in", 4, "extended", rules)) == (
        "ip access-list extended edge-in",
        "remark the shop",
        "permit tcp 10.0.0.0 0.0.0.255 any eq 1",
        "deny tcp 10.0.1.0 0.0.0.255 any eq 2",
        "deny tcp 10.0.2.0 0.0.0.255 any eq 3",
    )
    assert filters("cisco_asa").write_list(Acl("edge-in", 4, "", rules[:1])) == (
        "access-list edge-in remark the shop",
        "access-list edge-in extended permit tcp 10.0.0.0 255.255.255.0 any eq 1",
    )
    assert filters("cisco_nxos").write_list(Acl("edge6", 6, "", numbered(1, 6, ()))) == (
        "ipv6 access-list edge6",
        "permit tcp 2001:db8::/48 any eq 1",
    )


@given(orders, comments)
def test_old_release_appends_remarks(order: list[int], said: tuple[str, ...]) -> None:
    """Where remarks cannot be placed, they are typed for rules at the end and refused elsewhere, never misplaced."""
    ios = filters("cisco_ios")
    device = Device("cisco_ios", tail_remarks=True)
    rules = numbered(12, 4, said)
    device.type(ios.write_list(Acl("X", 4, rules=tuple(rules[at] for at in order))))
    was = device.read()
    assert bare(was) == [rules[at] for at in order]
    last = Rule("deny", 4, comment="all the rest")
    device.type(ios.edit_list(was, replace(was, rules=(*was.rules, last))))
    assert bare(device.read()) == [*bare(was), last]
    device.type(ios.edit_list(device.read(), was))
    assert device.read() == was
    first = replace(last, comment="first of all")
    with pytest.raises(UsageError, match="remark at the end of X only"):
        ios.edit_list(was, replace(was, rules=(first, *was.rules)))
    plain = replace(first, comment="")
    device.type(ios.edit_list(was, replace(was, rules=(plain, *was.rules))))
    assert bare(device.read()) == [plain, *bare(was)]


def test_no_number_free() -> None:
    """Where no number is free, nothing is renumbered: the line that would do it is named, and ours to paste."""
    ios = filters("cisco_ios")
    text = "Extended IP access list X\n    1 permit tcp any any eq 22\n    2 deny ip any any\n"
    (was,) = ios.read_lists([text])
    with pytest.raises(Refused) as caught:
        ios.edit_list(was, replace(was, rules=(was.rules[0], *numbered(1, 4, ()), was.rules[1])))
    assert "ip access-list resequence X 10 10" in caught.value.hint
    (six,) = ios.read_lists(["IPv6 access list X\n  permit tcp any any sequence 1\n  deny ipv6 any any sequence 2\n"])
    with pytest.raises(Refused):
        ios.edit_list(six, replace(six, rules=(six.rules[0], *numbered(1, 6, ()), six.rules[1])))


def test_lines_not_understood_keep_their_numbers() -> None:
    """What is not understood is shown with its number, which no new line takes."""
    ios = filters("cisco_ios")
    text = (
        "Extended IP access list X\n    10 permit tcp any any eq www\n"
        "    14 permit ip 10.0.0.1 0.255.0.255 any\n    15 evaluate mirror\n    17 deny ip any any (3 matches)\n"
    )
    (was,) = ios.read_lists([text])
    assert [line.text for line in was.unknown] == ["15 evaluate mirror", "14 permit ip 10.0.0.1 0.255.0.255 any"]
    goal = replace(was, rules=(was.rules[0], *numbered(4, 4, ()), was.rules[1]))
    lines = ios.edit_list(was, goal)
    assert [int(line.split()[0]) for line in lines[1:]] == [11, 12, 13, 16]


def test_asa_lines_not_understood_keep_their_places() -> None:
    """A line of an ASA that is not understood counts as a place, and stays."""
    asa = filters("cisco_asa")
    text = (
        "access-list X remark shop\naccess-list X extended permit object-group web any any\n"
        "access-list X extended permit tcp any4 any4 eq https\n"
    )
    (was,) = asa.read_lists([text])
    assert was.unknown == (Line("1 remark shop"), Line("2 extended permit object-group web any any"))
    lines = asa.edit_list(was, replace(was, rules=(*was.rules, *numbered(1, 4, ()))))
    assert lines == ("access-list X line 4 extended permit tcp 10.0.0.0 255.255.255.0 any eq 1",)
    assert asa.edit_list(was, replace(was, rules=())) == ("no access-list X extended permit tcp any4 any4 eq 443",)


def test_asa_list_without_lines() -> None:
    """The last line of an ASA's list is not taken away, since its place at the interface would go with it."""
    asa = filters("cisco_asa")
    (was,) = asa.read_lists(["access-list X extended permit ip any any\n"])
    with pytest.raises(UsageError, match="take it off its interface"):
        asa.edit_list(was, replace(was, rules=()))


def test_standard_lists() -> None:
    """A standard list names sources, in three spellings, and is written again as one."""
    ios = filters("cisco_ios")
    text = (
        "Standard IP access list 10\n    10 permit 10.1.2.3 log\n    20 deny   10.1.1.1 (5 matches)\n"
        "    30 deny   192.168.1.0, wildcard bits 0.0.0.255\n    40 permit any\n"
    )
    (was,) = ios.read_lists([text])
    assert [str(rule.source.spans[0]) for rule in was.rules[:3]] == ["10.1.2.3", "10.1.1.1", "192.168.1.0/24"]
    assert ios.write_list(was) == (
        "ip access-list standard 10",
        "10 permit host 10.1.2.3 log",
        "20 deny host 10.1.1.1",
        "30 deny 192.168.1.0 0.0.0.255",
        "40 permit any",
    )


@pytest.mark.parametrize("vendor", ["cisco_ios", "cisco_nxos", "cisco_asa"])
@pytest.mark.parametrize(
    "text",
    [
        "           ^\n% Invalid input detected at '^' marker.\n",
        "ERROR: % Invalid input detected at '^' marker.\n",
        "% Incomplete command.\n",
        "% Permission denied for the role\n",
    ],
)
def test_refusal_is_no_empty_answer(vendor: str, text: str) -> None:
    """A device that refuses the question is not taken for one without lists."""
    with pytest.raises(AnswerUnusable):
        filters(vendor).read_lists([text])
    assert filters(vendor).read_lists([""]) == ()


@pytest.mark.parametrize("comment", ["what?", "über", "a\tb", " lead", "x" * 101, "two\n\nparts", "a\r\nreload"])
def test_comments_that_would_type_something_else(comment: str) -> None:
    """A comment that the terminal would take for help, a control or a second line is refused."""
    for vendor in ("cisco_ios", "cisco_nxos", "cisco_asa"):
        with pytest.raises(UsageError, match="remark"):
            filters(vendor).write_list(Acl("X", 4, rules=(Rule("permit", 4, comment=comment),)))


@pytest.mark.parametrize("mark", ["\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r"])
def test_no_rule_is_forged_by_a_remark(mark: str) -> None:
    """A control character in a remark does not make a rule of what stands behind it."""
    firewall = "access-list X remark web{}access-list X extended permit ip any any\n"
    for vendor, text in (
        ("cisco_ios", "ip access-list extended X\n 10 remark web{}20 permit ip any any\n 30 deny ip any any\n"),
        ("cisco_nxos", "IP access list X\n 10 remark web{}20 permit ip any any\n 30 deny ip any any\n"),
        ("cisco_asa", firewall + "access-list X extended deny ip any any\n"),
    ):
        (acl,) = filters(vendor).read_lists([text.format(mark)])
        assert [rule.action for rule in acl.rules] == ["deny"]
        assert "permit" in acl.rules[0].comment


def test_show_and_configuration_are_joined() -> None:
    """Numbers come from `show`, remarks from the configuration; where they differ, that is said."""
    ios = filters("cisco_ios")
    shown = "Extended IP access list 101\n    10 permit tcp any any eq www (7 matches)\n    20 deny ip any any log\n"
    running = "access-list 101 remark shop\n"
    running += "access-list 101 permit tcp any any eq www\naccess-list 101 deny   ip any any log\n"
    (acl,) = ios.read_lists([shown, running])
    assert [(rule.number, rule.comment) for rule in acl.rules] == [(10, "shop"), (20, "")]
    (acl,) = ios.read_lists([shown, running.replace("log", "")])
    assert "other rules" in acl.unknown[-1].text


@given(st.text(max_size=300))
def test_hostile_text(text: str) -> None:
    """Whatever is printed, reading ends, and no line of a list is lost without a trace."""
    for vendor in ("cisco_ios", "cisco_nxos", "cisco_asa"):
        head = {"cisco_ios": "Extended IP access list X\n", "cisco_nxos": "IP access list X\n"}.get(
            vendor, "access-list X; 1 elements; name hash: 0x1\n"
        )
        try:
            lists = filters(vendor).read_lists([head + text])
        except AnswerUnusable:
            continue
        if vendor != "cisco_asa" and lists and not text.strip().startswith(("ip", "IP", "Ext", "Stan", "Refl", "MAC")):
            kept = len(lists[0].rules) + len(lists[0].unknown) + len(lists[0].extra)
            assert kept or not text.replace("!", "").replace("\0", "").strip() or len(lists) > 1
