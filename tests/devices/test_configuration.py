"""Configurations as text: sections, secrets, differences, and what is typed to make the one of the other."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.captures import CAPTURES, WITHOUT

from remedy import devices
from remedy.core.errors import AnswerUnusable
from remedy.devices.configuration import changed, fingerprint, is_secret, masked, sections, unified, whole
from remedy.devices.reconfigure import carrying, steps

COMWARE: Final = """\
#
 version 7.1.070, Release 6749P30
#
 sysname FW01
 ntp-service unicast-server 192.0.2.1
#
interface GigabitEthernet1/0/1
 port link-mode route
 ip address 198.18.3.2 255.255.255.0
 packet-filter 3000 inbound
#
object-group ip address partners
 0 network host address 192.0.2.9
 10 network subnet 192.0.2.64 255.255.255.192
#
acl advanced 3000
 rule 10 permit tcp destination-port eq www
#
line vty 0 63
 authentication-mode scheme
#
return
"""
IOS: Final = """\
Building configuration...

Current configuration : 1234 bytes
!
! Last configuration change at 13:00:00 UTC Fri Nov 20 2026 by admin
version 17.9
hostname R1
enable secret 9 $9$nhEmQVczB7dqsO$X.HsgL6x1il0RxkOSSvyQYwucySCt7qFm4v7pqCxkKM
!
object-group network partners
 host 192.0.2.9
!
interface GigabitEthernet0/1
 ip address 198.51.100.2 255.255.255.0
 ip access-group OUTSIDE in
!
ip route 0.0.0.0 0.0.0.0 198.51.100.1
!
end
"""
VENDORS: Final = {"h3c_comware": COMWARE, "h3c_secpath": COMWARE, "cisco_ios": IOS}


def test_sections() -> None:
    """Lines belong to the line above that is not indented; loose lines are one section, a group is a set."""
    found = sections(COMWARE)
    assert found[""] == ("version 7.1.070, Release 6749P30", "sysname FW01", "ntp-service unicast-server 192.0.2.1")
    assert found["object-group ip address partners"] == (
        "network host address 192.0.2.9",
        "network subnet 192.0.2.64 255.255.255.192",
    )
    assert "return" not in found
    assert sections(IOS)["interface GigabitEthernet0/1"][-1] == "ip access-group OUTSIDE in"
    assert sections(IOS)["ip route 0.0.0.0 0.0.0.0 198.51.100.1"] == ()


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (IOS, "1234 bytes", "1240 bytes"),
        (IOS, "13:00:00", "14:11:12"),
        (IOS, "\n", "\r\n"),
        (COMWARE, "\n", "\r\0\n"),
        (COMWARE, " 0 network host", " 20 network host"),
    ],
)
def test_volatile(text: str, old: str, new: str) -> None:
    """Dates, sizes, line ends and the numbers of a group's members are no difference."""
    assert old in text
    other = text.replace(old, new)
    assert changed(sections(text), sections(other)) == ()
    assert fingerprint(sections(text)) == fingerprint(sections(other))


def test_the_order_of_rules_counts() -> None:
    """Two rules the other way round are a difference, also where a list has no line above it (ASA)."""
    flat = "access-list OUT extended deny ip any4 any4\naccess-list OUT extended permit tcp any4 any4 eq 80\n: end\n"
    turned = "\n".join([*reversed(flat.splitlines()[:2]), ": end", ""])
    assert changed(sections(flat), sections(turned)) == ("access-list OUT",)


SECRET = st.text("abcdefghijklmnopqrstuvwxyzABCDEFG0123456789$./", min_size=8, max_size=40).map(lambda t: f"zQ{t}")
LINES: Final = {
    "h3c_comware": (
        " password simple {}",
        "super password role network-admin hash {}",
        " snmp-agent community read {}",
    ),
    "cisco_ios": ("enable secret 9 {}", "snmp-server community {} RO", "username eve privilege 15 secret 9 {}"),
    "cisco_asa": ("enable password {} pbkdf2", "snmp-server community {}", " ikev1 pre-shared-key {}"),
    "cisco_nxos": ("snmp-server community {} group network-admin",),
    "huawei_vrp": (" local-user eve password irreversible-cipher {}", "snmp-agent community read cipher {}"),
}


@given(secret=SECRET, where=st.sampled_from([(name, line) for name, lines in LINES.items() for line in lines]))
def test_secrets_are_masked(secret: str, where: tuple[str, str]) -> None:
    """No part of a secret is in what is shown, masking twice changes nothing, and a changed secret is a difference."""
    name, line = where
    vendor = devices.named(name)
    one, other = line.format(secret), line.format(secret + "X")
    assert is_secret(one, vendor)
    assert secret not in masked(one, vendor)
    assert masked(masked(one, vendor), vendor) == masked(one, vendor)
    said = list(unified(sections(f"head\n{one}\n"), sections(f"head\n{other}\n"), vendor, ("a", "b")))
    assert said
    assert not any(secret in shown for shown in said)
    assert steps(vendor, sections(one), sections(other), changed(sections(one), sections(other))).lines == ()


