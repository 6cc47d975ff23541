"""The lab's network devices: real programs behind a real SSH server, with a terminal, state, and rules that hold.

Run as `python -m remedy.lab.devices CONFIG.json` in the network namespace of a router or a switch (`__main__` says what
the file holds). Written from the vendors' references; nothing of `remedy.devices`' parsers and writers is used, only
its values (`Rule`, `Span`), so that the two readings of a reference check each other.

    asyncssh ── serve.Server ── terminal.Terminal ── sessions.Shell ── face.Face ── Part, Part, …
                                                          │                │
                                                     device.Device ────────┤  running(), wanted()
                                          stores · timers · faults · log   └─ enforce.Enforcer

A further vendor is one module with a `Face`, named in its `FACE`; `named` finds it. A face is a list of `Part`s, one
for each subject, and the look: prompts, refusals, banner, log lines. A part declares its commands in the notation of
the references and keeps its own state; the whole configuration is the text that `Face.running` makes of the parts, and
loading that text into fresh parts must give the same configuration, because that is how a device boots, goes back
(`Device.arm`), and replaces its configuration (`Device.load`).

    class Lists(Part):
        @command("ip access-list extended <name:word>", views=("config",))
        def enter(self, login: Login, call: Call) -> str | None:
            login.views.append(View("acl", "ext-nacl", call["name"]))

        def configured(self) -> list[str]: ...

A handler returns what is shown (text, or nothing), or awaits: `await login.ask("…? [Y/N]:")` asks,
`login.ask_key("[confirm]")` takes one key, `login.say` shows at once. It raises `Refusal("words")`, or
`Refusal(argument="name")` for a caret under that argument. `reads=True` lets read-only accounts use it. Anything else
that was done counts as a change: the device calls `Face.wanted` soon after and hands it to its `Enforcer`.
`Login.views` is the stack of views; a command not known in the innermost is looked for in those around it up to the
first of a kind in `Face.innermost`, and the session stays where it was unless that command entered a view
(`Face.stays = False`: it goes to where the command was found). `Part.without` names methods a variant does not have.
`device.secrets` holds the enable or super password; a login with role "operator"
becomes "admin" by setting `login.role`. Part classes may define `on(interface)` to add lines to an interface's section
and `refers_to(group)` to keep a group from being deleted, as the H3C parts do.

An `Enforcer` makes `Wanted` hold: stages of rules (`remedy.devices.acl.Rule` in `Placed`) at interfaces and between
them, what object groups hold, blocked sources, switch ports; and reports hits, learned hardware addresses and resolved
addresses. `enforce.Remembering` keeps it only.

Faults (`faults.Faults`) are set in the file or through the control socket while it runs (`faults.ask`).
"""

from __future__ import annotations

import importlib
import pkgutil

from remedy.lab.devices.face import Face

__all__ = ["faces", "named"]


def faces() -> tuple[str, ...]:
    """The names of all faces: the modules of this package that have a `FACE`."""
    found = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        if not module.ispkg and not module.name.startswith("_"):
            face = getattr(importlib.import_module(f"{__name__}.{module.name}"), "FACE", None)
            if face is not None:
                found.append(module.name)
    return tuple(found)


def named(name: str) -> type[Face]:
    """The face called so. Raises KeyError."""
    if name not in faces():
        raise KeyError(f"no face is called {name!r}; there are {', '.join(faces())}")
    face: type[Face] = importlib.import_module(f"{__name__}.{name}").FACE
    return face
