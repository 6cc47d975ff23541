"""The values everything is said in: commands, questions, changes, expectations, plans.

Decides what a plan is made of. Every value is frozen, comparable, hashable, printable and storable as JSON
(`core.canon`), so that showing, approving, sending, verifying, undoing and recording are written once, over values.
Leaves to others: how a command reaches a target (transports) and when (the engine).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Final

from remedy.core.canon import DECODED_FROM, FORMAT, Json, canonical, digest, encode

_WORD: Final = re.compile(r"[A-Za-z0-9-]{0,64}")

#: Format of plans, in files and in the record. Raised with every field that is added to the dataclasses of a plan, so
#: that an older version can say that it is older. A field that is there neither goes nor changes its meaning, and a new
#: one has a default under which an old plan means what it meant: a run begun before an update is resumed after it.
PLAN_SCHEMA = 4


@dataclass(frozen=True, slots=True)
class Command:
    """One program run on a target: an argument vector and standard input, never a joined shell line.

    `stdin` is text (sent as UTF-8). `root` asks for the target's elevation (sudo) when the login is not root.
    `seconds` bounds the whole run.
    """

    argv: tuple[str, ...]
    stdin: str = ""
    root: bool = True
    seconds: int = 30


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from one command. Bytes are as received and hostile; `truncated` says the cap was hit."""

    status: int
    out: bytes = b""
    err: bytes = b""
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Probe:
    """A read-only question: a command, and the name of the pure parser that turns its reply into JSON.

    `parser` is `module.function` below `remedy.probes`, or `module.function:DATA` for a parser that has to know what
    was asked; nothing else can be named (a plan file cannot call other code).
    """

    command: Command
    parser: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A stream from one place to another, hashed on the way: a backup taken, loaded or compared.

    `kind` names what is done (`remedy.backups.transfers`), `spec` is the canonical JSON of its options.
    """

    kind: str
    spec: str


@dataclass(frozen=True, slots=True)
class Change:
    """One step: why, where, the very bytes sent, and how it is taken back.

    With a `transfer` the step is a stream that remedy carries itself; `do` is then what an administrator would type.

    `seen` asks what is there now. `before` is the canonical JSON of its answer before the step (the pre-image),
    `after` of its answer when the step has worked, `halfway` (if given) of its answer when it was broken off: then it
    is sent again, or taken back. Any other answer means that somebody else was here.
    `undo` is None only for steps that leave nothing behind. A step that is not `essential` may fail without
    stopping the run; the outcome then says so. `again` puts the step back after somebody has tampered with it
    (`do` where it is None). A step of `Plan.keep` that `repeats` is also sent after the run was taken back: what saves
    a device's configuration. `guard` is a timer of the step's own, where it is done elsewhere than at the target:
    armed before it, ended when it was read back over a fresh login, and `reaching` (if given) still lets us in.
    """

    why: str
    at: str
    do: Command
    undo: Command | None = None
    seen: Probe | None = None
    before: str = ""
    after: str = ""
    essential: bool = True
    layer: str = "host"
    again: Command | None = None
    transfer: Transfer | None = None
    halfway: str = ""
    repeats: bool = False
    guard: Guard | None = None
    reaching: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the containment certificate: from where, to where, how, and what was seen before.

    `direction` is "in" (towards the target), "out" (from it), "loopback", or "witness": from a vantage to somebody
    else, which has to answer afterwards too, or the vantage has lost its own way and its silence proves nothing.
    `family` is "IPv4" or "IPv6", `protocol` "TCP", "UDP" or "DNS". `control` is the positive control: the state seen
    before the change (`REACHED`); an address that never answered proves nothing and gets no cell.
    """

    vantage: str
    role: str
    direction: str
    family: str
    protocol: str
    address: str
    port: int
    control: str


#: What a reachability probe can answer. `refused` is an answer of the far end too: a reset or an ICMP port unreachable.
REACHED: Final = frozenset({"open", "refused"})
BLOCKED: Final = frozenset({"silent", "prohibited"})


@dataclass(frozen=True, slots=True)
class Expect:
    """Something that must hold afterwards, asked from where it must hold.

    `at` is the host asked. `wanted` is the canonical JSON of the right answer; with `cells` it is a list of
    "reached" or "blocked", one per cell, and the probe answers one state per cell. `fresh` demands a new login.
    """

    why: str
    at: str
    probe: Probe
    wanted: str
    fresh: bool = False
    cells: tuple[Cell, ...] = ()
    layer: str = "host"

    def holds(self, answer: Json) -> bool:
        """Whether the answer is the wanted one."""
        if not self.cells:
            return canonical(answer).decode() == self.wanted
        return bool(self.cells) and all(self.cell_holds(answer))

    def cell_holds(self, answer: Json) -> tuple[bool, ...]:
        """Whether each cell has the wanted state; a missing or unknown state never holds."""
        want = json.loads(self.wanted)
        states = answer if isinstance(answer, list) else []
        states = states + [None] * (len(self.cells) - len(states))
        return tuple(
            state in (REACHED if wish == "reached" else BLOCKED) for wish, state in zip(want, states, strict=False)
        )


