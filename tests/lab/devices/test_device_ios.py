"""The router's language, as Cisco's references have it, and through netmiko's own driver for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import netmiko
import pytest
from tests.lab.devices.rig import Rig, desk, rig

from remedy.devices.addresses import parse
from remedy.lab.devices.cisco import words

PORTS = ["GigabitEthernet0/0", "GigabitEthernet0/1"]
GROUP = ("configure terminal", "object-group network remedy-block", "host 203.0.113.7", "exit")


def router(**more: object) -> dict[str, object]:
    """How the router of these tests differs from the rig's usual device."""
    return {"name": "R1", "ports": PORTS, "secrets": {}, **more}


def test_entries_have_numbers_and_names_and_places() -> None:
    """Entries come 10 apart, a number that is taken is refused, what is there already changes nothing."""

    async def run() -> None:
        async with desk("ios", **router()) as at:
            assert await at.type("conf t") == "Enter configuration commands, one per line.  End with CNTL/Z.\n"
            await at.accept(
                "ip access-list extended edge", "remark the public site", "permit tcp any host 192.0.2.1 eq 80 443",
                "deny   udp 198.51.100.0 0.0.0.255 range 10 20 any", "15 permit tcp any any established",
                "permit tcp any any established", "permit ip 192.0.2.9 0.0.0.0 any log",
            )  # fmt: skip
            assert at.prompt == "R1(config-ext-nacl)#"
            assert await at.type("15 permit udp any any") == f"{words.DUPLICATE}\n"
            assert await at.type("do show ip access-lists") == (
                "Extended IP access list edge\n"
                "    15 permit tcp any any established\n"
                "    20 permit tcp any host 192.0.2.1 eq www 443\n"
                "    30 deny udp 198.51.100.0 0.0.0.255 range 10 20 any\n"
                "    40 permit ip host 192.0.2.9 any log\n"
            )
            await at.accept("no 15", "no permit ip host 192.0.2.9 any log")
            assert await at.type("no 15") == f"{words.NO_ENTRY}\n"
            assert "ip access-list extended edge\n 10 remark the public site\n 20 permit" in at.device.face.running()

    asyncio.run(run())


def test_a_wrong_line_is_refused_at_its_place() -> None:
    """The caret stands under the first word that does not fit; a line that is too short is incomplete."""

    async def run() -> None:
        async with desk("ios", **router()) as at:
            marker = "% Invalid input detected at '^' marker.\n\n"
            await at.type("configure terminal")
            assert await at.type("ip acces-list extended x") == f"{' ' * 14}^\n{marker}"
            await at.accept("ip access-list extended x")
            prompt = len("R1(config-ext-nacl)#")
            assert await at.type("permit tcp any anny") == f"{' ' * (prompt + 15)}^\n{marker}"
            assert await at.type("permit ip any 2001:db8::/32") == f"{' ' * (prompt + 14)}^\n{marker}"
            assert await at.type("permit tcp any any eq 70000") == f"{' ' * (prompt + 22)}^\n{marker}"
            assert await at.type("permit tcp any") == "% Incomplete command.\n\n"
            assert await at.type("deny ip object-group nobody any") == f"{words.NO_GROUP.format('nobody')}\n"

    asyncio.run(run())


def test_a_group_in_use_stays_and_is_never_empty() -> None:
    """A group that a list names can neither be deleted nor lose its last member; an empty one cannot be named."""

    async def run() -> None:
        async with desk("ios", **router()) as at:
            await at.type(GROUP[0])
            await at.accept(*GROUP[1:], "object-group network empty", "ip access-list extended edge")
            assert await at.type("deny ip object-group empty any") == f"{words.GROUP_EMPTY.format('empty')}\n"
            await at.accept("5 deny ip object-group remedy-block any", "object-group network remedy-block")
            in_use = f"{words.GROUP_IN_USE.format('remedy-block')}\n"
            assert await at.type("no host 203.0.113.7") == in_use
            assert await at.type("no object-group network remedy-block") == in_use
            await at.accept("object-group network remedy-block", "198.51.100.9 255.255.255.0",
                            "range 192.0.2.1 192.0.2.9",
                            "192.0.2.77 /32", "no host 203.0.113.7", "end")  # fmt: skip
            assert await at.type("show object-group remedy-block") == (
                "Network object group remedy-block\n 198.51.100.0 255.255.255.0\n range 192.0.2.1 192.0.2.9\n"
                " host 192.0.2.77\n"
            )

    asyncio.run(run())


def test_what_is_applied_is_wanted() -> None:
    """Lists act where they are applied, per family and way, and one without entries lets everything through."""

    async def run() -> None:
        async with desk("ios", **router()) as at:
            await at.type(GROUP[0])
            await at.accept(
                *GROUP[1:], "object-group v6-network six", "2001:db8:1::/48", "ip access-list extended edge",
                "deny ip object-group remedy-block any", "ipv6 access-list edge6", "deny ipv6 object-group six any",
                "permit ipv6 any any sequence 20", "interface g0/0", "ip address 192.0.2.1 255.255.255.0",
                "ip access-group edge in",
                "ipv6 traffic-filter edge6 out", "interface GigabitEthernet 0/1", "ip access-group nobody in",
            )  # fmt: skip
            wanted = (await at.wanted()).wanted
            found = {(s.interface, s.hook, s.family): (s.default, s.to_device, len(s.rules)) for s in wanted.stages}
            assert found == {
                ("GigabitEthernet0/0", "arriving", 4): ("deny", "deny", 1),
                ("GigabitEthernet0/0", "leaving", 6): ("deny", "permit", 2),
                ("GigabitEthernet0/1", "arriving", 4): ("permit", "permit", 0),
            }
            assert wanted.groups["six"] == (parse("2001:db8:1::/48"),)
            assert not wanted.stateful
            assert "  Inbound  access list is edge\n" in await at.type("do show ip interface g0/0")
            assert "permit ipv6 any any sequence 20\n" in await at.type("do show ipv6 access-list edge6")

    asyncio.run(run())


