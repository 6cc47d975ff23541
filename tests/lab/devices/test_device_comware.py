"""The access switch's language: views, lists, groups, filters, ports, as H3C's references have them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lab.devices.rig import Desk, desk, talk

from remedy.devices.addresses import parse
from remedy.lab.devices.enforce import Heard, Neighbour
from remedy.lab.devices.h3c import messages

GROUP = ("system-view", "object-group ip address g")
LIST = ("system-view", "acl advanced 3000")


def on(work: Callable[[Desk], Coroutine[None, None, None]], face: str = "comware") -> None:
    """Do something at a device's desk."""

    async def run() -> None:
        async with desk(face) as at:
            await work(at)

    asyncio.run(run())


def test_the_prompt_says_the_view() -> None:
    """Each view has the prompt of the reference; quit leaves one, return all, entering one from another leaves that."""

    async def work(at: Desk) -> None:
        seen = [at.prompt]
        for line in (
            "system-view", "acl advanced 3000", "quit", "acl ipv6 basic name six",
            "object-group ip address remedy-block", "interface g1/0/2", "vlan 20", "return",
        ):  # fmt: skip
            await at.accept(line)
            seen.append(at.prompt)
        assert seen == [
            "<H3C>", "[H3C]", "[H3C-acl-ipv4-adv-3000]", "[H3C]", "[H3C-acl-ipv6-basic-six]",
            "[H3C-obj-grp-ip-remedy-block]", "[H3C-GigabitEthernet1/0/2]", "[H3C-vlan20]", "<H3C>",
        ]  # fmt: skip

    on(work)


def test_a_session_stays_where_it_is_unless_it_enters_another_view() -> None:
    """A line of system view typed deeper, and a line that is refused, leave the view as it was."""

    async def work(at: Desk) -> None:
        await at.accept("system-view", "vlan 20", "sysname SW02")
        assert at.prompt == "[SW02-vlan20]"
        assert "^" in await at.type("interface g9/9/9")
        assert at.prompt == "[SW02-vlan20]"
        at.device.prefix = "RBM_P"
        assert at.prompt == "RBM_P[SW02-vlan20]"

    on(work)


@pytest.mark.parametrize(
    ("line", "word", "said"),
    [
        ("system-vew", "system-vew", "Unrecognized command"),
        ("display acl 9", "9", "Wrong parameter"),
        ("display", "", "Incomplete command"),
        ("s", "s", "Ambiguous command"),
        ("display clock now", "now", "Too many parameters"),
    ],
)
def test_the_caret_stands_under_the_wrong_word(line: str, word: str, said: str) -> None:
    """The refusal has its place counted from the prompt and the words of the reference."""
    column = len("<H3C>") + (line.rindex(word) if word else len(line))
    assert talk("comware", [line]) == [f"{' ' * column}^\n % {said} found at '^' position.\n"]


def test_a_rule_is_laid_over_the_one_of_its_number() -> None:
    """What was typed anew replaces, what was not stays; `undo rule N field` takes one field, `undo rule N` the rule."""

    async def work(at: Desk) -> None:
        await at.accept(*LIST, "rule 5 permit tcp source 10.0.0.9 0.0.0.255 destination-port eq 80")
        await at.accept("rule 5 deny tcp source 10.1.0.1 0 logging", "rule 5 comment kept apart")
        assert "rule 5 deny tcp source 10.1.0.1 0 destination-port eq www logging\n" in await at.type(
            "display acl 3000"
        )
        await at.accept("undo rule 5 source")
        shown = await at.type("display acl 3000")
        assert " rule 5 deny tcp destination-port eq www logging\n rule 5 comment kept apart\n" in shown
        await at.accept("undo rule 5")
        assert "rule 5" not in await at.type("display acl 3000")
        assert await at.type("undo rule 5") == f"{messages.NO_RULE}\n"

    on(work)


