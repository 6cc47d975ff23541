"""The iptables backend, for hosts without nft: chains of remedy's own in the mangle table, both families.

Why mangle: it is traversed before filter on every hook, after address translation on the way in, and neither Docker
nor firewalld's usual set-up puts itself in front there. A DROP in it is final, a RETURN passes the host's own rules.
Each family is loaded by one `iptables-restore --noflush` (iptables-restore(8)); if the second fails, the first is
taken back in the same command. REJECT exists only in the filter table, so the host's own packets are dropped.
"""

from __future__ import annotations

from remedy.actions.containment.paths import Paths
from remedy.actions.containment.rules import HostRules, stamp
from remedy.core.values import Command, Context
from remedy.probes import iptables
from remedy.probes.nft import PATH

BOOT_PATH = "/etc/remedy/isolation.iptables"
_HOOKS = (
    ("INPUT", "REMEDY_IN"),
    ("OUTPUT", "REMEDY_OUT"),
    ("POSTROUTING", "REMEDY_OUT"),  # after address translation of the output hook
    ("FORWARD", "REMEDY_FWD"),
)

_APPLY = (
    PATH + "for t in iptables ip6tables; do "  # an empty chain is nobody's: what a flush of the table leaves
    'if "$t" -w 5 -t mangle -S REMEDY_IN 2>/dev/null | grep -q "^-A "; then '
    "echo 'the chain REMEDY_IN is already there' >&2; exit 17; fi; done; "
    'printf %s "$2" | ip6tables-restore -w 5 --noflush || exit 1; '
    'printf %s "$1" | iptables-restore -w 5 --noflush && exit 0; '
    'printf %s "$3" | ip6tables-restore -w 5 --noflush; exit 1'
)
_LOAD = (
    PATH + 'printf %s "$1" | iptables-restore -w 5 --noflush; a=$?; '
    'printf %s "$2" | ip6tables-restore -w 5 --noflush; b=$?; [ "$a$b" = 00 ]'
)
#: Removes whatever is left of the chains, also when some jumps or chains are gone already.
_CLEAR = (
    PATH + "for t in iptables ip6tables; do for h in INPUT OUTPUT POSTROUTING FORWARD; do "
    "for c in REMEDY_IN REMEDY_OUT REMEDY_FWD; do "
    'while "$t" -w 5 -t mangle -D $h -j $c 2>/dev/null; do :; done; done; done; '
    'for c in REMEDY_IN REMEDY_OUT REMEDY_FWD; do "$t" -w 5 -t mangle -F $c 2>/dev/null; '
    '"$t" -w 5 -t mangle -X $c 2>/dev/null; done; done; '
)
_GONE = "! { iptables-save -t mangle; ip6tables-save -t mangle; } | grep -q REMEDY_"
#: What a timer runs: a later run's isolation, or none at all, is not its to change.
_LOAD_OWN = PATH + 'iptables-save -t mangle | grep -q "run=$3 " || exit 0; ' + _LOAD
#: Chains that are declared again under --noflush are emptied and refilled in the same commit.
_JUMPS = "".join(f"-D {hook} -j {chain}\n" for hook, chain in _HOOKS)


def chains(paths: Paths, comment: str, version: int, *, anyone: bool = False, jumps: bool = True) -> str:
    """The chains of one family in iptables-restore's format; without `jumps` only their content is replaced."""
    port, addresses = paths.port, paths.of(version)
    inward = [f'-i lo -m comment --comment "{comment}" -j RETURN']
    outward = ["-o lo -j RETURN"]
    for source in ("",) if anyone else addresses:
        inward.append(f"{f'-s {source} ' if source else ''}-p tcp -m tcp --dport {port} -j RETURN")
        outward.append(f"{f'-d {source} ' if source else ''}-p tcp -m tcp --sport {port} ! --syn -j RETURN")
    below_in, below_out = _below(paths, version)
    inward += below_in
    outward += below_out
    for resolver in paths.dns_of(version):
        for protocol in ("udp", "tcp"):
            inward.append(f"-s {resolver} -p {protocol} -m {protocol} --sport 53 -j RETURN")
            outward.append(f"-d {resolver} -p {protocol} -m {protocol} --dport 53 -j RETURN")
    rows = [
        *(f"-A REMEDY_IN {rule}" for rule in (*inward, "-j DROP")),
        *(f"-A REMEDY_OUT {rule}" for rule in (*outward, "-j DROP")),
        "-A REMEDY_FWD -j DROP",
    ]
    rows += [f"-I {hook} 1 -j {chain}" for hook, chain in _HOOKS] if jumps else []
    declared = [f":{chain} - [0:0]" for chain in iptables.CHAINS]
    return "\n".join(["*mangle", *declared, *rows, "COMMIT"]) + "\n"


