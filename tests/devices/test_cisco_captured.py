"""What Cisco devices really printed is read: every captured file of the collection, when it is there, and its shapes.

The shapes are written anew after the captures, so that the claims hold without the collection.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.captures import CAPTURES, WITHOUT

from remedy.core.errors import AnswerUnusable, UsageError
from remedy.devices import Group, Port, Switching, Timed, registered
from remedy.devices.dialects.ios_names import full_name

captured = pytest.mark.skipif(not CAPTURES.is_dir(), reason=WITHOUT)
VENDORS: Final = ("cisco_ios", "cisco_nxos", "cisco_asa")


def switch(vendor: str) -> Switching:
    """The vendor's ports."""
    found = registered()[vendor].switch
    assert found is not None
    return found


def timer() -> Timed:
    """The timer of IOS."""
    found = registered()["cisco_ios"].timer
    assert found is not None
    return found


CONFIGURATION: Final = """Building configuration...
!
service password-encryption
hostname edge
enable secret 9 $9$abc.def
enable password 7 070C285F4D06
username admin privilege 15 secret 5 $1$mERr$hx5r
username ops password 0 hunter2
aaa group server tacacs+ T
 server-private 192.0.2.9 key 7 1511021F0725
radius server R
 address ipv4 192.0.2.8 auth-port 1812 acct-port 1813
 key 7 02050D480809
key chain K
 key 1
  key-string 7 01100F175804
crypto isakmp key sharedkey address 192.0.2.7
crypto ikev2 keyring KR
 peer p
  pre-shared-key local localkey
snmp-server community s3cret RO 10
snmp-server host 192.0.2.6 version 2c trapkey
tacacs-server key 7 060506324F41
ntp authentication-key 1 md5 070C285F4D06 7
router bgp 65001
 neighbor 192.0.2.5 password 7 13061E010803
line vty 0 4
 password 7 094F471A1A0A
end
"""
ASA_CONFIGURATION: Final = """enable password $sha512$5000$abc== pbkdf2
passwd 2KFQnbNIdI.2KYOU encrypted
username admin password $sha512$x pbkdf2 privilege 15
tunnel-group 192.0.2.1 ipsec-attributes
 ikev1 pre-shared-key psk1
 ikev2 remote-authentication pre-shared-key psk2
aaa-server T (inside) host 192.0.2.9
 key tackey
snmp-server community comm
failover key fokey
"""
NXOS_CONFIGURATION: Final = """username admin password 5 $5$XYZ role network-admin
snmp-server user admin network-admin auth md5 0xabc priv 0xdef localizedkey
snmp-server community pub group network-operator
tacacs-server key 7 "fewhg123"
key chain K
  key 1
    key-string 7 070c285f4d06
"""
SECRETS: Final = {
    "cisco_ios": (
        CONFIGURATION,
        """$9$abc.def 070C285F4D06 $1$mERr$hx5r hunter2 1511021F0725 02050D480809 01100F175804 sharedkey localkey s3cret
        trapkey 060506324F41 13061E010803 094F471A1A0A""",
    ),
    "cisco_asa": (ASA_CONFIGURATION, "$sha512$5000$abc== 2KFQnbNIdI.2KYOU $sha512$x psk1 psk2 tackey comm fokey"),
    "cisco_nxos": (NXOS_CONFIGURATION, '$5$XYZ 0xabc 0xdef pub "fewhg123" 070c285f4d06'),
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_secrets(vendor: str) -> None:
    """Every secret of a configuration is found, and nothing else of it."""
    text, expected = SECRETS[vendor]
    found = [match[1] for pattern in registered()[vendor].secrets for match in re.finditer(pattern, text)]
    assert set(found) == set(expected.split())


def _captured(vendor: str) -> list[Path]:
    return sorted(path for path in (CAPTURES / vendor).glob("*/*") if path.is_file())


@captured
def test_captured_lists() -> None:
    """Each line of a captured list is a rule, a remark or an unknown line: none is lost."""
    seen = 0
    for path in (path for vendor in VENDORS for path in _captured(vendor) if "access-list" in path.parent.name):
        filters = registered()[path.parts[-3]].filters
        assert filters is not None
        text = path.read_text(encoding="utf-8")
        lists = filters.read_lists([text])
        assert lists, path
        lines = [
            line for line in text.splitlines() if re.match(r"^(?:\s*\d* *|access-list \S+ line.*)(?:permit|deny)", line)
        ]
        kept = sum(len(acl.rules) + sum("permit" in u.text or "deny" in u.text for u in acl.unknown) for acl in lists)
        assert kept == len(lines), path
        for acl in lists:
            for rule in acl.rules:
                assert filters.write_list(type(acl)("X", rule.family, acl.kind, (rule,))), path
        seen += 1
    assert seen == 8


@captured
def test_captured_rest() -> None:
    """Captured groups, address tables and configurations are read, each with what it shows."""
    text = (CAPTURES / "cisco_ios/show_mac-address-table/cisco_ios_show_mac-address-table.txt").read_text()
    assert switch("cisco_ios").read_mac("00:10:7b:00:15:40", [text]) == ("FastEthernet0/5",)
    assert switch("cisco_ios").read_mac("00-10-7b-00-15-41", [text]) == ()
    filters = registered()["cisco_ios"].filters
    assert filters is not None
    text = (CAPTURES / "cisco_ios/show_running-config/as1border1.txt").read_text()
    assert [(acl.name, len(acl.rules), acl.unknown) for acl in filters.read_lists([text])] == [
        ("101", 2, ()),
        ("102", 2, ()),
        ("103", 2, ()),
    ]
    found = [match[1] for p in registered()["cisco_ios"].secrets for match in re.finditer(p, text)]
    assert len(found) == 2
    groups = registered()["cisco_ios"].groups
    assert groups is not None
    text = (CAPTURES / "cisco_ios/show_object-group/cisco_ios_show_object-group-v6.txt").read_text()
    members = groups.read_members(Group("TEST-v6-obj", 6), [text])
    assert [str(span) for span in members.spans] == [
        "2001:db8::1:1111",
        "2001:db8::2:2222",
        "2001:db8:111::/48",
        "2001:db8:222::/48",
    ]
    assert members.unknown == ()
    assert groups.read_members(Group("TEST-v6-icmp", 6), [text]).unknown == ("V6-Service object group TEST-v6-icmp",)
    asa = registered()["cisco_asa"].groups
    assert asa is not None
    text = (CAPTURES / "cisco_asa/show_object-group_network/cisco_asa_show_object-group_network.txt").read_text()
    seen = asa.read_members(Group("Prod", 4), [text])
    assert [str(span) for span in seen.spans] == ["10.14.88.115", "10.135.92.6"]
    assert seen.unknown == ("network-object object svr01", "group-object prod_dc")


NAMED: Final = (
    "Name: Gi1/0/5\nSwitchport: Enabled\nAdministrative Mode: static access\nOperational Mode: static access\n"
    "Access Mode VLAN: 10 (staff)\nTrunking Native Mode VLAN: 1 (default)\nVoice VLAN: none\n"
)
STATE: Final = (
    "GigabitEthernet1/0/5 is up, line protocol is up (connected)\n  Hardware is Gigabit Ethernet\n"
    "  Description: web01 rack 3\n  MTU 1500 bytes\n"
)
TABLE: Final = (
    "          Mac Address Table\n-------------------------------------------\n\n"
    "Vlan    Mac Address       Type        Ports\n----    -----------       --------    -----\n"
    "  10    0010.0de0.e289    DYNAMIC     Gi1/0/5\n  10    0010.0de0.e28a    DYNAMIC     Gi1/0/5\n"
    " All    0100.0ccc.cccc    STATIC      CPU\nTotal Mac Addresses for this criterion: 2\n"
)
PORT: Final = (NAMED, STATE, TABLE)


def test_port() -> None:
    """A port is read with its mode, VLAN, state, description and addresses, and moved and shut by its full name."""
    part = switch("cisco_ios")
    assert part.ask_port("Gi1/0/5")[0] == "show interfaces Gi1/0/5 switchport"
    port = part.read_port("Gi1/0/5", PORT)
    assert port == Port(
        "GigabitEthernet1/0/5", "access", 10, True, ("00:10:0d:e0:e2:89", "00:10:0d:e0:e2:8a"), "web01 rack 3"
    )
    assert part.move(port, 999) == ("interface GigabitEthernet1/0/5", "switchport access vlan 999")
    assert part.shut(port, down=True) == ("interface GigabitEthernet1/0/5", "shutdown")
    assert part.shut(port, down=False)[1] == "no shutdown"
    for vlan in (0, 4095):
        with pytest.raises(UsageError):
            part.move(port, vlan)


def test_ports_that_are_none_of_ours() -> None:
    """A trunk, a routed port, a bundle's member and a shut port are told apart; a refusal is no port."""
    part = switch("cisco_ios")
    name, state, table = PORT
    trunk = name.replace("Operational Mode: static access", "Operational Mode: trunk (member of bundle Po1)")
    found = part.read_port("Gi1/0/5", (trunk, state, table))
    assert (found.mode, found.vlan, found.unknown) == ("trunk", 1, ("(member of bundle Po1)",))
    with pytest.raises(UsageError, match="no access port"):
        part.move(found, 10)
    routed = part.read_port("Gi1/0/5", ("Name: Gi1/0/5\nSwitchport: Disabled\n", state, ""))
    assert (routed.mode, routed.vlan) == ("routed", 0)
    down = state.replace("is up, line protocol is up (connected)", "is administratively down, line protocol is down")
    assert not part.read_port("Gi1/0/5", (name, down, table)).up
    nexus = switch("cisco_nxos")
    text = "Ethernet1/5 is down (Administratively down)\nadmin state is down\n"
    assert not nexus.read_port("Eth1/5", (name.replace("Gi1/0/5", "Ethernet1/5"), text, "")).up
    for texts in (("", "", ""), ("% Invalid input detected at '^' marker.\n", state, table), (name, "", "")):
        with pytest.raises(AnswerUnusable):
            part.read_port("Gi1/0/5", texts)


def test_addresses() -> None:
    """Hardware addresses are found in both tables of IOS and in NX-OS's, and by IP address of either family."""
    ios, nxos = switch("cisco_ios"), switch("cisco_nxos")
    assert ios.ask_mac("00:10:0D:E0:E2:89") == ("show mac address-table address 0010.0de0.e289",)
    assert ios.read_mac("0010.0de0.e289", PORT[2:]) == ("GigabitEthernet1/0/5",)
    row = "*   10     0010.0de0.e289   dynamic  0         F      F    Eth1/5\n"
    row += "G    -     0010.0de0.e28b   static   -         F      F    sup-eth1(R)\n"
    assert nxos.read_mac("00:10:0d:e0:e2:89", [row]) == ("Ethernet1/5",)
    assert nxos.read_mac("00:10:0d:e0:e2:8b", [row]) == ()
    arp = "Protocol  Address          Age (min)  Hardware Addr   Type   Interface\n"
    arp += "Internet  10.0.10.50              4   aabb.cc00.1001  ARPA   Vlan10\n"
    arp += "Internet  10.0.10.5               0   Incomplete      ARPA\n"
    assert ios.ask_arp("10.0.10.50") == ("show ip arp 10.0.10.50",)
    assert ios.read_arp("10.0.10.50", [arp]) == "aa:bb:cc:00:10:01"
    assert ios.read_arp("10.0.10.5", [arp]) == ""
    assert ios.ask_arp("2001:db8::1") == ("show ipv6 neighbors 2001:db8::1",)
    neighbor = "2001:DB8::1                     0 aabb.cc00.6500  REACH Vl10\n"
    assert ios.read_arp("2001:db8::1", [neighbor]) == "aa:bb:cc:00:65:00"
    for wrong in ("10.0.0", "x; reload", ""):
        with pytest.raises(UsageError):
            ios.ask_arp(wrong)
    with pytest.raises(UsageError):
        ios.ask_mac("00:10")


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("Gi1/0/5", "GigabitEthernet1/0/5"),
        ("gigabitethernet 0/1", "GigabitEthernet0/1"),
        ("Te1/1/1.100", "TenGigabitEthernet1/1/1.100"),
        ("Twe1/0/1", "TwentyFiveGigE1/0/1"),
        ("Po10", "Port-channel10"),
        ("port-channel10", "Port-channel10"),
        ("Eth1/5", "Ethernet1/5"),
        ("Vl10", "Vlan10"),
        ("mgmt0", "mgmt0"),
        ("outside", "outside"),
    ],
)
def test_names_of_interfaces(short: str, full: str) -> None:
    """Short names of interfaces become the full ones; others stay."""
    assert full_name(short) == full