def test_rules_that_cannot_be_are_refused() -> None:
    """Identical content, a missing group, and an edit under match-order auto are errors, and change nothing."""

    async def work(at: Desk) -> None:
        await at.accept(*LIST, "rule 0 deny ip source 10.0.0.1 0")
        assert await at.type("rule 9 deny ip source 10.0.0.1 0") == f"{messages.EXISTS}\n"
        assert await at.type("rule 9 deny ip source object-group nowhere") == f"{messages.NO_GROUP}\n"
        await at.accept("acl basic 2000 match-order auto", "rule 0 permit source 10.0.0.0 0.0.0.255")
        assert await at.type("rule 0 permit source 10.9.0.0 0.0.0.255") == f"{messages.AUTO}\n"
        await at.accept("rule permit source 10.0.0.5 0")
        shown = await at.type("display acl 2000")
        assert "match-order is auto," in shown.splitlines()[0]
        assert "10.9" not in shown
        assert "rule 9" not in await at.type("display acl 3000")

    on(work)


def test_rules_number_themselves() -> None:
    """A number that is not given is the next multiple of the step above the highest; a new step renumbers from 0."""

    async def work(at: Desk) -> None:
        await at.accept(*LIST)
        for number in (0, 5, 9, 10, 12):
            await at.accept(f"rule {number} permit ip source 10.0.0.{number} 0")
        await at.accept("rule permit ip source 10.0.0.99 0")
        assert " rule 15 permit ip source 10.0.0.99 0\n" in await at.type("display acl 3000")
        await at.accept("step 2")
        assert " rule 10 permit ip source 10.0.0.99 0\n" in await at.type("display acl 3000")

    on(work)


def test_a_group_keeps_what_it_means() -> None:
    """Addresses are kept in the forms of the reference, numbered by tens; the same again is an error."""

    async def work(at: Desk) -> None:
        await at.accept(*GROUP)
        for line in (
            "network host address 203.0.113.7", "network subnet 198.51.100.9 24", "network range 192.0.2.9 192.0.2.3",
            "network range 10.0.0.0 10.0.0.255", "network subnet 203.0.113.8 255.255.255.255",
            "22 network host name bad",
            "network group-object other",
        ):  # fmt: skip
            await at.accept(line)
        assert await at.type("display object-group name g") == (
            "IP address object group g: 7 objects(out of use)\n"
            " 0 network host address 203.0.113.7\n"
            " 10 network subnet 198.51.100.0 255.255.255.0\n"
            " 20 network range 192.0.2.3 192.0.2.9\n"
            " 22 network host name bad\n"
            " 30 network subnet 10.0.0.0 255.255.255.0\n"
            " 40 network host address 203.0.113.8\n"
            " 50 network group-object other\n"
        )
        assert await at.type("network subnet 198.51.100.0 24") == f"{messages.OBJECT_EXISTS}\n"
        await at.accept("undo network subnet 198.51.100.0 255.255.255.0", "undo 0")
        assert await at.type("undo network host address 203.0.113.7") == f"{messages.NO_OBJECT}\n"

    on(work)


def test_a_group_in_use_stays() -> None:
    """A group that a rule or another group names cannot be deleted, nor can groups go round."""

    async def work(at: Desk) -> None:
        await at.accept(
            *GROUP, "network host address 203.0.113.7", "acl advanced 3000", "rule deny ip source object-group g"
        )
        assert "(in use)" in await at.type("display object-group name g")
        assert await at.type("undo object-group ip address g") == f"{messages.GROUP_IN_USE}\n"
        await at.accept("object-group ip address a", "network group-object b", "object-group ip address b")
        assert await at.type("network group-object a") == f"{messages.GROUP_LOOP}\n"
        assert await at.type("undo object-group ip address b") == f"{messages.GROUP_IN_USE}\n"
        assert await at.type("object-group ipv6 address g") == f"{messages.GROUP_TYPE}\n"

    on(work)


def test_a_filter_is_what_the_enforcer_is_told() -> None:
    """A list applied to an interface is a stage there: rules in order, groups spelled out, nothing matched permits."""

    async def work(at: Desk) -> None:
        await at.accept(*GROUP, "network host address 203.0.113.7", "network range 10.0.0.1 10.0.0.3")
        await at.accept("acl advanced 3000", "rule deny ip source object-group G")
        await at.accept("rule permit tcp source 10.0.0.0 0.0.255.0 destination-port range 80 90")
        await at.accept("interface g1/0/1", "packet-filter 3000 inbound")
        wanted = (await at.wanted()).wanted
        (stage,) = wanted.stages
        assert (stage.interface, stage.hook, stage.default, stage.family) == (
            "GigabitEthernet1/0/1",
            "arriving",
            "permit",
            4,
        )
        first, second = (placed.rule for placed in stage.rules)
        assert (first.action, first.source.group, second.destination.ports) == ("deny", "g", ((80, 90),))
        assert len(second.source.spans) == 256
        assert wanted.groups["g"] == (parse("203.0.113.7"), parse("10.0.0.1-10.0.0.3"))
        await at.accept("packet-filter default deny", "interface g1/0/1", "undo packet-filter 3000 inbound")
        assert not (await at.wanted()).wanted.stages

    on(work)


