"""What a packet filter must offer so that a host can be isolated with it.

A backend (one file each: `nft`, `iptables`) gives texts; `HostRules` is those texts together with what the target's
own tool says they will look like. The isolation itself does not know which backend it uses.
"""

from __future__ import annotations

from dataclasses import dataclass

from remedy.core.values import Command, Context, Probe


@dataclass(frozen=True, slots=True)
class HostRules:
    """The isolation of one host, ready to be planned.

    `apply` loads it at once or not at all and fails when it is already there; `again` replaces whatever is left of it;
    `remove` takes exactly it away.
    `seen` shows what is loaded: `before` now, `after` once applied, `fallen` once the timer has fired.
    `fallback` is what the timer runs. `boot` is the text that `loader` feeds itself from `boot_path` at boot;
    it replaces whatever is there. `card` are the commands that remove the rules by hand.
    """

    tool: str
    apply: Command
    again: Command
    remove: Command
    seen: Probe
    before: str
    after: str
    fallen: str
    fallback: Command
    boot: str
    boot_path: str
    loader: str
    card: tuple[str, ...]
    notes: tuple[str, ...] = ()


def stamp(context: Context, state: str = "") -> str:
    """The comment left in the first rule: whose it is, and the record's head at that time (cross-anchoring)."""
    words = f"remedy incident={context.incident} run={context.run} anchor={context.anchor}"
    return f"{words} state={state}" if state else words