def _below(paths: Paths, version: int) -> tuple[list[str], list[str]]:
    """What management needs below TCP, as in the nft backend: no further than the link."""
    seldom = "-m limit --limit 10/sec --limit-burst 5"
    net = paths.leased_of(version)
    if not paths.of(version):
        return [], []
    if version == 4:  # noqa: PLR2004 -- the IP version
        inward, outward = [f"-p icmp -m icmp --icmp-type fragmentation-needed {seldom} -j RETURN"], []
        if net:
            inward.append(f"-s {net} -p udp -m udp --sport 67 --dport 68 -j RETURN")
            outward += [f"-d {d} -p udp -m udp --sport 68 --dport 67 -j RETURN" for d in ("255.255.255.255/32", net)]
        return inward, outward
    icmp, hops = "-p ipv6-icmp -m icmp6 --icmpv6-type", "-m hl --hl-eq 255"
    inward = [f"{icmp} {kind} {hops} -j RETURN" for kind in (134, 135, 136)]
    inward += [f"-s fe80::/10 {icmp} 130 -j RETURN", f"{icmp} 2 {seldom} -j RETURN"]
    near = ("fe80::/10", "ff02::/16", *paths.onlink_of(6))
    outward = [f"-d {to} {icmp} {kind} {hops} -j RETURN" for to in near for kind in (133, 135, 136)]
    outward += [f"-d ff02::/16 {icmp} {kind} -j RETURN" for kind in (131, 132, 143)]
    if net:
        inward.append("-s fe80::/10 -p udp -m udp --sport 547 --dport 546 -j RETURN")
        outward.append("-d ff02::1:2/128 -p udp -m udp --sport 546 --dport 547 -j RETURN")
    return inward, outward


def removal() -> str:
    """Takes exactly remedy's jumps and chains away, in iptables-restore's format."""
    emptied = "".join(f"-F {chain}\n" for chain in iptables.CHAINS)
    gone = "".join(f"-X {chain}\n" for chain in iptables.CHAINS)
    return f"*mangle\n{_JUMPS}{emptied}{gone}COMMIT\n"


def rules(paths: Paths, context: Context, *, before: str, after: str, fallen: str, reopen: bool) -> HostRules:
    """The isolation by iptables. `after` and `fallen` are the target's own listings, from the rehearsal."""
    comment = stamp(context)
    four, six = (chains(paths, comment, version) for version in (4, 6))
    fallback = (removal(), removal()) if reopen else fallback_texts(paths, context)
    return HostRules(
        tool="iptables",
        apply=Command(("sh", "-c", _APPLY, "remedy", four, six, removal())),
        again=Command(("sh", "-c", _CLEAR + _LOAD, "remedy", four, six)),
        remove=clearing(),
        seen=iptables.chains(),
        before=before,
        after=after,
        fallen=fallen,
        fallback=Command(("sh", "-c", _LOAD_OWN, "remedy", *fallback, context.run)),
        boot=_boot(four, six),
        boot_path=BOOT_PATH,
        loader=f"sh {BOOT_PATH}",
        card=_card(),
        notes=("iptables drops instead of rejecting: programs on the host wait for their time-outs",),
    )


def fallback_texts(paths: Paths, context: Context) -> tuple[str, str]:
    """What the timer loads, IPv4 and IPv6: isolated as before, sshd reachable from anywhere."""
    comment = stamp(context, "fallback")
    four, six = (chains(paths, comment, version, anyone=True, jumps=False) for version in (4, 6))
    return four, six


def clearing() -> Command:
    """Take exactly remedy's jumps and chains away: in one commit a family, and piece by piece what that leaves."""
    return Command(("sh", "-c", _LOAD + " && exit 0; " + _CLEAR + _GONE, "remedy", removal(), removal()))


def _boot(four: str, six: str) -> str:
    """A script that removes what is there and loads the chains again, each family in one commit."""
    parts = ["#!/bin/sh", "# remedy: isolation of this host; remove with `remedy release`", _CLEAR.rstrip("; ")]
    for tool, text in (("iptables", four), ("ip6tables", six)):
        parts += [f"{tool}-restore -w 5 --noflush <<'END'", text.rstrip("\n"), "END"]
    return "\n".join(parts) + "\n"


def _card() -> tuple[str, ...]:
    out: list[str] = []
    for tool in ("iptables", "ip6tables"):
        out += [f"{tool} -t mangle -D {hook} -j {chain}" for hook, chain in _HOOKS]
        out += [f"{tool} -t mangle -F {chain}; {tool} -t mangle -X {chain}" for chain in iptables.CHAINS]
    return tuple(out)