def test_rules_without_hardware_are_marked_and_do_not_act() -> None:
    """`display packet-filter verbose` marks them `(Failed)`, `display acl` does not, and no packet meets them."""

    async def work(at: Desk) -> None:
        at.device.faults.change({"failed": ["3000/5"]})
        await at.accept(*LIST, "rule 0 permit ip source 10.0.0.1 0", "rule 5 deny ip", "interface g1/0/1")
        await at.accept("packet-filter 3000 inbound hardware-count")
        assert "Failed" not in await at.type("display acl 3000")
        assert await at.type("display packet-filter verbose interface g1/0/1 inbound") == (
            "Interface: GigabitEthernet1/0/1\n In-bound policy:\n  IPv4 ACL 3000, Hardware-count\n"
            "   rule 0 permit ip source 10.0.0.1 0\n   rule 5 deny ip (Failed)\n"
        )
        (stage,) = (await at.wanted()).wanted.stages
        assert [placed.rule.number for placed in stage.rules] == [0]

    on(work)


def test_hits_are_counted_where_the_device_counts() -> None:
    """Hardware counts show in the filter's statistics where counting is on, and never in `display acl`."""

    async def work(at: Desk) -> None:
        (await at.wanted()).counts["acl:4:3000:0"] = 7
        await at.accept(*LIST, "rule 0 deny ip counting", "interface g1/0/1", "packet-filter 3000 inbound")
        assert "rule 0 deny ip counting (7 packets)" in await at.type(
            "display packet-filter statistics interface g1/0/1 inbound"
        )
        assert "7" not in await at.type("display acl 3000")

    on(work)


def test_ports_move_between_vlans() -> None:
    """An access port goes to a VLAN that exists only; the enforcer and the tables follow."""

    async def work(at: Desk) -> None:
        enforcer = await at.wanted()
        enforcer.table = (Heard("02:00:00:00:00:07", 20, "GigabitEthernet1/0/3"),)
        enforcer.arp = (Neighbour("10.0.20.7", "02:00:00:00:00:07", "Vlan-interface20"),)
        await at.accept("system-view", "interface GigabitEthernet 1/0/3")
        assert await at.type("port access vlan 20") == f"{messages.NO_VLAN}\n"
        await at.accept(
            "vlan 20", "name servers", "interface g1/0/3", "port access vlan 20", "shutdown", "description web01"
        )
        await at.accept("interface g1/0/4", "port link-type trunk", "port trunk permit vlan 10 to 12 20")
        third, fourth = (await at.wanted()).wanted.ports[2:]
        assert (third.mode, third.pvid, third.up) == ("access", 20, False)
        assert (fourth.mode, fourth.vlans) == ("trunk", ((1, 1), (10, 12), (20, 20)))
        assert "0200-0000-0007 20       Learned        GigabitEthernet1/0/3     AGING" in await at.type(
            "display mac-address"
        )
        assert "10.0.20.7       0200-0000-0007 20       GE1/0/3" in await at.type("display arp 10.0.20.7")
        assert await at.type("display mac-address 1-2-3") == "No MAC address found.\n"
        assert "GE1/0/3              ADM  1G(a)   F(a)   A    20   web01" in await at.type("display interface brief")
        assert await at.type("display current-configuration interface g1/0/3") == (
            "#\ninterface GigabitEthernet1/0/3\n port link-mode bridge\n description web01\n port access vlan 20\n"
            " shutdown\nreturn\n"
        )
        await at.accept("undo vlan 20")
        assert "vlan 20" not in await at.type("display current-configuration interface g1/0/3")

    on(work)


