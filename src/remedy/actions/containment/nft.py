"""The nftables backend: one table of remedy's own, loaded by one atomic `nft -f`.

Why it looks as it does (nft(8), netfilter hook order):
- `create table` fails when the table is there: two operators cannot stack rules, the loser changes nothing.
- Priority -310 runs before every other table. A drop there is final; an accept still passes the host's own rules,
  so firewalld, Docker and hand-made tables are neither needed, nor touched, nor in the way.
- No connection tracking: an ESTABLISHED shortcut would keep the intruder's session alive.
- A last chain after address translation stops what a DNAT rule of the output hook has turned elsewhere.
- Management answers may leave only from sshd's port and never open a connection (SYN without ACK).
- The host's own packets are rejected instead of dropped: its sockets are reset at their next word, and nothing that
  has to keep working locally (sudo, sshd) waits for a resolver that will not answer.
- A second table in the bridge family stops what containers and guests send through a bridge without routing.
"""

from __future__ import annotations

from remedy.actions.containment.paths import Paths
from remedy.actions.containment.rules import HostRules, stamp
from remedy.core.values import Command, Context
from remedy.probes import nft

TABLE = "remedy_isolation"
INET, BRIDGE = f"inet {TABLE}", f"bridge {TABLE}"
BOOT_PATH = "/etc/remedy/isolation.nft"

#: ICMPv6 types of RFC 4861 (133 to 136: router and neighbour solicitation and advertisement) and of RFC 3810 and 2710
#: (130 query, 131, 132, 143 reports: without them a snooping switch forgets the host after some minutes).
_ND_IN, _ND_OUT, _MLD_OUT = "{ 134, 135, 136 }", "{ 133, 135, 136 }", "{ 131, 132, 143 }"
#: Errors that keep a path's MTU right come from any router; a handful a second is enough for management.
_SELDOM = "limit rate 10/second burst 5 packets"
_LOAD = nft.PATH + "exec nft -f -"
#: What a timer runs: a later run's isolation, or none at all, is not its to change.
_LOAD_OWN = nft.PATH + f'nft list table {INET} 2>/dev/null | grep -q "run=$1 " || exit 0; exec nft -f -'


def _set(addresses: tuple[str, ...]) -> str:
    return "{ " + ", ".join(addresses) + " }"


def _management(paths: Paths, *, anyone: bool) -> tuple[list[str], list[str]]:
    if anyone:
        return (
            [f"tcp dport {paths.port} accept"],
            [f"tcp sport {paths.port} tcp flags & (syn | ack) != syn accept"],
        )
    inward, outward = [], []
    for version, family in ((4, "ip"), (6, "ip6")):
        if addresses := paths.of(version):
            inward.append(f"{family} saddr {_set(addresses)} tcp dport {paths.port} accept")
            answer = f"tcp sport {paths.port} tcp flags & (syn | ack) != syn accept"
            outward.append(f"{family} daddr {_set(addresses)} {answer}")
    return inward, outward


def _below(paths: Paths) -> tuple[list[str], list[str]]:
    """What management needs below TCP, no further than the link: neighbours, multicast membership, MTU, a lease."""
    inward, outward = [], []
    if paths.of(4):
        inward.append(f"icmp type destination-unreachable icmp code frag-needed {_SELDOM} accept")
    if paths.of(6):
        inward += [
            f"icmpv6 type {_ND_IN} ip6 hoplimit 255 accept",
            "ip6 saddr fe80::/10 icmpv6 type mld-listener-query accept",
            f"icmpv6 type packet-too-big {_SELDOM} accept",
        ]
        near = _set(("fe80::/10", "ff02::/16", *paths.onlink_of(6)))
        outward += [
            f"ip6 daddr {near} icmpv6 type {_ND_OUT} ip6 hoplimit 255 accept",
            f"ip6 daddr ff02::/16 icmpv6 type {_MLD_OUT} accept",
        ]
    if net := paths.leased_of(4):
        inward.append(f"ip saddr {net} udp sport 67 udp dport 68 accept")
        outward.append(f"ip daddr {_set(('255.255.255.255', net))} udp sport 68 udp dport 67 accept")
    if paths.leased_of(6):
        inward.append("ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept")
        outward.append("ip6 daddr ff02::1:2 udp sport 546 udp dport 547 accept")
    return inward, outward


