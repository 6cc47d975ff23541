"""What a push makes of a rule file, for every vendor, from what its device would print: no device is needed for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import pytest

from remedy import devices
from remedy.actions.perimeter.harm import Way
from remedy.actions.push import Push
from remedy.core.canon import Json
from remedy.core.errors import Refused, UsageError
from remedy.core.values import Context, Plan, Probe, Reply, Site, Target
from remedy.probes import parse

RULES: Final = """\
permit tcp from 198.18.3.0/24 to any port 22      # the way in
deny 203.0.113.7 until 2039-01-01T00:00:00Z
deny 203.0.113.8-203.0.113.20
permit ip4 from any to 192.0.2.0/24
"""
#: When the file was read.
NOW: Final = "2026-11-20T00:00:00+00:00"
#: What takes a list away that was not there before.
GONE: Final = {
    "cisco_asa": "clear configure access-list EDGE",
    "cisco_ios": "no ip access-list extended EDGE",
    "cisco_nxos": "no ip access-list EDGE",
    "h3c_comware": "undo acl advanced name EDGE",
    "huawei_vrp": "undo acl name EDGE",
}


@dataclass
class Shown:
    """A device that shows these configuration lines, whatever it is asked; nothing is applied, nothing armed."""

    vendor: str
    lines: Sequence[str] = ()
    applied: str = ""

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As core.ports.Reader."""
        assert at == "fw01"
        return tuple(parse(probe.parser, Reply(0, json.dumps(self._said(probe)).encode())) for probe in probes)

    def _said(self, probe: Probe) -> list[str]:
        filters = devices.named(self.vendor).filters
        assert filters is not None
        asked = probe.command.argv[1:]
        if asked == filters.ask_lists():
            return ["".join(f"{line}\n" for line in self.lines), *[""] * (len(asked) - 1)]
        if "include" in asked[0]:
            return [self.applied]
        return ["Comware Software, Version 7.1.070" for _ in asked]

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As core.ports.Reader."""
        return tuple(self.ask(probes, at=at) for at, probes in questions)


def plan(shown: Shown, text: str = RULES, *, instead: bool = False, ways: tuple[Way, ...] = ()) -> Plan:
    """What a push would do."""
    return carried(Push(shown.vendor, text, "edge.rules", NOW, "EDGE", instead, ways), shown)


def carried(action: Push, shown: Shown) -> Plan:
    """What this push would do."""
    return action.plan(Target("fw01", "198.18.3.20"), Site(), Context("R1", "INC-1", "0" * 16), shown)


@pytest.mark.parametrize("vendor", sorted(GONE))
def test_a_new_list(vendor: str) -> None:
    """A list that was not there is written whole in the vendor's words, and goes as a whole; read back, it is there."""
    made = plan(Shown(vendor))
    [step] = made.changes
    assert step.undo
    assert step.undo.stdin.splitlines() == [GONE[vendor]]
    assert step.seen
    probe = [step.seen]
    assert Shown(vendor).ask(probe, at="fw01") == ("before",)
    lines = numbered(vendor, step.do.stdin.splitlines())
    assert Shown(vendor, lines).ask(probe, at="fw01") == ("after",)
    assert Shown(vendor, lines[:4]).ask(probe, at="fw01") == ("halfway",)
    strange = [line.replace("203.0.113.7", "203.0.113.77") for line in lines]
    assert Shown(vendor, strange).ask(probe, at="fw01") == ("other",)


def numbered(vendor: str, lines: Sequence[str]) -> list[str]:
    """The lines as the device shows them once typed: IOS and NX-OS number what has no number."""
    if vendor not in {"cisco_ios", "cisco_nxos"}:
        return [*lines]
    return [*lines[:1], *(f" {10 * at} {line}" for at, line in enumerate(lines[1:], 1))]


@pytest.mark.parametrize("vendor", ["cisco_asa", "cisco_ios", "cisco_nxos"])
def test_an_end_that_the_device_cannot_hold(vendor: str) -> None:
    """Where a rule cannot say when it ends, it is written without, and the plan says that it does not go by itself."""
    made = plan(Shown(vendor))
    assert "2039" not in made.changes[0].do.stdin
    assert any("cannot say when a rule ends" in note and "2039-01-01" in note for note in made.notes)
    held = plan(Shown("h3c_comware"))
    assert "comment until 2039-01-01T00:00:00Z" in held.changes[0].do.stdin