@dataclass(frozen=True, slots=True)
class Guard:
    """A dead-man timer on the target. Armed before the first change, disarmed over a fresh connection.

    If nobody disarms it within `seconds`, it runs its fallback by itself. `state` answers "armed" or "off", or
    "unknown" where nothing can say; `seen` answers `fallen` (canonical JSON) once the fallback has run. `again` starts
    one that runs already anew, keeping what it falls back to (`arm` where it is None).
    """

    why: str
    at: str
    seconds: int
    arm: Command
    disarm: Command
    state: Probe
    seen: Probe
    fallen: str
    again: Command | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Exactly what one action would do to one target, computed from live facts.

    `changes` run in order under the guard; `keep` runs after the guard is disarmed (what makes it permanent).
    `expects` are asked last. `on_failure` is "keep" (containment fails closed) or "undo".
    `unproven` lists what the certificate cannot show, `impact` what is cut off, `card` the manual undo.
    `facts` is the canonical JSON of what was read: a plan whose facts no longer hold is stale.
    """

    action: str
    target: str
    run: str
    incident: str
    anchor: str
    params: str
    changes: tuple[Change, ...] = ()
    keep: tuple[Change, ...] = ()
    expects: tuple[Expect, ...] = ()
    guard: Guard | None = None
    on_failure: str = "undo"
    impact: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    card: tuple[str, ...] = ()
    facts: str = "{}"
    schema: int = field(default=PLAN_SCHEMA, metadata=FORMAT)
    _document: str = field(default="", init=False, repr=False, compare=False, metadata=DECODED_FROM)

    @property
    def hash(self) -> str:
        """SHA-256 of the plan's canonical JSON: what an approval is bound to.

        Of a plan that was read, it is that of the document: one from before a field was added keeps its hash.
        """
        return self._document or digest(encode(self))

    @property
    def effect(self) -> str:
        """SHA-256 of what would be sent: neither what else is said of it, nor the proof, which is taken anew.

        Else whoever opens and closes a port on the target could keep a plan stale for ever.
        """
        return digest(encode(replace(self, impact=(), notes=(), expects=(), unproven=())))

    @property
    def is_noop(self) -> bool:
        """True when the world already is as the action wants it."""
        return not (self.changes or self.keep)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret by reference, resolved when it is needed. Its text and repr never show the value."""

    reference: str
    value: str = field(default="", repr=False)

    def __str__(self) -> str:
        """The reference alone."""
        return f"<secret {self.reference}>"


@dataclass(frozen=True, slots=True)
class Target:
    """A host of the inventory, with what it takes to log in and what policy says about it.

    `port` is TCP. `jump` is a chain of hosts to go through, nearest first. `vars` is the canonical JSON of all
    inventory variables of the host, secrets left out. Secrets are `Secret`s.
    """

    name: str
    address: str
    port: int = 22
    user: str = "root"
    key_file: str = ""
    known_hosts: str = ""
    password: Secret | None = None
    become: bool = False
    become_password: Secret | None = None
    jump: tuple[Target, ...] = ()
    groups: tuple[str, ...] = ()
    vars: str = "{}"


@dataclass(frozen=True, slots=True)
class Vantage:
    """A host that may be asked to probe others. `role` is "management", "peer" or "outside".

    `addresses` and `ports` (TCP) are where it answers itself: the other vantages' witness.
    """

    name: str
    role: str
    addresses: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """What the inventory knows around one target: the inputs of an action besides live facts.

    `addresses` are the target's own, `management` the addresses or prefixes that must keep reaching it,
    `canaries` hosts beyond the perimeter that the target could reach until now. Ports are TCP or UDP numbers.
    `unreachable_from` are roles of vantages that the inventory says never reached the target.
    """

    addresses: tuple[str, ...] = ()
    management: tuple[str, ...] = ()
    vantages: tuple[Vantage, ...] = ()
    probe_tcp: tuple[int, ...] = ()
    probe_udp: tuple[int, ...] = ()
    canaries: tuple[str, ...] = ()
    canary_tcp: tuple[int, ...] = ()
    canary_udp: tuple[int, ...] = ()
    resolvers: tuple[str, ...] = ()
    impact: str = ""
    unreachable_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What is chosen once, before planning, so that planning twice gives the same plan.

    `anchor` is the first 16 hex digits of the record's head: it goes into every artefact left behind. All three are
    written into rules and comments: raises ValueError when one holds anything but letters, digits and hyphens.
    """

    run: str
    incident: str
    anchor: str

    def __post_init__(self) -> None:
        """Refuse what could be taken for part of a rule."""
        for text in (self.run, self.incident, self.anchor):
            if not _WORD.fullmatch(text):
                msg = f"{text[:80]!r} cannot stand in a comment: letters, digits and hyphens only"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the incident record, as committed."""

    seq: int
    hash: str
    prev: str
    time: str
    kind: str
    incident: str
    run: str
    key: str
    body: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one `Expect`: did it hold, and what was answered instead."""

    expect: Expect
    held: bool
    answer: str
    error: str = ""


def wanted(value: Json) -> str:
    """The text form in which `Expect.wanted`, `Change.before` and `Change.after` keep a JSON value."""
    return canonical(value).decode()
