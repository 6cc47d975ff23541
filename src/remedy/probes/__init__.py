"""Read-only questions: an argument vector and a pure parser, one file per subject.

A module of this package gives functions that return a `Probe` and a table `PARSERS` of pure functions
`Reply -> Json`. `parse` finds them by the name in `Probe.parser` ("module.parser") and nothing outside this package,
so a plan file cannot name other code. A parser that has to know what was asked stands in `INFORMED` and takes what
follows a colon in the name as a second argument, text. Parsers never trust their input: it may come from an
intruder's machine.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable, PlanFileError
from remedy.core.values import Reply

_NAME = re.compile(r"([a-z_]+)\.([a-z_]+)(?::(.*))?\Z", re.DOTALL)


@functools.cache
def subjects() -> tuple[str, ...]:
    """The modules of this package, by walking the folder."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def parse(name: str, reply: Reply) -> Json:
    """Apply the parser called `name` to a reply.

    Raises PlanFileError when there is no such parser, AnswerUnusable when the reply cannot be understood.
    """
    match = _NAME.match(name)
    if not match or match[1] not in subjects():
        raise PlanFileError(f"no parser is called {name!r}", hint="a plan from another version, or edited by hand")
    module = importlib.import_module(f"{__name__}.{match[1]}")
    parsers = module.PARSERS if match[3] is None else getattr(module, "INFORMED", {})
    if match[2] not in parsers:
        raise PlanFileError(f"no parser is called {name!r}", hint="a plan from another version, or edited by hand")
    if reply.truncated:
        raise AnswerUnusable(f"the answer to {name} was cut off: too long", hint="nothing was decided from it")
    answer: Json = parsers[match[2]](reply) if match[3] is None else parsers[match[2]](reply, match[3])
    return answer


def text(reply: Reply, what: str) -> str:
    """The reply's standard output as ASCII-safe text, or AnswerUnusable when the command failed."""
    if reply.status != 0:
        # A client of a database server repeats the statement first; what is wrong with it comes last.
        errors = [line for line in reply.err.splitlines() if line.startswith(b"ERROR")]
        said = (b"; ".join(errors) or reply.err)[:200].decode("utf-8", "replace").strip()
        raise AnswerUnusable(f"{what} ended with status {reply.status}: {said!r}", hint="nothing was decided from it")
    return reply.out.decode("utf-8", "backslashreplace")
