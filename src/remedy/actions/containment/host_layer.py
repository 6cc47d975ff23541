"""The host layer of an isolation: the packet filter of the host itself.

Decides which of the host's tools is used, what is refused before anything is changed, and what must hold afterwards.
Root on the host can take this layer away again; it is graded as such, however well it holds today.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from remedy.actions.containment import boot, deadman, flows, matrix
from remedy.actions.containment import iptables as by_iptables
from remedy.actions.containment import nft as by_nft
from remedy.actions.containment.paths import Paths, pin
from remedy.actions.containment.places import Network
from remedy.actions.containment.rules import HostRules, stamp
from remedy.core.canon import canonical
from remedy.core.errors import HeldByOther, Refused, TargetUnfit
from remedy.core.ports import Reader
from remedy.core.values import Change, Context, Expect, Plan, Probe, Site, Target, wanted
from remedy.probes import files, host, iptables, nft, sockets

_MOST_FLOWS_SHOWN: Final = 4
#: Everything an isolation may leave on a disk, whichever tool and init system.
LEFT_BEHIND: Final = tuple(
    dict.fromkeys(
        path
        for rules_path in (by_nft.BOOT_PATH, by_iptables.BOOT_PATH)
        for init in ("systemd", "sysv")
        for path in boot.paths(rules_path, init)
    )
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator may choose about this layer."""

    confirm_seconds: int
    reopen: bool
    pin_dns: bool
    proven: tuple[Expect, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What the first round of questions found on the host."""

    facts: dict[str, Any]
    client: str
    paths: Paths
    flows: list[list[Any]]
    listening: list[int]
    tables: str
    chains: str
    files: dict[str, str]

    @property
    def tools(self) -> dict[str, str]:
        """Where the host's tools are, by name."""
        return cast("dict[str, str]", self.facts["tools"])

    @property
    def own(self) -> list[str]:
        """The host's own addresses, link-local and loopback ones left out."""
        return [a["address"] for a in self.links if not ipaddress.ip_address(a["address"]).is_link_local]

    @property
    def links(self) -> list[dict[str, Any]]:
        """The host's addresses with device, prefix and whether they are leased; loopback's left out."""
        return [a for a in self.facts["addresses"] if not ipaddress.ip_address(a["address"]).is_loopback]


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything planning a layer starts from."""

    options: Options
    target: Target
    site: Site
    context: Context
    reader: Reader
    network: Network = field(default_factory=Network)


def extend(plan: Plan, scene: Scene) -> Plan:
    """Add the host layer to a plan. Raises Refused and its kin before anything is changed."""
    options, target, site, context = scene.options, scene.target, scene.site, scene.context
    found = look(options, target, site, scene.reader)
    if found.tables or found.chains:
        return _already(plan, scene, found)
    _refuse_leftovers(target, found)
    rules, answers, asked = _ask_around(scene, found)
    controller = _refuse_self(target, answers)
    everywhere = (*_addresses(target, site, found), *found.own)
    pairs = list(zip(asked, answers, strict=True))
    certificate = matrix.certificate(target.name, found.paths, everywhere, pairs, site.unreachable_from)
    init = found.facts["init"]
    keep = (boot.hook(target.name, rules, init),) if boot.paths(rules.boot_path, init) else ()
    unproven = [*certificate.unproven, *_unknown_client(target, site, found, controller)]
    if not keep:
        unproven.append(f"{target.name} has neither systemd nor SysV init: the rules will not come back after a reboot")
    if found.facts["bridges"] and f"table {by_nft.BRIDGE} " not in rules.after:
        unproven.append(f"traffic bridged by {', '.join(found.facts['bridges'])} is not seen by {rules.tool}")
    load = Change(
        why=f"cut {target.name} off with {rules.tool}, in one transaction",
        at=target.name,
        do=rules.apply,
        again=rules.again,
        undo=rules.remove,
        seen=rules.seen,
        before=wanted(rules.before),
        after=wanted(rules.after),
    )
    cut = flows.cut(target.name, found.paths, found.own)
    expects = [
        Expect("the rules are in place, read over a new login", target.name, rules.seen, load.after, fresh=True),
        Expect("no live session with anybody but management", target.name, cast("Probe", cut.seen), cut.after),
        *(Expect("the rules come back after a reboot", target.name, cast("Probe", k.seen), k.after) for k in keep),
        *certificate.expects,
    ]
    hooks = (f"pkill -f 'remedy-[d]eadman-{context.run}' || true", *boot.card(rules.boot_path, init))
    stays = f"stays open: TCP {found.paths.port} for {', '.join(found.paths.management)}"
    kept_facts = {k: found.facts[k] for k in ("boot", "init", "kernel", "nft_version", "tools", "bridges")}
    return replace(
        plan,
        changes=(*plan.changes, load, cut),
        keep=(*plan.keep, *keep),
        expects=(*plan.expects, *expects),
        guard=deadman.guard(target.name, rules, context, seconds=options.confirm_seconds, reopen=options.reopen),
        impact=(*plan.impact, *_impact(target, site, found)),
        unproven=(*plan.unproven, *unproven),
        notes=(*plan.notes, *rules.notes, *_namespaces(found), stays),
        card=(*plan.card, f"# on the console of {target.name}, as root:", *hooks, *rules.card),
        facts=canonical({**kept_facts, "management": [*found.paths.management], "port": found.paths.port}).decode(),
    )


def look(options: Options, target: Target, site: Site, reader: Reader) -> Found:
    """The first round trip: everything about the host itself."""
    probes = (
        host.facts(),
        host.peer(),
        sockets.tcp(),
        nft.tables(by_nft.INET, by_nft.BRIDGE),
        iptables.chains(),
        files.state(*LEFT_BEHIND),
    )
    facts, peer, socks, tables, chains, states = cast("tuple[Any, ...]", reader.ask(probes, at=target.name))
    if peer is None:
        raise TargetUnfit(f"{target.name} is not reached over SSH: its management path is unknown", hint="use SSH")
    if peer["tunnel"] or facts["ipsec"] == "yes":
        raise TargetUnfit(
            f"management of {target.name} comes through a tunnel that this would cut ({peer['tunnel'] or 'IPsec'})",
            hint="the timer could not restore it either: cut the host off at its switch port, or reach it another way",
        )
    nets = sorted({a["net"] for a in facts["addresses"] if _is_link(a["net"])})
    leases = [a["net"] for a in facts["addresses"] if a["dynamic"] and a["address"] == peer["server"]]
    paths = Paths(
        management=pin(site.management, peer["client"], site.canaries),
        port=peer["port"],
        dns=site.resolvers if options.pin_dns else (),
        onlink=tuple(nets),
        leased=leases[0] if leases else "",
    )
    return Found(
        facts,
        peer["client"],
        paths,
        socks["flows"],
        socks["listening"],
        tables,
        chains,
        dict(zip(LEFT_BEHIND, states, strict=True)),
    )


def _is_link(net: str) -> bool:
    """Whether a prefix can be believed to be a link's: an intruder's "::/0" is not."""
    made = ipaddress.ip_network(net)
    return made.prefixlen >= (48 if made.version == 6 else 8) and not (made.is_loopback or made.is_link_local)  # noqa: PLR2004 -- see above


def _ask_around(scene: Scene, found: Found) -> tuple[HostRules, list[object], tuple[matrix.Question, ...]]:
    """The second round trip, to every vantage at once: positive controls, and the rehearsal on the host."""
    options, target, site, context = scene.options, scene.target, scene.site, scene.context
    addresses = _addresses(target, site, found)
    asked = matrix.questions(target.name, site, addresses, [found.paths.port, *found.listening])
    refusals: list[str] = []
    for tool, bridge in _tools(found):
        rehearsal = _rehearsal(tool, found.paths, context, bridge=bridge)
        theirs = [q for q in asked if q.vantage.name == target.name]
        others = [q for q in asked if q.vantage.name != target.name]
        here: list[Probe] = [rehearsal, *(q.probe for q in theirs)]
        rounds = [(target.name, tuple(here)), *((q.vantage.name, matrix.asked(q)) for q in others)]
        replies = scene.reader.ask_all(rounds)
        if isinstance(replies[0], Exception):
            raise replies[0]
        listing = cast("dict[str, str]", replies[0][0])
        if "refused" in listing:
            refusals.append(f"{tool}: {listing['refused']}")
            continue
        own, rest = iter(replies[0][1:]), iter(replies[1:])
        answers: list[object] = [(next(own), found.own) if q.vantage.name == target.name else next(rest) for q in asked]
        rules = _rules(tool, options, found, context, listing, bridge=bridge)
        return rules, answers, asked
    raise TargetUnfit(
        f"{target.name} has no packet filter that can isolate it: {'; '.join(refusals) or 'neither nft nor iptables'}",
        hint="install nftables, or cut the host off at its switch port",
    )


def _addresses(target: Target, site: Site, found: Found) -> tuple[str, ...]:
    """Where the target is probed: what the inventory says, and the address that is dialled.

    Only without an inventory entry is the host itself believed, and not far: it could send the probes astray.
    """
    listed = site.addresses or tuple(found.own[:4])
    try:
        return tuple(dict.fromkeys((*listed, str(ipaddress.ip_address(target.address)))))
    except ValueError:
        return listed


def _tools(found: Found) -> list[tuple[str, bool]]:
    """Which tools to try, best first; the bridge family where the kernel has it."""
    tools = [("nft", True), ("nft", False)] if "nft" in found.tools else []
    needed = ("iptables-restore", "ip6tables-restore", "iptables-save", "ip6tables-save")
    return tools + ([("iptables", False)] if all(tool in found.tools for tool in needed) else [])


def _rehearsal(tool: str, paths: Paths, context: Context, *, bridge: bool) -> Probe:
    if tool == "nft":
        text = by_nft.creating(by_nft.tables(paths, stamp(context), bridge=bridge), bridge=bridge)
        fallback = by_nft.fallback_text(paths, context, bridge=bridge)
        return nft.rehearse(text, fallback, by_nft.INET, *((by_nft.BRIDGE,) if bridge else ()))
    comment = stamp(context)
    four, six = (by_iptables.chains(paths, comment, version) for version in (4, 6))
    return iptables.rehearse((four, six), by_iptables.fallback_texts(paths, context))


def _rules(
    tool: str, options: Options, found: Found, context: Context, listing: dict[str, str], *, bridge: bool
) -> HostRules:
    if tool == "nft":
        return by_nft.rules(
            found.paths,
            context,
            before=found.tables,
            after=listing["listing"],
            fallen=listing["fallback"],
            bridge=bridge,
            reopen=options.reopen,
        )
    return by_iptables.rules(
        found.paths,
        context,
        before=found.chains,
        after=listing["listing"],
        fallen=listing["fallback"],
        reopen=options.reopen,
    )


def _already(plan: Plan, scene: Scene, found: Found) -> Plan:
    """An isolation is there. Ours: nothing to do. Anybody else's: refused, with its name."""
    target, context = scene.target, scene.context
    whose = nft.stamp(found.tables or found.chains)
    if not whose:
        raise HeldByOther(
            f"{target.name} carries an isolation that remedy did not place",
            hint="look at it with `nft list table inet remedy_isolation`; nothing was changed",
        )
    owner = f"incident {whose.get('incident', '?')}, run {whose.get('run', '?')}"
    if whose.get("state") == "fallback":
        raise HeldByOther(
            f"the dead-man timer of {owner} has fired on {target.name}: cut off, but sshd is open to everybody",
            hint=f"`remedy release {target.name}` and isolate again: for that moment the host is open",
        )
    if whose.get("incident") != context.incident:
        raise HeldByOther(
            f"{target.name} is already isolated by {owner}",
            hint=f"`remedy incident show {whose.get('incident', '?')}`, or `remedy release {target.name}` first",
        )
    proven = tuple(expect for expect in scene.options.proven if expect.layer == "host")
    if not proven:
        raise HeldByOther(
            f"{target.name} is already isolated by {owner}, which this record does not know",
            hint="use the record it was isolated with (--record), or release it first",
        )
    facts = canonical({"by": whose.get("run", "")}).decode()
    notes = (f"already isolated by {owner}",)
    return replace(plan, expects=proven, notes=notes, facts=facts)


def _refuse_leftovers(target: Target, found: Found) -> None:
    there = [path for path, state in found.files.items() if state != "absent:"]
    if there:
        raise TargetUnfit(
            f"files of an isolation are on {target.name} without its rules: {', '.join(there)}",
            hint=f"`remedy release {target.name}` takes them away; then isolate again",
        )
    if found.facts["free_kib"] == "full":
        raise TargetUnfit(
            f"the disk of {target.name} is full: the rules could not be kept across a reboot",
            hint="free some space below /etc, then try again",
        )


def _refuse_self(target: Target, answers: Sequence[object]) -> list[str]:
    """Never isolate the machine that remedy runs on; returns its addresses. Its question is always the first.

    Only the address that is dialled counts: bridges of containers have the same address on every host.
    """
    first = answers[0]
    if not isinstance(first, tuple):
        raise Refused(f"the controller cannot name its own addresses: {first}", hint="install iproute2 here")
    own = cast("list[str]", first[1])
    if target.address in own or _is_loopback(target.address):
        raise Refused(
            f"{target.name} is this very machine ({target.address}): remedy would cut itself off",
            hint="run remedy from another host",
        )
    return own


def _unknown_client(target: Target, site: Site, found: Found, controller: Sequence[str]) -> list[str]:
    """The management path is what the target says it is: an address nobody else knows may be the intruder's own."""
    out = []
    known = [*site.management, *controller, *(hop.address for hop in target.jump)]
    client = ipaddress.ip_address(found.client)
    nets = [ipaddress.ip_network(text, strict=False) for text in known if _is_address(text)]
    if not any(client.version == net.version and client in net for net in nets):
        out.append(
            f"{target.name} says that it sees us as {client}, which nobody else knows: address translation, or a lie; "
            "name the address in remedy_management"
        )
    if found.paths.port != target.port:
        out.append(
            f"{target.name} says that sshd's port is {found.paths.port}, not {target.port}: both cannot be right"
        )
    return out


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _namespaces(found: Found) -> tuple[str, ...]:
    if found.facts["namespaces"] == "one":
        return ()
    return ("other network namespaces are on the host: one with a NIC of its own (macvlan, SR-IOV) is not covered",)


def _impact(target: Target, site: Site, found: Found) -> tuple[str, ...]:
    allowed = [ipaddress.ip_network(a) for a in found.paths.management]
    strangers = [
        f
        for f in found.flows
        if not (f[1] == found.paths.port and any(ipaddress.ip_address(f[2]) in net for net in allowed))
    ]
    lines = [site.impact] if site.impact else []
    if found.listening:
        lines.append(f"listening on {target.name}: TCP {', '.join(map(str, found.listening))}")
    if strangers:
        shown = ", ".join(f"{f[2]}:{f[3]}" for f in strangers[:_MOST_FLOWS_SHOWN])
        more = f" and {len(strangers) - _MOST_FLOWS_SHOWN} more" if len(strangers) > _MOST_FLOWS_SHOWN else ""
        lines.append(f"ends {len(strangers)} live sessions: {shown}{more}")
    return tuple(lines)