@pytest.mark.parametrize("name", VENDORS)
def test_whole_or_nothing(name: str) -> None:
    """A text that ends early is no configuration, wherever it is cut; what is said of it has none of it."""
    vendor, text = devices.named(name), VENDORS[name]
    assert whole(text, vendor).strip() == text.strip()
    for end in range(1, len(text) - 8, 7):
        with pytest.raises(AnswerUnusable) as caught:
            whole(text[:end], vendor)
        assert "ends early" in caught.value.message


@pytest.mark.parametrize("said", [" ^\n % Unrecognized command found at '^' position.\n", "Permission denied.\n", ""])
def test_a_refusal(said: str) -> None:
    """A refusal is no configuration."""
    with pytest.raises(AnswerUnusable):
        whole(said, devices.named("h3c_comware"))


def edited(vendor: str, text: str, old: str, new: str) -> tuple[tuple[str, ...], int]:
    """What is typed to make `text` what it is with `old` replaced, and how many sections are left to people."""
    one, other = sections(text), sections(text.replace(old, new))
    keys = changed(one, other)
    assert keys
    done = steps(devices.named(vendor), one, other, keys)
    return done.lines, len(done.left)


@pytest.mark.parametrize(
    ("vendor", "old", "new", "typed"),
    [
        ("h3c_comware", "address 192.0.2.9", "address 192.0.2.8", "network host address 192.0.2.8"),
        ("h3c_comware", " packet-filter 3000 inbound\n", "", "undo packet-filter 3000 inbound"),
        ("h3c_comware", "eq www", "eq 443", "undo rule 10"),
        ("h3c_secpath", "eq www", "eq 443", "undo rule 10"),
        ("cisco_ios", " host 192.0.2.9", " host 192.0.2.8", "no host 192.0.2.9"),
        ("cisco_ios", "group OUTSIDE in", "group OTHER in", "no ip access-group OUTSIDE in"),
    ],
)
def test_minimal_lines(vendor: str, old: str, new: str, typed: str) -> None:
    """What differs is typed and nothing else."""
    lines, left = edited(vendor, VENDORS[vendor], old, new)
    assert left == 0
    assert typed in lines
    assert len(lines) <= 6, lines


@pytest.mark.parametrize(
    ("vendor", "old", "new"),
    [
        ("h3c_comware", "192.0.2.1\n", "192.0.2.2\n"),
        ("h3c_comware", "198.18.3.2", "198.18.3.3"),
        ("cisco_ios", "198.51.100.1\n", "198.51.100.3\n"),
    ],
)
def test_the_rest_is_not_typed(vendor: str, old: str, new: str) -> None:
    """Where it is not known for certain what takes a line back, nothing of its section is typed."""
    lines, left = edited(vendor, VENDORS[vendor], old, new)
    assert not lines
    assert left >= 1


def test_what_refers_is_removed_before_what_it_refers_to() -> None:
    """A list that names a group goes after its filter and before the group; both come in the other order."""
    more = COMWARE.replace(
        "#\nline", "#\nacl advanced 3001\n rule 0 deny ip source object-group spies\n#\nline"
    ).replace(
        "#\nacl advanced 3000",
        "#\nobject-group ip address spies\n 0 network host address 192.0.2.7\n#\nacl advanced 3000",
    )
    more = more.replace("3000 inbound", "3001 inbound")
    vendor = devices.named("h3c_comware")
    one, other = sections(COMWARE), sections(more)
    come, go = (steps(vendor, a, b, changed(a, b)).lines for a, b in ((one, other), (other, one)))
    made = [come.index(x) for x in ("object-group ip address spies", "acl advanced 3001", "packet-filter 3001 inbound")]
    assert made == sorted(made)
    words = ("undo packet-filter 3001 inbound", "undo acl advanced 3001", "undo object-group ip address spies")
    gone = [go.index(x) for x in words]
    assert gone == sorted(gone)


@pytest.mark.parametrize(
    ("old", "new", "ours"),
    [
        ("authentication-mode scheme", "authentication-mode none", True),
        ("198.18.3.2 255", "198.18.3.9 255", True),
        ("eq www", "eq 443", True),  # the list of the interface that has the device's address
        ("192.0.2.9", "192.0.2.8", False),
        ("ntp-service unicast-server 192.0.2.1", "ssh server acl 2000", True),
        ("192.0.2.1\n", "192.0.2.2\n", False),
    ],
)
def test_what_carries_our_session(old: str, new: str, *, ours: bool) -> None:
    """Terminals, SSH, the interface with the device's address and the lists they name are ours; the rest is not."""
    found = carrying(devices.named("h3c_comware"), sections(COMWARE), sections(COMWARE.replace(old, new)), "198.18.3.2")
    assert bool(found) is ours


@pytest.mark.skipif(not CAPTURES.is_dir(), reason=WITHOUT)
def test_captured() -> None:
    """Whatever real devices print is read, equals itself, and loses no line to masking."""
    files = [path for path in sorted(CAPTURES.rglob("*")) if path.is_file()]
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = sections(text)
        assert changed(found, sections(text)) == ()
        for name in ("h3c_comware", "cisco_ios", "cisco_asa", "cisco_nxos", "huawei_vrp"):
            assert masked(text, devices.named(name)).count("\n") == text.count("\n")
