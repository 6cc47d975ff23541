r"""The steps of a collection: data files, one per subject, found by walking this folder.

Decides what a step file may say and which steps a profile has. Leaves to others: running them (`transports.collecting`)
and what became of each (`evidence.ledger`).

    # 21-sockets.yml: the number is its place in the order of volatility (RFC 3227, section 2.1), the rest its name
    title: Sockets with their processes
    why: Says which process has which connection, in one glance.
    profiles: [triage, web, database]     every step is in `full`
    root: better                          needed, better or no (the default): what is lost without root
    kind: text                            text (the default), tar, or bytes
    seconds: 60                           the step as a whole
    idle: 30                              without a byte (the default)
    cap: 64M                              bytes of output; the rest is not taken, and the ledger says so
    run: |                                shell for dash, bash and busybox; prelude.sh says what there is besides
      have ss || exit 66
      ss -anpoe

Further keys: `expand`, a script that prints numbers, for each of which `run` is run with that number as $1; `places`,
arguments of `run`; `appends: true`, of a tar of `places` whose files only grow (`--resume` goes on with them);
`at: outside`, of a step that is asked of somebody else about the host, whose address is $1, and the ports its services
answer on the other arguments; `check`, the name of an analysis of the output (`CHECKS`). Unknown keys are errors.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from remedy.core.errors import UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

#: What can be asked for, in the order of --help. `full` has every step.
PROFILES: Final = ("triage", "web", "database", "full")
ROOT: Final = ("no", "better", "needed")
#: Who is asked.
AT: Final = ("host", "outside")
#: What comes out of a step, and what its file in a bag ends with. All but text is kept compressed.
KINDS: Final = {"text": ".out", "tar": ".tar.zst", "bytes": ".bin.zst"}
#: Analyses made of an output while it comes in.
CHECKS: Final = ("hidden",)
#: How often `run` is run at most, for the numbers that `expand` prints.
MOST_NUMBERS: Final = 64

_FILE: Final = re.compile(r"([0-9]{2})-([a-z][a-z0-9-]{0,40})\.yml")
_SIZE: Final = re.compile(r"([1-9][0-9]{0,4})([kMGT]?)")
_UNITS: Final = {"": 1, "k": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_LONGEST: Final = 24 * 3600
_IDLE: Final = 30
_HINT: Final = "docs/reference/evidence-steps.md says what a step file may hold"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to ask a host for. `order` is its number, `seconds` and `idle` in seconds, `cap` in bytes."""

    order: int
    name: str
    title: str
    why: str
    profiles: tuple[str, ...]
    run: str
    seconds: int
    cap: int
    root: str = "no"
    kind: str = "text"
    idle: int = _IDLE
    expand: str = ""
    places: tuple[str, ...] = ()
    appends: bool = False
    check: str = ""
    at: str = "host"

    @property
    def suffix(self) -> str:
        """What the file of its output ends with."""
        return KINDS[self.kind]


def chosen(profile: str) -> tuple[Step, ...]:
    """The steps of a profile, in order. Raises UsageError for an unknown one."""
    if profile not in PROFILES:
        raise UsageError(f"no profile is called {profile!r}", hint=f"the profiles are {', '.join(PROFILES)}")
    return tuple(step for step in registered() if profile == "full" or profile in step.profiles)


@functools.cache
def registered() -> tuple[Step, ...]:
    """Every step there is, in order. Raises UsageError, naming file and key, for a file that is none."""
    return load(resources.files(__name__))


@functools.cache
def prelude() -> str:
    """The shell that every step begins with."""
    return resources.files("remedy.evidence").joinpath("prelude.sh").read_text(encoding="utf-8")


def load(folder: Traversable) -> tuple[Step, ...]:
    """The steps of a folder, in order. Raises UsageError as `read`, and when two have one name."""
    found: dict[str, Step] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith((".yml", ".yaml")):
            continue
        step = read(file.name, file.read_text(encoding="utf-8"))
        if step.name in found:
            raise UsageError(f"there is another step called {step.name!r}", where=file.name, hint=_HINT)
        found[step.name] = step
    return tuple(sorted(found.values(), key=lambda step: (step.order, step.name)))


