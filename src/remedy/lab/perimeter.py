"""fw01's configuration: its filter between the segments, around the quarantine VLAN, and its name server.

Decides what the perimeter lets through. Leaves to others: loading it (fw01's own boot does).

Isolated hosts stay in the DMZ's network, behind a cable of their own that ends in the DMZ's bridge. What fw01 forwards
between that and the rest is decided frame by frame: nothing to or from a neighbour, and of what it routes only the
machine's own, with what it takes to find each other (RFC 826, RFC 4861).

The policy is a plain small company's: from outside to the DMZ only the web and one UDP port (closed on purpose, so that
it answers "port unreachable"), from the web servers inwards only the database, from management everywhere.
"""

from __future__ import annotations

from remedy.lab import cabling
from remedy.lab.topology import ZONES, Topology

__all__ = ["dnsmasq_conf", "hosts_file", "ruleset"]

DOMAIN = "lab.example"

_RULESET = """\
table inet remedy_lab_perimeter
delete table inet remedy_lab_perimeter
table inet remedy_lab_perimeter {
  set web4 {
    type ipv4_addr
    elements = { %(web4)s }
  }
  set web6 {
    type ipv6_addr
    elements = { %(web6)s }
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "br-management" accept
    iifname "br-outside" oifname "br-dmz" meta l4proto { icmp, ipv6-icmp } accept
    iifname "br-outside" oifname "br-dmz" tcp dport { 80, 443 } accept
    iifname "br-outside" oifname "br-dmz" udp dport 4444 accept
    iifname "br-dmz" oifname "br-inside" ip saddr @web4 tcp dport 3306 accept
    iifname "br-dmz" oifname "br-inside" ip6 saddr @web6 tcp dport 3306 accept
    iifname { "br-dmz", "br-inside" } oifname "br-outside" accept
  }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    meta l4proto { tcp, udp } th dport 53 accept
    iifname "br-management" tcp dport { 22, 2222 } accept
  }
}
"""


_QUARANTINE = """\
table bridge remedy_lab_quarantine
delete table bridge remedy_lab_quarantine
table bridge remedy_lab_quarantine {
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "%(cable)s" drop
    oifname "%(cable)s" drop
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname != "%(cable)s" accept
    ether type arp accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip daddr %(four)s accept
    ip6 daddr %(six)s accept
    drop
  }
  chain output {
    type filter hook output priority filter; policy accept;
    oifname != "%(cable)s" accept
    ether type arp accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip saddr %(four)s accept
    ip6 saddr %(six)s accept
    drop
  }
}
"""


def ruleset(topology: Topology) -> str:
    """The nftables script of the perimeter; loading it twice leaves it once."""
    web = [host for host in topology.hosts if host.zone == "dmz"]
    script = _RULESET % {
        "web4": ", ".join(host.v4 for host in web),
        "web6": ", ".join(host.v6 for host in web),
    }
    if not any(host.is_switch for host in topology.hosts):
        return script
    management = ZONES["management"]
    cable = f"{cabling.UPLINK}.{cabling.QUARANTINE}"
    return script + _QUARANTINE % {"cable": cable, "four": management.address4(1), "six": management.address6(1)}


def hosts_file(topology: Topology) -> str:
    """Every host's names in both families, hosts(5) format."""
    lines = []
    for host in topology.hosts:
        lines += [f"{address} {host.name}.{DOMAIN} {host.name}" for address in (host.v4, host.v6)]
    return "\n".join(lines) + "\n"


def dnsmasq_conf() -> str:
    """A name server that knows the lab and nothing else, on every address of fw01."""
    listen = [f"listen-address={zone.gateway4},{zone.gateway6}" for zone in ZONES.values() if zone.router == "fw01"]
    return "\n".join(
        [
            "no-resolv",
            "no-hosts",
            "no-poll",
            "pid-file=/run/dnsmasq.pid",
            "addn-hosts=/etc/remedy-lab/hosts",
            f"local=/{DOMAIN}/",
            "bind-interfaces",
            *listen,
            "",
        ]
    )
