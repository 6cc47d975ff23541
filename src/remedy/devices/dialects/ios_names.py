"""Names that Cisco's command lines print where a number was typed: ports, protocols, interfaces.

Decides which number a printed name stands for. We type numbers, which every release takes; names are only ever read.
Source: "Cisco IOS Security Command Reference", `access-list (IP extended)` and `permit (IP)`; "Cisco ASA Series CLI
Reference", appendix "Addresses, Protocols, and Ports"; "Cisco Nexus 9000 Series NX-OS Security Configuration Guide".
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["NUMBERS", "PROTOCOLS", "full_name", "port_number"]

_BOTH: Final[dict[str, int]] = {
    "aol": 5190, "discard": 9, "domain": 53, "echo": 7, "kerberos": 750, "nfs": 2049, "pim-auto-rp": 496,
    "rpc": 111, "sip": 5060, "sunrpc": 111, "tacacs": 49, "tacacs-ds": 49, "talk": 517, "www": 80, "cifs": 3020,
}  # fmt: skip
_TCP: Final[dict[str, int]] = {
    "bgp": 179, "chargen": 19, "citrix-ica": 1494, "cmd": 514, "connectedapps-plain": 15001,
    "connectedapps-tls": 15002, "ctiqbe": 2748, "daytime": 13, "drip": 3949, "exec": 512, "finger": 79, "ftp": 21,
    "ftp-data": 20, "gopher": 70, "h323": 1720, "hostname": 101, "http": 80, "https": 443, "ident": 113, "imap4": 143,
    "irc": 194, "klogin": 543, "kshell": 544, "ldap": 389, "ldaps": 636, "login": 513, "lotusnotes": 1352, "lpd": 515,
    "msrpc": 135, "netbios-ssn": 139, "nntp": 119, "onep-plain": 15001, "onep-tls": 15002, "pcanywhere-data": 5631,
    "pop2": 109, "pop3": 110, "pptp": 1723, "rsh": 514, "rtsp": 554, "smtp": 25, "sqlnet": 1521, "ssh": 22,
    "syslog": 514, "telnet": 23, "time": 37, "uucp": 540, "whois": 43,
}  # fmt: skip
_UDP: Final[dict[str, int]] = {
    "biff": 512, "bootpc": 68, "bootps": 67, "dnsix": 195, "http": 80, "isakmp": 500, "mobile-ip": 434,
    "nameserver": 42, "netbios-dgm": 138, "netbios-ns": 137, "netbios-ss": 139, "non500-isakmp": 4500, "ntp": 123,
    "pcanywhere-status": 5632, "radius": 1645, "radius-acct": 1646, "rip": 520, "ripv6": 521, "secureid-udp": 5510,
    "snmp": 161, "snmptrap": 162, "syslog": 514, "tftp": 69, "time": 37, "vxlan": 4789, "who": 513, "xdmcp": 177,
}  # fmt: skip

#: Names of protocols and our word for each: "ip", "tcp", "udp", "icmp", "icmpv6", or the number as text.
PROTOCOLS: Final[dict[str, str]] = {
    "ip": "ip", "ipv6": "ip", "tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmp6": "icmpv6",
    "ah": "51", "ahp": "51", "eigrp": "88", "esp": "50", "gre": "47", "hbh": "0", "igmp": "2", "igrp": "9",
    "ipinip": "4", "ipsec": "50", "nos": "94", "ospf": "89", "pcp": "108", "pim": "103", "pptp": "47",
    "sctp": "132", "snp": "109",
}  # fmt: skip
#: Protocol numbers that have a word of ours.
NUMBERS: Final[dict[str, str]] = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6"}

_INTERFACES: Final = (
    ("Gi", "GigabitEthernet"), ("Te", "TenGigabitEthernet"), ("Twe", "TwentyFiveGigE"), ("Tw", "TwoGigabitEthernet"),
    ("Fi", "FiveGigabitEthernet"), ("Fo", "FortyGigabitEthernet"), ("Hu", "HundredGigE"), ("Fa", "FastEthernet"),
    ("Ap", "AppGigabitEthernet"), ("Et", "Ethernet"), ("Eth", "Ethernet"), ("Po", "Port-channel"), ("Vl", "Vlan"),
    ("Lo", "Loopback"), ("Tu", "Tunnel"), ("Se", "Serial"), ("Be", "Bundle-Ether"), ("BD", "BDI"),
)  # fmt: skip
_SPLIT: Final = re.compile(r"([A-Za-z-]+)\s*(\d\S*)\Z")


def port_number(word: str, protocol: str) -> int | None:
    """The port that a printed word means in a TCP or UDP rule; None when the word is no port."""
    if word.isascii() and word.isdigit():
        return int(word) if len(word) <= 5 and int(word) <= 65535 else None  # noqa: PLR2004 -- 16 bits
    table = _TCP if protocol == "tcp" else _UDP
    return table.get(word, _BOTH.get(word, (_UDP if table is _TCP else _TCP).get(word)))


def full_name(interface: str) -> str:
    """An interface's name in full: `Gi1/0/5` is `GigabitEthernet1/0/5`. A name that is not known stays as it is."""
    parts = _SPLIT.fullmatch(interface.strip())
    if parts is None:
        return interface.strip()
    word, number = parts[1].casefold(), parts[2]
    for short, name in _INTERFACES:
        if word in (short.casefold(), name.casefold()):
            return name + number
    known = [name for short, name in _INTERFACES if name.casefold().startswith(word) and len(word) > len(short)]
    return (known[0] if len(set(known)) == 1 else parts[1]) + number