def _chain(name: str, rules: list[str], priority: int = -310) -> list[str]:
    head = f"type filter hook {name} priority {priority}; policy drop;"
    return [f"\tchain {name} {{", f"\t\t{head}", *(f"\t\t{rule}" for rule in rules), "\t}"]


def tables(paths: Paths, comment: str, *, bridge: bool, anyone: bool = False) -> str:
    """The tables as text. `anyone` is the timer's fallback: sshd reachable from everywhere, nothing else changed."""
    inward, outward = _management(paths, anyone=anyone)
    dns_in, dns_out = [], []
    for version, family in ((4, "ip"), (6, "ip6")):
        if addresses := paths.dns_of(version):
            dns_in += [f"{family} saddr {_set(addresses)} {p} sport 53 accept" for p in ("udp", "tcp")]
            dns_out += [f"{family} daddr {_set(addresses)} {p} dport 53 accept" for p in ("udp", "tcp")]
    below_in, below_out = _below(paths)
    lines = [f"table {INET} {{"]
    lines += _chain(
        "input",
        [
            f'iifname "lo" accept comment "{comment}"',
            *inward,
            *below_in,
            *dns_in,
        ],
    )
    lines += _chain(
        "output",
        [
            'oifname "lo" accept',
            *outward,
            *below_out,
            *dns_out,
            "tcp flags & (syn | ack) == syn reject with icmpx type admin-prohibited",
            "meta l4proto tcp reject with tcp reset",
            "meta l4proto udp reject with icmpx type admin-prohibited",
        ],
    )
    # Address translation comes between the output hook and here: what it has turned elsewhere is stopped last.
    after = ['oifname "lo" accept', *outward, *below_out, *dns_out]
    lines += [*_chain("postrouting", after, 310), *_chain("forward", []), "}"]
    if bridge:
        lines += [f"table {BRIDGE} {{", *_chain("forward", []), "}"]
    return "\n".join(lines) + "\n"


def creating(text: str, *, bridge: bool) -> str:
    """The text so that loading fails, whole, when a table is already there."""
    return "".join(f"create table {name}\n" for name in _names(bridge=bridge)) + text


def replacing(text: str, *, bridge: bool) -> str:
    """The text so that loading replaces, in the same transaction, whatever is there."""
    return deletion(bridge=bridge) + text


def _names(*, bridge: bool) -> tuple[str, ...]:
    return (INET, BRIDGE) if bridge else (INET,)


def deletion(*, bridge: bool) -> str:
    """Takes exactly remedy's tables away, at once, also when somebody has removed one of them already."""
    return "".join(f"add table {name}\ndelete table {name}\n" for name in _names(bridge=bridge))


def load(text: str) -> Command:
    """Feed a text to nft in one transaction."""
    return Command(("sh", "-c", _LOAD), stdin=text)


def rules(
    paths: Paths, context: Context, *, before: str, after: str, fallen: str, bridge: bool, reopen: bool
) -> HostRules:
    """The isolation by nft. `after` and `fallen` are the target's own listings, from the rehearsal."""
    text = tables(paths, stamp(context), bridge=bridge)
    fallback = deletion(bridge=bridge) if reopen else fallback_text(paths, context, bridge=bridge)
    return HostRules(
        tool="nft",
        apply=load(creating(text, bridge=bridge)),
        again=load(replacing(text, bridge=bridge)),
        remove=load(deletion(bridge=bridge)),
        seen=nft.tables(INET, BRIDGE),
        before=before,
        after=after,
        fallen=fallen,
        fallback=Command(("sh", "-c", _LOAD_OWN, "remedy", context.run), stdin=fallback),
        boot=replacing(text, bridge=bridge),
        boot_path=BOOT_PATH,
        loader=f"nft -f {BOOT_PATH}",
        card=tuple(f"nft delete table {name}" for name in _names(bridge=bridge)),
    )


def fallback_text(paths: Paths, context: Context, *, bridge: bool) -> str:
    """What the timer loads: isolated as before, sshd reachable from anywhere."""
    text = tables(paths, stamp(context, "fallback"), bridge=bridge, anyone=True)
    return deletion(bridge=bridge) + text
