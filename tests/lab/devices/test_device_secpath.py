"""The firewall's language: zones, policies, groups, blacklist, as H3C's references have them."""

from __future__ import annotations

import asyncio

from tests.lab.devices.rig import Desk, desk

from remedy.devices.addresses import parse
from remedy.lab.devices.h3c import messages

ZONES = (
    "system-view", "security-zone name Untrust", "import interface g1/0/1", "security-zone name Trust",
    "import interface g1/0/2", "object-group ip address remedy-block", "network host address 203.0.113.7",
    "security-policy ip",
)  # fmt: skip


async def _ready(at: Desk) -> None:
    await at.accept(
        *ZONES, "rule name web", "action pass", "source-zone untrust", "destination-zone Trust", "service http"
    )


def test_a_rule_comes_last_and_is_moved() -> None:
    """Rules are shown and met in the order in which they stand; numbers and names are unique."""

    async def run() -> None:
        async with desk("secpath") as at:
            await _ready(at)
            await at.accept(
                "rule name remedy-block", "source-zone Untrust", "source-ip remedy-block", "counting enable"
            )
            assert at.prompt == "[H3C-security-policy-ip-1-remedy-block]"
            assert await at.type("rule 7 name web") == f"{messages.NAME_USED}\n"
            assert await at.type("source-ip nowhere") == f"{messages.NO_GROUP}\n"
            await at.accept("quit", "move rule name remedy-block before name web")
            assert await at.type("display security-policy ip") == (
                "Security-policy ip\n\n"
                " rule 1 name remedy-block\n  action drop\n  counting enable\n  source-zone Untrust\n"
                "  source-ip remedy-block\n"
                " rule 0 name web\n  action pass\n  source-zone Untrust\n  destination-zone Trust\n  service http\n"
            )
            stage = (await at.wanted()).wanted.stages[0]
            assert (stage.default, stage.to_device, stage.hook) == ("deny", "permit", "policy")
            block, web = stage.rules
            assert (block.rule.action, block.rule.source.group, block.arriving, block.reaches) == (
                "deny", "remedy-block", ("GigabitEthernet1/0/1",), "both",
            )  # fmt: skip
            assert (web.rule.protocol, web.rule.destination.ports, web.leaving) == (
                "tcp", ((80, 80),), ("GigabitEthernet1/0/2",),
            )  # fmt: skip

    asyncio.run(run())


def test_criteria_are_taken_back_one_by_one_or_all() -> None:
    """`undo source-ip-host A` takes one, `undo service` all of the kind; a disabled rule does not act."""

    async def run() -> None:
        async with desk("secpath") as at:
            await _ready(at)
            await at.accept(
                "source-ip-host 192.0.2.1", "source-ip-subnet 198.51.100.9 24", "service ssh", "undo service"
            )
            await at.accept("undo source-ip-host 192.0.2.1")
            shown = await at.type("display this")
            assert "source-ip-subnet 198.51.100.0 255.255.255.0" in shown
            assert "192.0.2.1" not in shown
            assert "service" not in shown
            await at.accept("disable")
            assert not (await at.wanted()).wanted.stages[0].rules

    asyncio.run(run())


def test_changes_act_after_the_vendors_delay_or_at_once_when_accelerated() -> None:
    """A changed policy acts after 2 seconds by itself, and at once after `accelerate enhanced enable`."""

    async def run() -> None:
        async with desk("secpath", faults={"activation": -1.0, "activation_scale": 100.0}) as at:
            await _ready(at)
            await asyncio.sleep(0.2)
            assert not at.device.enforcer.wanted.stages[0].rules
            await at.accept("quit", "accelerate enhanced enable")
            assert at.device.enforcer.wanted.stages[0].rules
        async with desk("secpath", faults={"activation": -1.0, "activation_scale": 0.1}) as at:
            await _ready(at)
            await asyncio.wait_for(at.device.settled(), 5)
            assert at.device.enforcer.wanted.stages[0].rules

    asyncio.run(run())


def test_a_blacklist_entry_ages_by_itself() -> None:
    """An entry with a timeout blocks, is in no configuration, outlives a rollback, and goes when its time is over."""

    async def run() -> None:
        async with desk("secpath", minute=0.3) as at:
            await at.accept("system-view", "blacklist global enable", "blacklist ip 203.0.113.7 timeout 1")
            await at.accept("blacklist ip 203.0.113.8")
            assert (await at.wanted()).wanted.blocked == (parse("203.0.113.7"), parse("203.0.113.8"))
            assert "203.0.113.7" not in at.device.face.running()
            await at.device.load(at.device.face.running())
            shown = await at.type("display blacklist ip")
            assert "203.0.113.7     --             --                   Manual  " in shown
            assert "203.0.113.8     --             --                   Manual  Never    0" in shown
            await asyncio.sleep(0.5)
            assert (await at.wanted()).wanted.blocked == (parse("203.0.113.8"),)
            assert "^" in await at.type("blacklist ip 127.0.0.1")
            assert "^" in await at.type("blacklist ip 203.0.113.9 timeout 1001")

    asyncio.run(run())


def test_a_group_the_policy_names_stays() -> None:
    """Deleting it is refused until no rule names it; its members come and go freely."""

    async def run() -> None:
        async with desk("secpath") as at:
            await at.accept(*ZONES, "rule name remedy-block", "source-ip remedy-block")
            assert await at.type("undo object-group ip address remedy-block") == f"{messages.GROUP_IN_USE}\n"
            await at.accept("object-group ip address remedy-block", "undo network host address 203.0.113.7")
            assert (await at.wanted()).wanted.groups["remedy-block"] == ()
            await at.accept(
                "security-policy ip", "undo rule name remedy-block", "undo object-group ip address remedy-block"
            )

    asyncio.run(run())


def test_what_was_saved_loads_again() -> None:
    """Policies, zones and blacklist come back as they were, in their order."""

    async def run() -> None:
        async with desk("secpath") as at:
            await _ready(at)
            await at.accept("description the web servers", "rule 9 name last", "quit", "move rule 9 top")
            await at.accept("security-policy ipv6", "rule name six", "source-ip-subnet 2001:db8:: 32", "quit")
            await at.accept("snmp-agent community read secret", "blacklist ip 192.0.2.9")
            text = at.device.face.running()
            assert await at.device.load(text) == []
            assert at.device.face.running() == text
            assert text.index("rule 9 name last") < text.index("rule 0 name web")

    asyncio.run(run())
