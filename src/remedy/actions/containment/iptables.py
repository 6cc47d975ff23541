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
_HOOKS = (("INPUT", "REMEDY_IN"), ("OUTPUT", "REMEDY_OUT"), ("FORWARD", "REMEDY_FWD"))

_APPLY = (
    PATH + "if iptables -w 5 -t mangle -n -L REMEDY_IN >/dev/null 2>&1 || ip6tables -w 5 -t mangle -n -L REMEDY_IN "
    ">/dev/null 2>&1; then echo 'the chain REMEDY_IN is already there' >&2; exit 17; fi; "
    'printf %s "$2" | ip6tables-restore -w 5 --noflush || exit 1; '
    'printf %s "$1" | iptables-restore -w 5 --noflush && exit 0; '
    'printf %s "$3" | ip6tables-restore -w 5 --noflush; exit 1'
)
_LOAD = (
    PATH + 'printf %s "$1" | iptables-restore -w 5 --noflush; a=$?; '
    'printf %s "$2" | ip6tables-restore -w 5 --noflush; b=$?; [ "$a$b" = 00 ]'
)
#: What a timer runs: a later run's isolation, or none at all, is not its to change.
_LOAD_OWN = PATH + 'iptables-save -t mangle | grep -q "run=$3 " || exit 0; ' + _LOAD
#: Chains that are declared again under --noflush are emptied and refilled in the same commit.
_JUMPS = "".join(f"-D {hook} -j {chain}\n" for hook, chain in _HOOKS)


def chains(paths: Paths, comment: str, version: int, *, anyone: bool = False, jumps: bool = True) -> str:
    """The chains of one family in iptables-restore's format; without `jumps` only their content is replaced."""
    port, addresses = paths.port, paths.of(version)
    icmp = "icmp" if version == 4 else "ipv6-icmp"  # noqa: PLR2004 -- the IP version
    inward = [f'-i lo -m comment --comment "{comment}" -j RETURN']
    outward = ["-o lo -j RETURN"]
    for source in ("",) if anyone else addresses:
        inward.append(f"{f'-s {source} ' if source else ''}-p tcp -m tcp --dport {port} -j RETURN")
        outward.append(f"{f'-d {source} ' if source else ''}-p tcp -m tcp --sport {port} ! --syn -j RETURN")
    if version == 4:  # noqa: PLR2004 -- the IP version
        inward.append(f"-p {icmp} -m icmp --icmp-type fragmentation-needed -j RETURN")
    else:
        for kind in (2, 134, 135, 136):
            hops = "" if kind == 2 else "-m hl --hl-eq 255 "  # noqa: PLR2004 -- packet-too-big is routed
            inward.append(f"-p {icmp} -m icmp6 --icmpv6-type {kind} {hops}-j RETURN")
        outward += [f"-p {icmp} -m icmp6 --icmpv6-type {k} -m hl --hl-eq 255 -j RETURN" for k in (133, 135, 136)]
    if paths.dhcp and version == 4:  # noqa: PLR2004 -- DHCP for IPv4
        inward.append("-p udp -m udp --sport 67 --dport 68 -j RETURN")
        outward.append("-p udp -m udp --sport 68 --dport 67 -j RETURN")
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


def removal() -> str:
    """Takes exactly remedy's jumps and chains away, in iptables-restore's format."""
    emptied = "".join(f"-F {chain}\n" for chain in iptables.CHAINS)
    gone = "".join(f"-X {chain}\n" for chain in iptables.CHAINS)
    return f"*mangle\n{_JUMPS}{emptied}{gone}COMMIT\n"


def rules(paths: Paths, context: Context, *, before: str, after: str, fallen: str, reopen: bool) -> HostRules:
    """The isolation by iptables. `after` and `fallen` are the target's own listings, from the rehearsal."""
    comment = stamp(context)
    four, six = (chains(paths, comment, version) for version in (4, 6))
    remove = load(removal(), removal())
    fallback = (removal(), removal()) if reopen else fallback_texts(paths, context)
    return HostRules(
        tool="iptables",
        apply=Command(("sh", "-c", _APPLY, "remedy", four, six, removal())),
        remove=remove,
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


def load(four: str, six: str) -> Command:
    """Feed a text to each family's restore, one commit each."""
    return Command(("sh", "-c", _LOAD, "remedy", four, six))


def restoring(listing: str) -> tuple[str, str]:
    """From a listing as `probes.iptables` gives it, the texts that bring exactly those chains back (IPv4, IPv6)."""
    out = []
    for tool in ("iptables", "ip6tables"):
        rows = [line.split(" ", 2)[1:] for line in listing.splitlines() if line.startswith(f"{tool} ")]
        body = [f"-A {chain} {rest}" for chain, rest in rows if chain in iptables.CHAINS]
        jumps = [
            f"-I {chain} 1 {rest.removeprefix('NOT FIRST ').removeprefix('first ')}"
            for chain, rest in rows
            if chain not in iptables.CHAINS
        ]
        declared = [f":{chain} - [0:0]" for chain in iptables.CHAINS]
        out.append("\n".join(["*mangle", *declared, *body, *jumps, "COMMIT"]) + "\n")
    return out[0], out[1]


def _boot(four: str, six: str) -> str:
    """A script that removes what is there and loads the chains again, each family in one commit."""
    parts = ["#!/bin/sh", "# remedy: isolation of this host; remove with `remedy release`", PATH.rstrip("; ")]
    for tool, text in (("iptables", four), ("ip6tables", six)):
        parts += [
            f"{tool}-restore -w 5 --noflush 2>/dev/null <<'END' || :",
            removal().rstrip("\n"),
            "END",
            f"{tool}-restore -w 5 --noflush <<'END'",
            text.rstrip("\n"),
            "END",
        ]
    return "\n".join(parts) + "\n"


def _card() -> tuple[str, ...]:
    out: list[str] = []
    for tool in ("iptables", "ip6tables"):
        out += [f"{tool} -t mangle -D {hook} -j {chain}" for hook, chain in _HOOKS]
        out += [f"{tool} -t mangle -F {chain}; {tool} -t mangle -X {chain}" for chain in iptables.CHAINS]
    return tuple(out)
