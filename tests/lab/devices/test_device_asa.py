"""The ASA's language, as Cisco's references have it, and through netmiko's own driver for it."""

from __future__ import annotations

import asyncio

import netmiko
from tests.lab.devices.rig import Desk, desk, rig

from remedy.devices.addresses import parse
from remedy.lab.devices.cisco import asa_groups

PORTS = ["GigabitEthernet0/0", "GigabitEthernet0/1"]
NAMES = ("interface g0/0", "nameif outside", "interface g0/1", "nameif inside")
GROUP = (
    "object-group network remedy-block", "network-object host 203.0.113.7",
    "network-object 198.51.100.0 255.255.255.0", "network-object 2001:db8:66::/48",
)  # fmt: skip
LIST = (
    "access-list outside_in remark what partners may use",
    "access-list outside_in extended permit tcp any host 192.0.2.1 eq 22",
    "access-list outside_in extended permit ip any any",
    "access-list outside_in line 1 extended deny ip object-group remedy-block any",
)  # fmt: skip


def firewall(**more: object) -> dict[str, object]:
    """How the firewall of these tests differs from the rig's usual device."""
    return {"name": "fw", "ports": PORTS, "secrets": {}, **more}


async def typed(at: Desk, *lines: str) -> None:
    """Type lines none of which may be refused."""
    for line in lines:
        text = await at.type(line)
        assert not at.login.refused, f"{line}: {text}"


def test_lines_are_numbered_by_their_place() -> None:
    """`line N` puts an entry before the N-th, remarks count, a group's members are shown one by one."""

    async def run() -> None:
        async with desk("asa", **firewall()) as at:
            await typed(at, "configure terminal", *NAMES, *GROUP, *LIST, LIST[1])
            shown = (await at.type("show access-list outside_in")).splitlines()
            assert shown[0].startswith("access-list outside_in; 5 elements; name hash: 0x")
            assert [line.rpartition(" 0x")[0] or line for line in shown[1:]] == [
                "access-list outside_in line 1 extended deny ip object-group remedy-block any (hitcnt=0)",
                "  access-list outside_in line 1 extended deny ip host 203.0.113.7 any (hitcnt=0)",
                "  access-list outside_in line 1 extended deny ip 198.51.100.0 255.255.255.0 any (hitcnt=0)",
                "  access-list outside_in line 1 extended deny ip 2001:db8:66::/48 any (hitcnt=0)",
                "access-list outside_in line 2 remark what partners may use",
                "access-list outside_in line 3 extended permit tcp any host 192.0.2.1 eq ssh (hitcnt=0)",
                "access-list outside_in line 4 extended permit ip any any (hitcnt=0)",
            ]
            assert at.prompt == "fw(config-network-object-group)# ", "show commands leave the view as it is"
            await typed(at, "no access-list outside_in line 4 extended permit ip any any")
            assert "ERROR" in await at.type("no access-list outside_in extended permit ip any any")

    asyncio.run(run())


def test_a_group_in_use_stays_and_is_never_empty() -> None:
    """A group that a list names can neither be deleted nor lose its last member; nothing is added twice."""

    async def run() -> None:
        async with desk("asa", **firewall()) as at:
            await typed(at, "configure terminal", *GROUP, *LIST, *GROUP[:1],
                        "no network-object 198.51.100.0 255.255.255.0",
                        "no network-object 2001:db8:66::/48")  # fmt: skip
            assert "object already exists" in await at.type(GROUP[1])
            assert await at.type(f"no {GROUP[1]}") == f"{asa_groups.LAST.format('remedy-block')}\n"
            assert await at.type(f"no {GROUP[0]}") == f"{asa_groups.IN_USE.format('remedy-block')}\n"
            refused = await at.type("access-list outside_in extended deny ip object-group nobody any")
            assert refused == f"{asa_groups.ABSENT.format('nobody')}\n"
            caret = " " * len("fw(config)# access-list outside_in extended permit tcp 10.0.0.0 ") + "^\n"
            await at.type("exit")
            wrong = await at.type("access-list outside_in extended permit tcp 10.0.0.0 0.0.0.255 any")
            assert wrong == f"{caret}ERROR: % Invalid input detected at '^' marker.\n"

    asyncio.run(run())


def test_what_is_applied_is_wanted() -> None:
    """A list at an interface is for what goes through, levels decide where there is none, shunned sources stop."""

    async def run() -> None:
        async with desk("asa", **firewall()) as at:
            await typed(at, "configure terminal", *NAMES, *GROUP, *LIST, "access-group outside_in in interface outside",
                        "shun 203.0.113.9")  # fmt: skip
            wanted = (await at.wanted()).wanted
            assert wanted.stateful
            assert wanted.blocked == (parse("203.0.113.9"),)
            found = {
                (s.interface, s.family): (s.default, s.to_device, [(p.rule.action, p.leaving) for p in s.rules])
                for s in wanted.stages
            }
            inner = ("deny", "permit", [("permit", ("GigabitEthernet0/0",))])
            assert found == {
                ("GigabitEthernet0/0", 4): ("deny", "permit", [("deny", ()), ("permit", ()), ("permit", ())]),
                ("GigabitEthernet0/0", 6): ("deny", "permit", [("deny", ()), ("permit", ())]),
                ("GigabitEthernet0/1", 4): inner,
                ("GigabitEthernet0/1", 6): inner,
            }
            await typed(at, "clear configure access-list outside_in", "no shun 203.0.113.9")
            assert "access-group" not in at.device.face.running()
            text = at.device.face.running()
            assert await at.device.load(text) == []
            assert at.device.face.running() == text

    asyncio.run(run())


def test_netmiko_configures_and_saves() -> None:
    """Netmiko's driver logs in, enables, configures and saves."""
    with (
        rig("asa", **firewall(secrets={"enable": "Enable-1"})) as asa,
        netmiko.ConnectHandler(
            device_type="cisco_asa",
            host="127.0.0.1",
            port=asa.port,
            username="admin",
            password="Admin-1",
            secret="Enable-1",
        ) as session,
    ):
        assert session.find_prompt() == "fw#"
        session.send_config_set([*NAMES, *GROUP, *LIST], error_pattern="ERROR")
        shown = str(session.send_command("show running-config object-group id remedy-block"))
        assert shown.splitlines() == [GROUP[0], *(f" {line}" for line in GROUP[1:])]
        assert "[OK]" in session.save_config()
        assert "eq ssh" in (asa.device.stores.read("startup-config") or "")