def test_what_no_rule_matches() -> None:
    """A list that is applied and denies what no rule permits must permit our way; one that nobody applies need not."""
    way = (Way("10.0.0.9", "198.18.3.20", 22),)
    assert plan(Shown("cisco_ios"), ways=way).changes
    applied = Shown("cisco_ios", applied=" ip access-group EDGE in\n")
    with pytest.raises(Refused, match="what no rule matches is denied"):
        plan(applied, ways=way)
    assert plan(applied, ways=(Way("198.18.3.1", "198.18.3.20", 22),)).changes
    with pytest.raises(Refused, match="nothing of IPv4 through"):
        plan(Shown("cisco_ios"), "deny 203.0.113.7\n")


def test_our_own_list_and_somebody_elses() -> None:
    """A list whose first rule bears remedy's mark is ours; another is replaced only if told so, as the plan says."""
    ours = Shown("h3c_comware", ("acl advanced name EDGE", "rule 0 permit tcp", "rule 0 comment remedy: old", "quit"))
    assert plan(ours).changes
    theirs = Shown("h3c_comware", ("acl advanced name EDGE", "rule 0 permit tcp", "rule 0 comment remedyless", "quit"))
    with pytest.raises(Refused, match="somebody else's"):
        plan(theirs)
    told = plan(theirs, instead=True)
    assert any("somebody else's" in line for line in told.impact)
    assert told.changes[0].undo
    assert "rule 0 permit tcp" in told.changes[0].undo.stdin
    assert "rule 0 comment remedyless" in told.changes[0].undo.stdin


@pytest.mark.parametrize(
    ("vendor", "line", "name"),
    [
        ("h3c_comware", "acl advanced name Edge", "EDGE"),
        ("h3c_comware", "acl advanced 3001", "03001"),
        ("h3c_comware5", "acl number 3999 name remedy-block", "3999"),
    ],
)
def test_a_list_with_two_names(vendor: str, line: str, name: str) -> None:
    """What the device takes for a list that is there is no new one, whose undo would take that away."""
    shown = Shown(vendor, (line, "rule 0 deny ip source 203.0.113.7 0", "quit"))
    with pytest.raises(Refused, match="is there as"):
        carried(Push(vendor, RULES, "edge.rules", NOW, name, replace=True), shown)


def test_a_drop_rule_of_ours_stays() -> None:
    """The drop rule on blocked addresses is no rule of the list's: it stays first, whatever is pushed."""
    lines = ("acl advanced name EDGE", "rule 0 deny ip source object-group remedy-block", "rule 5 permit ip", "quit")
    made = plan(Shown("h3c_comware", lines), instead=True)
    assert "undo rule 0" not in made.changes[0].do.stdin
    assert "undo rule 5" in made.changes[0].do.stdin


TIMED: Final = """\
permit tcp from 198.18.3.0/24 to any port 22
deny 203.0.113.0/24 until 2026-11-21T00:00:00Z
deny 203.0.113.7
permit ip4 from any to 192.0.2.0/24
"""
#: Somebody's own line behind remedy's, as the device shows it.
SOMEBODYS: Final = {
    "cisco_asa": "access-list EDGE extended deny ip host 192.0.2.66 any",
    "cisco_ios": " 45 deny ip host 192.0.2.66 any",
    "cisco_nxos": " 45 deny ip 192.0.2.66/32 any",
    "h3c_comware": "rule 99 deny ip source 192.0.2.66 0",
    "huawei_vrp": "rule 99 deny ip source 192.0.2.66 0",
}