def test_a_configuration_reads_back_as_itself() -> None:
    """What the running configuration says, loaded again, is the same configuration, without complaints."""

    async def run() -> None:
        async with desk("ios", **router()) as at:
            await at.type(GROUP[0])
            await at.accept(
                *GROUP[1:], "archive", "path flash:kept", "exit", "ip access-list standard 10",
                "permit 192.0.2.0 0.0.0.255",
                "deny any log", "access-list 101 permit icmp any any echo", "ipv6 access-list six", "remark one  two",
                "deny tcp host 2001:DB8::1 any eq 22 log", "interface g0/1", "shutdown",
                "ip address 192.0.2.1 255.255.255.0",
                "line vty 0 4", "transport input ssh", "exit", "ip route 0.0.0.0 0.0.0.0 192.0.2.254",
            )  # fmt: skip
            text = at.device.face.running()
            assert await at.device.load(text) == []
            assert at.device.face.running() == text

    asyncio.run(run())


def test_a_change_that_is_not_confirmed_is_taken_back() -> None:
    """The timer needs an archive, goes back to the configuration before it, and `configure confirm` stops it."""

    async def run() -> None:
        async with desk("ios", **router()) as at:
            assert await at.type("configure terminal revert timer 1") == f"{words.NO_ARCHIVE}\n"
            assert await at.type("show archive") == "Archive feature not enabled\n"
            await at.type("configure terminal")
            await at.accept("archive", "path flash:kept", "end")
            assert await at.type("configure confirm") == f"{words.NO_PENDING}\n"
            text = await at.type("configure terminal revert timer 1")
            assert text.startswith("Rollback Confirmed Change: Backing up current running config to flash:kept-1\n")
            await at.accept("hostname lost", "end")
            assert "Timer value: 1 min\n" in await at.type("show archive config rollback timer")
            async with asyncio.timeout(5):
                while at.prompt != "R1#":  # noqa: ASYNC110 -- what is asked has no event
                    await asyncio.sleep(0.02)
            assert await at.type("show archive config rollback timer") == f"{words.NO_PENDING}\n"
            await at.type("configure terminal revert timer 1")
            await at.accept("hostname kept", "end", "configure confirm")
            await asyncio.sleep(0.4)  # longer than the timer: a minute lasts 0.2 s here
            assert at.prompt == "kept#"

    asyncio.run(run())


@pytest.fixture(scope="module")
def ios() -> Iterator[Rig]:
    """A router that answers SSH and asks for the enable secret."""
    with rig("ios", **router(secrets={"enable": "Enable-1"})) as running:
        yield running


def connect(ios: Rig, **more: object) -> netmiko.BaseConnection:
    """A session through netmiko's own driver."""
    return netmiko.ConnectHandler(
        device_type="cisco_ios", host="127.0.0.1", port=ios.port, username="admin", password="Admin-1", **more
    )


def test_netmiko_configures_and_saves(ios: Rig) -> None:
    """Enable, configuration, a long output without pages, and saving work as netmiko's users know them."""
    with connect(ios, secret="Enable-1") as session:
        assert session.find_prompt() == "R1>"
        session.enable()
        lines = ["ip access-list extended long", *(f"permit tcp any host 192.0.2.{n} eq 22" for n in range(1, 61))]
        said = session.send_config_set(lines, error_pattern="%")
        assert said.endswith("R1#")
        shown = str(session.send_command("show ip access-lists long")).splitlines()
        assert len(shown) == 61
        assert shown[-1] == "    600 permit tcp any host 192.0.2.60 eq 22"
        assert str(session.send_command("show running-config | include 192.0.2.6 eq")).strip() == (
            "60 permit tcp any host 192.0.2.6 eq 22"
        )
        section = str(session.send_command("show running-config | section access-list extended long")).splitlines()
        assert (section[0], len(section)) == ("ip access-list extended long", 61)
        assert "[OK]" in session.save_config()
        with pytest.raises(netmiko.exceptions.ConfigInvalidException):
            session.send_config_set(["ip access-list extended long", "permit tcp any"], error_pattern="% In")
        session.exit_config_mode()


def test_a_wrong_enable_secret_gives_nothing(ios: Rig) -> None:
    """After three wrong secrets the session is where it was, and configuration is refused."""
    with connect(ios, secret="wrong") as session:
        session.write_channel("enable\nwrong\nwrong\nwrong\n")
        assert words.BAD_SECRETS in session.read_until_pattern(words.BAD_SECRETS + r"\s+R1>")
        for line in ("configure terminal", "show running-config"):
            assert "% Invalid input" in session.send_command(line)
