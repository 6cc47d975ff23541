"""How far a restore has come, as the database server itself shows it: schemas, marks, account, the hold on writes.

The question repeats in its answer which step of which run is meant, so that one parser serves them all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from remedy.core.canon import Json
from remedy.core.errors import AnswerUnusable
from remedy.core.text import printable
from remedy.core.values import Reply


def parse_step(reply: Reply) -> Json:
    """Read the answer of `actions.recovery.staging.step`: "absent", "halfway" or "done".

    Sample::

        {"is": "step", "name": "swap", "run": "R1f", "in": "site__in", "undo": "site__undo"}
        {"is": "account", "name": "remedy_R1f"}
        {"is": "read_only", "on": 0}
        {"is": "mark", "schema": "site__undo", "comment": "R1f swapped"}
        {"is": "schema", "schema": "site__undo", "tables": 13}
        login
    """
    if reply.status != 0:
        said = printable((reply.err or reply.out).strip(), 300, one_line=True)
        raise AnswerUnusable(f"the database does not answer: {said}", hint="nothing was decided from it")
    scene = _Scene()
    for line in reply.out.decode("utf-8", "backslashreplace").removesuffix("\n").split("\n"):
        try:
            scene.take(line)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            said = printable(line, 80, one_line=True)
            raise AnswerUnusable(f"the server's answer makes no sense: {said}") from error
    question = {"account": scene.account, "account-gone": scene.gone, "prove": scene.proven, "swap": scene.swapped}
    if scene.asked.get("name") not in question:
        raise AnswerUnusable("the server's answer does not say what was asked")
    return question[scene.asked["name"]]()


@dataclass(slots=True)
class _Scene:
    """What the server shows: marks (run and stage) and numbers of tables by schema, and what else there is."""

    asked: dict[str, str] = field(default_factory=dict)
    marks: dict[str, tuple[str, str]] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)

    def take(self, line: str) -> None:
        """One line of the answer. Raises ValueError, KeyError, TypeError, OverflowError when it is none."""
        if line in {"held", "login"}:
            self.there.add(line)
            return
        row = json.loads(line)
        match row["is"]:
            case "step":
                self.asked = {key: str(row[key]) for key in ("name", "run", "in", "undo")}
            case "mark":
                run, _, stage = str(row["comment"]).partition(" ")
                self.marks[str(row["schema"])] = (run, stage)
            case "schema":
                self.tables[str(row["schema"])] = int(row["tables"])
            case "account":
                self.there.add("swapping" if str(row["name"]).startswith("remedy_swap_") else "account")
            case "read_only" if row["on"]:
                self.there.add("frozen")

    def stage(self, which: str) -> str:
        """The stage in the mark of schema "in" or "undo" if this run left it, else ""."""
        run, stage = self.marks.get(self.asked[which], ("", ""))
        return stage if run == self.asked["run"] else ""

    def account(self) -> str:
        """The empty staging schema and its account; "done" from then on, "absent" when all is gone or given up.

        The account is there before the schema and goes after it: without it, a schema of that name is not this run's.
        """
        incoming = self.stage("in")
        if self.stage("undo") or incoming not in {"", "undone"}:
            return "done"
        if not self.there & {"account", "login"}:
            return "absent"
        made = {"account", "login"} <= self.there and self.tables.get(self.asked["in"]) == 0
        return "done" if made else "halfway"

    def gone(self) -> str:
        """The loading account, removed."""
        return "absent" if self.there & {"account", "login"} else "done"

    def proven(self) -> str:
        """The staged data, loaded, compared and marked."""
        return "done" if self.stage("undo") or self.stage("in") else "absent"

    def swapped(self) -> str:
        """The cut-over: "done" only when the mark says so and writes go on.

        Its account is there from before writes are held until they go on, also where there is no file that holds them.
        """
        if self.stage("undo") == "swapped" and not self.there & {"held", "frozen", "swapping"}:
            return "done"
        begun = self.stage("undo") or self.stage("in") in {"moving", "returning"} or self.there & {"held", "swapping"}
        return "halfway" if begun else "absent"


PARSERS = {"step": parse_step}
