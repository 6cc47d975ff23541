"""Makes a device's rules hold: nftables rules of the network namespace it runs in.

Decides what a stage, a group and a blocked source become there (nft(8), "CHAINS", "SETS", "CT"). Leaves to others:
what is wanted (the face), when (`device`), and a switch's ports (`switching`).

One table of the device's own, before every other filter; other tables stay as they are. A change is one transaction:
no packet meets half of it, and when it fails the old rules stand. Counters live as long as what they count.

    chain forward {
      type filter hook forward priority filter - 10; policy accept;
      iifname "br-outside" meta protocol ip jump s0-forward
    }

Stateless devices (routers, switches) ask their stages about every packet. Stateful ones (firewalls) ask about every
packet in the direction in which the flow was opened, and let replies through: so a drop rule that is made while a flow
lives ends it with the next packet of whoever opened it, and from then on replies are dropped as well (the flow is
marked). A SecPath does that when its policy is accelerated. Sources in `Wanted.blocked` are cut off at once, both ways.

IPv6 neighbour discovery passes where nothing matches, as Cisco's lists permit it at their end; a rule that matches
stops it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from remedy.devices.acl import Endpoint, Rule
from remedy.devices.addresses import Span, merged
from remedy.lab.devices.enforce import Heard, Neighbour, Placed, Stage, Wanted
from remedy.lab.devices.switching import Ports, run

__all__ = ["Nft"]

#: The mark of a flow whose opener was refused.
_REFUSED: Final = "0x72656d64"
#: How often a switch looks for cables that were plugged in, in seconds.
_GLANCE: Final = 0.2
_FAMILIES: Final = ((4, "ip"), (6, "ip6"))
_DISCOVERY: Final = (
    "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } return"
)
#: Words of a rule beyond addresses and ports that are understood; a rule with any other never matches.
_REST: Final = {
    (): "",
    ("established",): "tcp flags & (ack | rst) != 0",
    ("icmp-type", "echo"): "icmp type echo-request",
    ("echo",): "icmp type echo-request",
    ("echo-reply",): "icmp type echo-reply",
    ("unreachable",): "icmp type destination-unreachable",
    ("time-exceeded",): "icmp type time-exceeded",
    ("nd-na",): "icmpv6 type nd-neighbor-advert",
    ("nd-ns",): "icmpv6 type nd-neighbor-solicit",
}


class Nft:
    """An `Enforcer`.

    `interfaces` maps the device's own names to those of the namespace; what is not in it has no packets. The rules of
    a `switch` are met by what its bridges forward.
    """

    def __init__(self, table: str, interfaces: Mapping[str, str], *, switch: bool = False) -> None:
        """Nothing is enforced yet; a table of that name which is there already is replaced by the first change."""
        self._table = f"{'bridge' if switch else 'inet'} {table}"
        self._interfaces = dict(interfaces)
        self._names = {there: own for own, there in self._interfaces.items()}
        self._ports = Ports(self._interfaces) if switch else None
        self._before: _Script | None = None
        self._watching: asyncio.Task[None] | None = None
        self._wanted = Wanted()
        self._keys: dict[str, str] = {}

    async def enforce(self, wanted: Wanted) -> None:
        """Make exactly this hold. Raises OSError with what nft(8) said; the rules before stay in force then."""
        script = _Script(wanted, self._interfaces, switch=self._ports is not None)
        try:
            if script != self._before:
                try:
                    await run("nft", "-f", "-", stdin=script.text(self._table, self._before))
                except OSError:
                    if self._before is None:
                        raise
                    # somebody else has changed the table: make it anew
                    await run("nft", "-f", "-", stdin=script.text(self._table, None))
        except OSError:
            self._before = None
            raise
        self._before = script
        self._keys = script.keys
        self._wanted = wanted
        if self._ports is not None:
            await self._ports.apply(wanted.ports)
            if self._watching is None:
                self._watching = asyncio.create_task(self._watch(self._ports))

    async def _watch(self, ports: Ports) -> None:
        """Put cables that are plugged in later where they belong."""
        before: list[tuple[int, str]] = []
        while True:
            await asyncio.sleep(_GLANCE)
            found = socket.if_nameindex()
            if found != before:
                try:
                    await ports.apply(self._wanted.ports)
                except OSError:
                    continue  # pulled out again meanwhile
                before = found

    async def hits(self) -> Mapping[str, int]:
        """Packets met by each rule under its key; by each blocked source under `blocked:ADDRESS`."""
        if self._before is None:
            return {}
        found: dict[str, int] = {}
        listed = json.loads(await run("nft", "-j", "list", "table", *self._table.split()))["nftables"]
        for entry in listed:
            if "counter" in entry:
                found[self._keys.get(entry["counter"]["name"], "")] = int(entry["counter"]["packets"])
            elif "set" in entry and entry["set"]["name"].startswith("blocked"):
                for element in entry["set"].get("elem", ()):
                    found[f"blocked:{_element(element['elem']['val'])}"] = int(element["elem"]["counter"]["packets"])
        found.pop("", None)
        return found

    async def heard(self) -> tuple[Heard, ...]:
        """The bridges' tables, without the switch's own addresses; none for a router."""
        return await self._ports.heard() if self._ports is not None else ()

    async def neighbours(self) -> tuple[Neighbour, ...]:
        """The kernel's table of resolved addresses."""
        return tuple(
            Neighbour(entry["dst"], entry["lladdr"], self._names.get(entry["dev"], entry["dev"]))
            for entry in json.loads(await run("ip", "-j", "neighbour", "show") or "[]")
            if "lladdr" in entry and "FAILED" not in entry["state"]
        )

    async def links(self) -> Mapping[str, bool]:
        """Which interfaces have a carrier."""
        listed = json.loads(await run("ip", "-j", "link", "show"))
        up = {entry["ifname"] for entry in listed if "LOWER_UP" in entry["flags"]}
        return {own: there in up for own, there in self._interfaces.items()}