def read(file: str, text: str) -> Step:
    """One step, from the name and the text of its file. Raises UsageError, naming file and key."""
    import yaml  # noqa: PLC0415 -- start-up time of commands that need no steps

    name = _FILE.fullmatch(file)
    if not name:
        raise UsageError("is no name of a step", where=file, hint="NN-subject.yml, NN being its place in the order")
    try:
        data = yaml.load(text, Loader=_strict())  # noqa: S506 -- SafeLoader's values, stricter
    except yaml.YAMLError as error:
        raise UsageError(f"is no YAML: {' '.join(str(error).split())}", where=file, hint=_HINT) from error
    if not isinstance(data, dict):
        raise UsageError("a map of keys and values is expected", where=file, hint=_HINT)
    return _Reader(file, data).step(int(name[1]), name[2])


def _strict() -> Any:  # noqa: ANN401 -- a class of a module imported late
    """YAML's plain values, and no key twice."""
    import yaml  # noqa: PLC0415

    class Strict(yaml.SafeLoader):
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- PyYAML's
            keys = [key.value for key, _ in node.value]
            if twice := next((key for key in keys if keys.count(key) > 1), None):
                raise yaml.constructor.ConstructorError(None, None, f"{twice!r} stands there twice", node.start_mark)
            return super().construct_mapping(node, deep)

    return Strict


class _Reader:
    """Takes the keys of one file, one after the other; what is left over is unknown."""

    def __init__(self, file: str, data: dict[Any, Any]) -> None:
        self._file, self._data = file, dict(data)

    def step(self, order: int, name: str) -> Step:
        step = Step(
            order=order,
            name=name,
            title=self._text("title"),
            why=" ".join(self._text("why").split()),
            profiles=self._words("profiles", PROFILES[:-1]),
            run=self._text("run"),
            seconds=self._number("seconds"),
            cap=self._size("cap"),
            root=self._one("root", ROOT),
            kind=self._one("kind", tuple(KINDS)),
            idle=self._number("idle", _IDLE),
            expand=self._text("expand", ""),
            places=self._words("places"),
            appends=self._flag("appends"),
            check=self._one("check", ("", *CHECKS)),
            at=self._one("at", AT),
        )
        if self._data:
            unknown = next(iter(self._data))
            raise self._wrong(unknown, "is no key of a step")
        if "\n" in step.title:
            raise self._wrong("title", "is one line")
        if step.appends and (step.kind != "tar" or not step.places):
            raise self._wrong("appends", "goes with `kind: tar` and `places`")
        if step.at == "outside" and (step.root != "no" or step.expand or step.places):
            raise self._wrong("at", "outside goes without `root`, `expand` and `places`")
        if step.check and step.kind != "text":
            raise self._wrong("check", "goes with `kind: text`")
        return step

    def _wrong(self, key: object, why: str) -> UsageError:
        return UsageError(f"{key}: {why}", where=self._file, hint=_HINT)

    def _text(self, key: str, default: str | None = None) -> str:
        value = self._data.pop(key, default)
        if value is None:
            raise self._wrong(key, "is missing")
        if not isinstance(value, str) or "\0" in value or (default is None and not value.strip()):
            raise self._wrong(key, "text is expected")
        return value

    def _one(self, key: str, allowed: tuple[str, ...]) -> str:
        value = self._data.pop(key, allowed[0])
        if value is False and "no" in allowed:  # YAML 1.1 takes a bare no for false
            value = "no"
        if value not in allowed:
            raise self._wrong(key, f"is one of {', '.join(filter(None, allowed))}")
        return str(value)

    def _words(self, key: str, allowed: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self._data.pop(key, [])
        if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
            raise self._wrong(key, "a list of words is expected")
        if allowed and (strange := [word for word in value if word not in allowed]):
            raise self._wrong(key, f"{strange[0]!r} is none of {', '.join(allowed)} (every step is in full)")
        if not allowed and (strange := [word for word in value if not word.startswith("/")]):
            raise self._wrong(key, f"{strange[0]!r} does not begin with /")
        return tuple(value)

    def _number(self, key: str, default: int | None = None) -> int:
        value = self._data.pop(key, default)
        if value is None:
            raise self._wrong(key, "is missing")
        if type(value) is not int or not 0 < value <= _LONGEST:
            raise self._wrong(key, f"a number of seconds from 1 to {_LONGEST} is expected")
        return value

    def _size(self, key: str) -> int:
        value = self._data.pop(key, None)
        found = _SIZE.fullmatch(str(value))
        if value is None or not found:
            raise self._wrong(key, "a number of bytes is expected, as 64M or 2G")
        return int(found[1]) * _UNITS[found[2]]

    def _flag(self, key: str) -> bool:
        value = self._data.pop(key, False)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false is expected")
        return value
