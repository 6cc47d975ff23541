"""The values everything is said in: commands, questions, changes, expectations, plans.

Decides what a plan is made of. Every value is frozen, comparable, hashable, printable and storable as JSON
(`core.canon`), so that showing, approving, sending, verifying, undoing and recording are written once, over values.
Leaves to others: how a command reaches a target (transports) and when (the engine).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from remedy.core.canon import Json, canonical, digest, encode

#: Format of plan files. Raised on any change of the dataclasses below; other versions are refused, not guessed at.
PLAN_SCHEMA = 1


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

    `parser` is `module.function` below `remedy.probes`; nothing else can be named (a plan file cannot call other code).
    """

    command: Command
    parser: str


@dataclass(frozen=True, slots=True)
class Change:
    """One step: why, where, the very bytes sent, and how it is taken back.

    `undo` is None only for steps that leave nothing behind. `seen` asks whether the step's effect is there;
    `seen_value` is the canonical JSON of the answer when it is. `resume` uses it to settle a step in doubt.
    """

    why: str
    at: str
    do: Command
    undo: Command | None = None
    seen: Probe | None = None
    seen_value: str = ""
    layer: str = "host"


@dataclass(frozen=True, slots=True)
class Expect:
    """Something that must hold afterwards, asked from where it must hold.

    `at` is the host asked. `wanted` is the canonical JSON of the right answer. `fresh` demands a new login.
    `gate` marks what must hold before the dead-man timer is disarmed. `control` is the positive control seen
    before the change: an unreachable port without one proves nothing. `cell` places the answer in the
    certificate: (vantage, direction, family, protocol, address, port).
    """

    why: str
    at: str
    probe: Probe
    wanted: str
    fresh: bool = False
    gate: bool = False
    control: str = ""
    cell: tuple[str, ...] = ()
    layer: str = "host"


@dataclass(frozen=True, slots=True)
class Guard:
    """A dead-man timer on the target. Armed before the first change, disarmed over a fresh connection.

    If nobody disarms it within `seconds`, it runs the fallback by itself. `state` answers "armed", "fired" or "off".
    """

    why: str
    at: str
    seconds: int
    arm: Command
    disarm: Command
    state: Probe
    fallback: str


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
    schema: int = PLAN_SCHEMA

    @property
    def hash(self) -> str:
        """SHA-256 of the plan's canonical JSON: what an approval is bound to."""
        return digest(encode(self))

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
    """The text form in which `Expect.wanted` and `Change.seen_value` keep a JSON value."""
    return canonical(value).decode()
