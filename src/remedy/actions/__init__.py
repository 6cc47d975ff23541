"""Actions: one function each that reads and returns a plan. One file an action, found by walking the folder.

A module of this package that holds an action names its class in `ACTION`: a frozen dataclass whose fields are the
action's options, with a `name` and a `plan(target, site, context, reader) -> Plan` that only reads.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Protocol, cast, runtime_checkable

from remedy.core.canon import Json, canonical, decode, encode
from remedy.core.errors import PlanFileError
from remedy.core.ports import Reader
from remedy.core.values import Context, Plan, Site, Target


@runtime_checkable
class Action(Protocol):
    """Something remedy can do. `plan` is called at least twice: to show, and again just before applying."""

    @property
    def name(self) -> str:
        """The action's name, as on the command line."""
        ...

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:
        """Look at the world and return what would be done. Raises Refused, Unreachable, AnswerUnusable."""
        ...


def registered() -> dict[str, type[Action]]:
    """Every action of the folder, by name."""
    found: dict[str, type[Action]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        kind = getattr(importlib.import_module(f"{__name__}.{module.name}"), "ACTION", None)
        if kind is not None:
            found[kind.name] = kind
    return found


def params(action: Action) -> str:
    """The action's options as canonical JSON, kept in its plan."""
    return canonical(encode(action)).decode()


def begin(action: Action, target: Target, context: Context) -> Plan:
    """The plan of an action before anything is in it: whose it is, and with which options it was made."""
    return Plan(action.name, target.name, context.run, context.incident, context.anchor, params(action))


def build(name: str, text: str) -> Action:
    """The action a plan was made with. Raises PlanFileError when the plan names none, or options it does not have."""
    kind = registered().get(name)
    if kind is None:
        raise PlanFileError(f"no action is called {name!r}", hint="a plan from another version, or edited by hand")
    try:
        data = cast("Json", json.loads(text))
    except ValueError as error:
        raise PlanFileError(f"the options of {name} are no JSON", where="Plan.params") from error
    return decode(kind, data, where=f"{name} options")