def test_the_old_form_of_lists_works() -> None:
    """`acl number 3001 name x` of Comware V5 makes the list that `acl name x` and `display acl 3001` find."""

    async def work(at: Desk) -> None:
        await at.accept("system-view", "acl number 3001 name old", "rule deny ip", "acl name old", "rule permit tcp")
        assert (await at.type("display acl 3001")).startswith("Advanced IPv4 ACL 3001 named old, 2 rules,\n")
        assert (await at.type("acl name new")) == f"{messages.NO_ACL}\n"

    on(work)


@pytest.mark.parametrize(
    ("enter", "line"),
    [
        ("acl advanced 3000", "rule deny ip"),
        ("object-group ip address g", "network host address 203.0.113.7"),
        ("interface Vlan-interface1", "shutdown"),
        ("interface Vlan-interface1", "packet-filter 3000 inbound"),
        ("vlan 20", "name x"),
    ],
)
def test_a_view_whose_object_went_away_refuses(enter: str, line: str) -> None:
    """After the configuration went back under a session, its lines are refused and make nothing anew."""

    async def work(at: Desk) -> None:
        before = at.device.face.running()
        await at.accept("system-view", enter)
        await at.device.load(before)
        text = await at.type(line)
        assert text
        assert "^" not in text
        assert at.device.face.running() == before

    on(work)


def test_a_switch_of_2010_has_other_words() -> None:
    """Comware V5: numbered lists, its own prompts and headings, one list a direction, no groups, no commit delay."""

    async def work(at: Desk) -> None:
        assert "disabled for current user" in await at.type("screen-length disable")
        await at.accept("system-view", "acl number 3001 name web", "rule permit tcp destination-port eq 80")
        assert at.prompt == "[H3C-acl-adv-3001-web]"
        assert "^" in await at.type("rule deny ip source object-group g")
        await at.accept("acl ipv6 number 2000")
        assert at.prompt == "[H3C-acl6-basic-2000]"
        assert (await at.type("display acl 3001")).startswith(
            "Advanced ACL  3001, named web, 1 rule,\nACL's step is 5\n"
        )
        assert (
            await at.type("display acl ipv6 2000") == "Basic IPv6 ACL  2000, named -none-, 0 rules,\nACL's step is 5\n"
        )
        assert "^" in await at.type("acl advanced 3002")
        assert "^" in await at.type("configuration commit delay 5")
        await at.accept("interface g1/0/1")
        assert await at.type("packet-filter 3009 inbound") == f"{messages.NO_ACL}\n"
        await at.accept("packet-filter name web inbound")
        assert await at.type("packet-filter 2000 inbound") != ""
        at.device.faults.change({"failed": ["web"]})
        assert await at.type("display packet-filter interface g1/0/1") == (
            "  Interface: GigabitEthernet1/0/1\n  In-bound Policy:\n    acl 3001, Fail\n"
        )
        text = at.device.face.running()
        assert await at.device.load(text) == []
        assert at.device.face.running() == text

    on(work, "comware5")


ADDRESSES = st.ip_addresses(v=4).map(str)
LINES = st.one_of(
    st.builds("rule deny ip source {} 0".format, ADDRESSES),
    st.builds("rule {} permit tcp destination {} 0.0.0.255 destination-port eq {}".format,
              st.integers(0, 99), ADDRESSES, st.integers(0, 65535)),
    st.builds("undo rule {}".format, st.integers(0, 99)),
    st.builds("rule {} comment {}".format, st.integers(0, 99), st.sampled_from(["a", "b c", "#1"])),
    st.builds("acl {} ".format, st.sampled_from(["advanced 3000", "advanced name x", "ipv6 advanced 3000"])),
    st.builds("object-group ip address {}".format, st.sampled_from("gh")),
    st.builds("network range {} {}".format, ADDRESSES, ADDRESSES),
    st.builds("undo {}".format, st.integers(0, 99)),
    st.text(max_size=30),
)  # fmt: skip


@given(st.lists(LINES, max_size=30))
@settings(max_examples=40)
def test_what_was_saved_loads_again(lines: list[str]) -> None:
    """Whatever was typed, the configuration's text loads without complaint and gives the same text."""

    async def run() -> None:
        async with desk("comware") as at:
            await at.type("system-view", *(line for line in lines if "reboot" not in line))
            text = at.device.face.running()
            assert await at.device.load(text) == []
            assert at.device.face.running() == text

    asyncio.run(run())