@pytest.mark.parametrize("vendor", sorted(GONE))
def test_what_has_ended_goes(vendor: str) -> None:
    """Only what has ended goes, what it had made redundant comes, and somebody else's line is not touched."""
    lines = numbered(vendor, plan(Shown(vendor), TIMED).changes[0].do.stdin.splitlines())
    there = Shown(vendor, [one for one in lines if one != "quit"] + [SOMEBODYS[vendor]])
    action = Push(vendor, TIMED, "edge.rules", NOW, "EDGE", ended="2026-11-21T00:00:00+00:00")
    made = carried(action, there)
    [step] = made.changes
    typed = step.do.stdin
    assert "192.0.2.66" not in typed
    assert any(said in typed for said in ("no 30", "undo rule 5", "no access-list EDGE")), typed
    if vendor.startswith("cisco_"):
        assert "203.0.113.7" in typed, "one line stood for both"
    assert step.undo
    before = replace(action, ended="2026-11-20T23:59:59+00:00")
    assert carried(before, there).is_noop
    gone = carried(action, Shown(vendor))
    assert gone.is_noop
    assert any("not there any more" in note for note in gone.notes)


def test_an_end_that_would_cut_us_off() -> None:
    """What may not go, because it lets us in, stays, and it is said why."""
    text = "permit tcp from 10.0.0.9 to any port 22 until 2026-11-21T00:00:00Z\npermit ip4 from 192.0.2.0/24\n"
    lines = numbered("cisco_ios", plan(Shown("cisco_ios"), text).changes[0].do.stdin.splitlines())
    there = Shown("cisco_ios", lines, applied=" ip access-group EDGE in\n")
    action = Push("cisco_ios", text, "edge.rules", NOW, "EDGE")
    action = replace(action, ended="2026-11-21T00:00:00+00:00", ways=(Way("10.0.0.9", "198.18.3.20", 22),))
    with pytest.raises(Refused, match="our own way"):
        carried(action, there)
    assert carried(replace(action, ways=(Way("192.0.2.9", "198.18.3.20", 22),)), there).changes


def test_an_end_that_lays_a_denial_bare() -> None:
    """A permission that ends before a denial of who must stay is refused; a denial that stood so already is not."""
    keep = (("log01, which is protected", ("192.0.2.98",)),)
    end = "2026-11-21T00:00:00+00:00"
    base = Push("h3c_comware", "", "edge.rules", NOW, "EDGE", ended=end, keep=keep)
    deny = "deny 192.0.2.98\npermit ip4 from any\n"
    for text, refused in (
        (f"permit ip4 from 192.0.2.98 until 2026-11-21T00:00:00Z\n{deny}", True),
        (f"deny 203.0.113.9 until 2026-11-21T00:00:00Z\n{deny}", False),
    ):
        lines = numbered("h3c_comware", plan(Shown("h3c_comware"), text).changes[0].do.stdin.splitlines())
        there = Shown("h3c_comware", lines)
        if refused:
            with pytest.raises(Refused, match="log01"):
                carried(replace(base, text=text), there)
        else:
            assert carried(replace(base, text=text), there).changes


def test_an_end_where_the_mark_cannot_be_moved() -> None:
    """A release that puts remarks at a list's end alone keeps a first rule that has ended, and it is said why."""
    text = "deny 203.0.113.0/24 until 2026-11-21T00:00:00Z\npermit ip4 from any to 192.0.2.0/24\n"
    rules = ("deny ip 203.0.113.0 0.0.0.255 any", "permit ip any 192.0.2.0 0.0.0.255")
    shown = ["Extended IP access list EDGE", *(f"    {10 * at} {rule}" for at, rule in enumerate(rules, 1))]
    typed = ["ip access-list extended EDGE", " remark remedy", *(f" {rule}" for rule in rules)]
    action = Push("cisco_ios", text, "edge.rules", NOW, "EDGE", ended="2026-11-21T00:00:00+00:00")
    with pytest.raises(UsageError, match="at the end of EDGE only"):
        carried(action, Shown("cisco_ios", [*shown, *typed]))
    way = "permit tcp from 198.18.3.0/24 to any port 22"
    shown[1:1], typed[2:2] = (
        ["    5 permit tcp 198.18.3.0 0.0.0.255 any eq 22"],
        [" permit tcp 198.18.3.0 0.0.0.255 any eq 22"],
    )
    [step] = carried(replace(action, text=f"{way}\n{text}"), Shown("cisco_ios", [*shown, *typed])).changes
    assert step.do.stdin.splitlines() == ["ip access-list extended EDGE", "no 10"]