def test_timer() -> None:
    """The timer counts minutes, rounded up; without an archive the lines that set one up are named."""
    part = timer()
    found = part.revert(61)
    assert found.arm == ("configure terminal revert timer 2", "end")
    assert (found.confirm, found.arm_mode, found.confirm_mode) == (("configure confirm",), "exec", "exec")
    assert part.revert(1).arm[0].endswith(" 1")
    with pytest.raises(UsageError):
        part.revert(120 * 60 + 1)
    running = "Time configured(or reconfigured): 11:41:29 UTC Mon Nov 16 2026\nTimer type: absolute timer\n"
    assert part.is_running([running + "Timer value: 3 min\nUser: remedy\n"])
    assert not part.is_running(["%No Rollback Confirmed Change pending\n"])
    assert (
        part.read_able(["The maximum archive configurations allowed is 10.\nThe next archive file will be named f\n"])
        == ""
    )
    assert "path flash:" in part.read_able([" Archive feature not enabled\n"])
    assert "no configuration archive" in part.read_able(["% Invalid input detected at '^' marker.\n"])


@pytest.mark.parametrize(
    ("vendor", "text", "is_refused"),
    [
        ("cisco_ios", "% Invalid input detected at '^' marker.", True),
        ("cisco_ios", "% Incomplete command.", True),
        ("cisco_ios", "%Duplicate sequence number", True),
        ("cisco_ios", "% Duplicate permit statement ignored.", True),
        ("cisco_ios", "%No Rollback Confirmed Change pending", True),
        ("cisco_ios", "Command rejected: Conflict between nonegotiate and dynamic status.", True),
        ("cisco_ios", "Object group remedy-block is in use, cannot delete", True),
        ("cisco_ios", "Configuration mode is locked by process 12 user ops from terminal 3. Try later.", True),
        ("cisco_ios", "startup-config file open failed (Device or resource busy)", True),
        ("cisco_ios", "%SYS-5-CONFIG_I: Configured from console by ops on vty0", False),
        ("cisco_ios", "*Nov 20 10:00:00.000: %LINK-3-UPDOWN: Interface Gi0/1, changed state to up", False),
        ("cisco_ios", "%ARCHIVE_DIFF-5-ROLLBK_CNFMD_CHG_BACKUP: Backing up current running config", False),
        ("cisco_ios", "%Warning: portfast should only be enabled on ports", False),
        ("cisco_ios", "% Access VLAN does not exist. Creating vlan 999", False),
        ("cisco_ios", "Enter configuration commands, one per line.  End with CNTL/Z.", False),
        ("cisco_ios", "Rollback Confirmed Change: Backing up current running config to flash:remedy-1", False),
        ("cisco_ios", "Building configuration...\n[OK]", False),
        ("cisco_asa", "ERROR: % Invalid input detected at '^' marker.", True),
        ("cisco_asa", "ERROR: access-list <x> does not exist", True),
        (
            "cisco_asa",
            "Adding obj (network-object host 10.1.1.1) to grp (x) failed; object already exists",
            True,
        ),
        ("cisco_asa", "Removing obj (network-object host 10.1.1.1) from grp (x) failed; cannot be empty", True),
        ("cisco_asa", "Command authorization failed", True),
        ("cisco_asa", "WARNING: <x> found duplicate element", False),
        ("cisco_asa", "Building configuration...\nCryptochecksum: 1 2 3 4\n[OK]", False),
        ("cisco_nxos", "% Invalid command at '^' marker.", True),
        ("cisco_nxos", "ERROR: Object-group remedy-block is in use", True),
        ("cisco_nxos", "[########################################] 100%\nCopy complete.", False),
    ],
)
def test_refusals(vendor: str, text: str, is_refused: bool) -> None:  # noqa: FBT001 -- a table
    """What the device refuses is recognised; log lines, warnings and success are not taken for it."""
    patterns = registered()[vendor].terminal.refusals
    assert any(re.search(pattern, f"{text}\n", re.MULTILINE) for pattern in patterns) is is_refused


def test_prompts_are_answered() -> None:
    """The prompts that our own lines cause are answered, and no other."""
    asked = {"Overwrite the previous NVRAM configuration?[confirm]": "y", "Reload? [confirm]": ""}
    answers = registered()["cisco_ios"].terminal.answers
    for prompt, expected in asked.items():
        assert next((text for pattern, text in answers if re.search(pattern, prompt)), "") == expected