def _element(value: Any) -> str:  # noqa: ANN401 -- as nft's JSON has it
    if isinstance(value, dict) and "prefix" in value:
        return f"{value['prefix']['addr']}/{value['prefix']['len']}"
    return "-".join(value["range"]) if isinstance(value, dict) else str(value)


def _quoted(names: Iterable[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in names) + " }"


def _spans(spans: Iterable[Span], family: int) -> str:
    return ", ".join(str(span) for span in merged(s for s in spans if s.family == family))


class _Script:
    """What a table has to be: chains by name, sets by name with their elements, counters with their keys."""

    def __init__(self, wanted: Wanted, interfaces: Mapping[str, str], *, switch: bool = False) -> None:
        self.chains: dict[str, list[str]] = {"forward": [], "input": ['iifname "lo" accept'], "output": []}
        self.sets: dict[str, tuple[str, str]] = {}
        self.keys: dict[str, str] = {}
        self._wanted = wanted
        self._interfaces = interfaces
        self._switch = switch
        self._drop = f"ct mark set {_REFUSED} drop" if wanted.stateful else "drop"
        self._first(wanted)
        for hook in ("arriving", "policy", "leaving"):
            for number, stage in enumerate(wanted.stages):
                if stage.hook == hook:
                    self._stage(number, stage)
        if wanted.stateful:
            for chain in ("forward", "input"):
                self.chains[chain].append(f"ct mark {_REFUSED} ct mark set 0")

    def _first(self, wanted: Wanted) -> None:
        """What comes before every stage: blocked sources, and replies where sessions are known."""
        for family, word in _FAMILIES:
            self.sets[f"blocked{family}"] = (_type(family) + " counter;", _spans(wanted.blocked, family))
            for chain in ("forward", "input"):
                self.chains[chain].append(f"{word} saddr @blocked{family} drop")
            if wanted.stateful:
                for chain in ("forward", "output"):
                    self.chains[chain].append(f"ct original {word} saddr @blocked{family} drop")
        if wanted.stateful:
            for chain in ("forward", "input"):
                self.chains[chain] += [
                    f"ct direction reply ct mark {_REFUSED} drop",
                    "ct direction reply ct state established accept",
                    "ct state related accept",
                ]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Script) and (self.chains, self.sets) == (other.chains, other.sets)

    __hash__ = None  # type: ignore[assignment]

    def _stage(self, number: int, stage: Stage) -> None:
        where = [""]
        if stage.interface:
            if stage.interface not in self._interfaces:
                return
            side = "oifname" if stage.hook == "leaving" else "iifname"
            device = self._interfaces[stage.interface]
            # a trunk's cables are called after its port
            where = [f'{side} "{name}" ' for name in (device, f"{device}.*")[: 1 + self._switch]]
        protocol = "ip" if stage.family == 4 else "ip6"  # noqa: PLR2004
        chains = ("forward", "output") if stage.hook == "leaving" else ("forward", "input")
        for chain in chains:
            through = chain == "forward"
            lines = [line for placed in stage.rules for line in self._placed(placed, through=through)]
            default = stage.default if through else stage.to_device
            if default == "deny":
                lines += [_DISCOVERY] * (stage.family == 6) + [self._drop]  # noqa: PLR2004
            if not lines:
                continue
            name = f"s{number}-{chain}"
            self.chains[name] = lines
            self.chains[chain] += [f"{met}meta protocol {protocol} jump {name}" for met in where]

    def _placed(self, placed: Placed, *, through: bool) -> Iterator[str]:
        if placed.reaches == ("device" if through else "through") or not placed.rule.enabled:
            return
        words = []
        for side, names in (("iifname", placed.arriving), ("oifname", placed.leaving)):
            known = [self._interfaces[name] for name in names if name in self._interfaces]
            if names and not known:
                return
            if names and (through or side == "iifname"):
                words.append(f"{side} {_quoted(known)}")
        matching = self._rule(placed.rule)
        if matching is None:
            return
        counter = "c" + hashlib.sha256(placed.key.encode()).hexdigest()[:20]
        self.keys[counter] = placed.key
        verdict = self._drop if placed.rule.action == "deny" else "return"
        yield " ".join([*words, *matching, f'counter name "{counter}"', verdict])

    def _rule(self, rule: Rule) -> list[str] | None:
        """What a packet must be like; None when no packet can be like that."""
        if rule.rest not in _REST:
            return None
        words = []
        protocol = {"ip": "", "icmpv6": "ipv6-icmp"}.get(rule.protocol, rule.protocol)
        if protocol:
            words.append(f"meta l4proto {protocol}")
        for side, endpoint, which in (("saddr", rule.source, "sport"), ("daddr", rule.destination, "dport")):
            address = self._endpoint(endpoint, rule.family, side)
            if address is None:
                return None
            words += address
            if endpoint.ports and protocol in {"tcp", "udp"}:
                ports = ", ".join(f"{low}-{high}" if low != high else str(low) for low, high in endpoint.ports)
                words.append(f"{protocol} {which} {{ {ports} }}")
        rest = _REST[rule.rest]
        if rest.startswith("icmp type") and rule.family == 6:  # noqa: PLR2004
            rest = rest.replace("icmp type", "icmpv6 type")
        return [*words, *([rest] if rest else [])]

    def _endpoint(self, endpoint: Endpoint, family: int, side: str) -> list[str] | None:
        word = "ip" if family == 4 else "ip6"  # noqa: PLR2004
        if endpoint.group:
            if endpoint.group not in self._wanted.groups:
                return None
            name = f"g{family}-" + hashlib.sha256(endpoint.group.encode()).hexdigest()[:20]
            if name not in self.sets:
                self.sets[name] = (_type(family), _spans(self._wanted.groups[endpoint.group], family))
            return [f"{word} {side} @{name}"]
        if not endpoint.spans:
            return []
        if any(span.is_everything for span in endpoint.spans):
            return []
        listed = _spans(endpoint.spans, family)
        return [f"{word} {side} {{ {listed} }}"] if listed else None

    def text(self, table: str, before: _Script | None) -> str:
        """The transaction that makes the table this, from what it was, or from anything."""
        lines = [f"add table {table}"]
        if before is None:
            lines += [f"delete table {table}", f"add table {table}"]
        same = before is not None and self.chains == before.chains
        if not same:
            for name in self.keys:
                if before is None or name not in before.keys:
                    lines.append(f"add counter {table} {name}")
        lines += self._filled(table, before)
        if not same:
            lines += self._rechained(table, before)
        return "\n".join(lines) + "\n"

    def _filled(self, table: str, before: _Script | None) -> Iterator[str]:
        """The sets: made, and their elements changed."""
        old = before.sets if before else {}
        for name, (kind, listed) in self.sets.items():
            if name not in old:
                yield f"add set {table} {name} {{ {kind} }}"
            gone, come = _change(old.get(name, ("", ""))[1], listed, whole=not name.startswith("blocked"))
            if gone == "*":
                yield f"flush set {table} {name}"
            elif gone:
                yield f"delete element {table} {name} {{ {gone} }}"
            if come:
                yield f"add element {table} {name} {{ {come} }}"

    def _rechained(self, table: str, before: _Script | None) -> Iterator[str]:
        """The chains anew; sets and counters that are needed no longer go last."""
        old = before.chains if before else {}
        if before is not None:
            yield f"flush table {table}"
        for name in self.chains:
            if name not in old:
                hook = f" {{ type filter hook {name} priority filter - 10; policy accept; }}" if "-" not in name else ""
                yield f"add chain {table} {name}{hook}"
        for name, rules in self.chains.items():
            for rule in rules:
                yield f"add rule {table} {name} {rule}"
        if before is not None:
            for name in set(old) - set(self.chains):
                yield f"delete chain {table} {name}"
            for name in set(before.sets) - set(self.sets):
                yield f"delete set {table} {name}"
            for name in set(before.keys) - set(self.keys):
                yield f"delete counter {table} {name}"


def _type(family: int) -> str:
    return f"type ipv{family}_addr; flags interval;"


def _change(old: str, new: str, *, whole: bool) -> tuple[str, str]:
    """Elements to take out ("*": all) and to put in; those that stay keep their counters unless it is `whole`."""
    if old == new:
        return "", ""
    if whole:
        return "*" if old else "", new
    before, after = old.split(", ") if old else [], new.split(", ") if new else []
    return ", ".join(e for e in before if e not in after), ", ".join(e for e in after if e not in before)
