"""Names that Comware and VRP have for protocols and ports, with their numbers.

Follows H3C Comware V7, ACL and QoS Command Reference, `rule (IPv4 advanced ACL view)` and `rule (IPv6 advanced ACL
view)`, tables of protocols and of TCP and UDP port names; VRP prints the same names.
"""

from __future__ import annotations

from typing import Final

#: Protocol names by family; -1 is every protocol. On input all names of the family's reference are known.
PROTOCOLS: Final[dict[int, dict[str, int]]] = {
    4: {"ip": -1, "icmp": 1, "igmp": 2, "ipinip": 4, "tcp": 6, "udp": 17, "gre": 47, "ospf": 89},
    6: {"ipv6": -1, "tcp": 6, "udp": 17, "gre": 47, "ipv6-esp": 50, "ipv6-ah": 51, "icmpv6": 58, "ospf": 89},
}
#: The other way round, for writing.
PROTOCOL_NAMES: Final[dict[int, dict[int, str]]] = {
    family: {number: name for name, number in names.items()} for family, names in PROTOCOLS.items()
}

#: Port names of TCP and UDP; where both have a name, the number is the same.
PORTS: Final[dict[str, int]] = {
    "bgp": 179,
    "biff": 512,
    "bootpc": 68,
    "bootps": 67,
    "chargen": 19,
    "cmd": 514,
    "daytime": 13,
    "discard": 9,
    "dns": 53,
    "dnsix": 90,
    "domain": 53,
    "echo": 7,
    "exec": 512,
    "finger": 79,
    "ftp": 21,
    "ftp-data": 20,
    "gopher": 70,
    "hostname": 101,
    "irc": 194,
    "klogin": 543,
    "kshell": 544,
    "login": 513,
    "lpd": 515,
    "mobilip-ag": 434,
    "mobilip-mn": 435,
    "nameserver": 42,
    "netbios-dgm": 138,
    "netbios-ns": 137,
    "netbios-ssn": 139,
    "nntp": 119,
    "ntp": 123,
    "pop2": 109,
    "pop3": 110,
    "rip": 520,
    "smtp": 25,
    "snmp": 161,
    "snmptrap": 162,
    "sunrpc": 111,
    "syslog": 514,
    "tacacs": 49,
    "tacacs-ds": 65,
    "talk": 517,
    "telnet": 23,
    "tftp": 69,
    "time": 37,
    "uucp": 540,
    "who": 513,
    "whois": 43,
    "www": 80,
    "xdmcp": 177,
}
