"""What a restore came to, for the fault analysis: from the record, the choice and the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pytest
from tests.worlds.memory import START, Journal

from remedy.backups.choose import Candidate, Order
from remedy.backups.fallback import Rejection
from remedy.backups.values import Backup, Contents, Copy, Database, File, Judgement
from remedy.core.canon import Json, canonical
from remedy.core.errors import ConnectFailed
from remedy.core.values import Plan, Probe
from remedy.engine import aftermath
from remedy.engine.outcome import Outcome
from remedy.engine.search import Choice

SITE = Database("site", "site", "db01", (Copy("here", host="db01", path="/b"),))
BACKUP = Backup("site-1.sql", "here", "dump", (File("site-1.sql.zst", 10, 5),))
MADE: Final = int(START) - 7500
STREAM: Final[dict[str, Json]] = {"sha256": "a" * 64, "rows": 5}


@dataclass
class Server:
    """Answers how long writes were held."""

    said: Json = "412"

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As core.ports.Reader."""
        assert at == "db01"
        if self.said is None:
            raise ConnectFailed("no way there", where=at)
        return tuple(self.said for _ in probes)

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As core.ports.Reader."""
        return tuple(self.ask(probes, at=at) for at, probes in questions)


def choice(made: int = MADE) -> Choice:
    """What a search came to; with 0 a backup that does not say when it was made."""
    one = Candidate("site-1.sql", (BACKUP,), made, made)
    rejected = (Rejection("far", "site-2.sql", "corrupt", "intact", "it is cut", 60, made + 600),)
    judgement = Judgement("b" * 64, 10, "whole", Contents())
    return Choice(SITE, "whole", Order((one,)), one, SITE.copies[0], BACKUP, judgement, rejected)


PLAN = Plan("restore", "db01", "R1", "INC-1", "0", "{}", impact=("14 tables are replaced",))


@pytest.fixture
def journal() -> Journal:
    """The record of a run: planned at the start, two streams, one step without any, and somebody else's run."""
    made = Journal()
    made.append("plan", {}, incident="INC-1", run="R1")
    for step, run, result in (("1", "R1", STREAM), ("2", "R1", None), ("k2", "R1", STREAM), ("1", "R2", STREAM)):
        body: dict[str, Json] = {"step": step, "why": f"step {step}", "status": 0}
        made.append("sent", {**body, "result": result} if result else body, incident="INC-1", run=run)
    return made


def test_what_is_kept(journal: Journal) -> None:
    """Backup, copy, hash, what was passed over and why, every stream with its result, and what is in doubt."""
    outcome = Outcome(PLAN, "unverified", doubts=("a question was not answered",))
    body = aftermath.analysis(journal, Server(), SITE, choice(), outcome)
    canonical(body)
    assert body == {
        "database": "site",
        "status": "unverified",
        "begun": journal.pages.entries[0].time,
        "backup": "site-1.sql",
        "copy": "here",
        "sha256": "b" * 64,
        "backup_time": MADE,
        "reached_time": MADE,
        "lost_minutes": 125,
        "held_ms": 412,
        "rejected": [{"copy": "far", "backup": "site-2.sql", "kind": "corrupt", "reason": "it is cut"}],
        "replaced": ["14 tables are replaced"],
        "streams": [
            {"step": "1", "why": "step 1", "result": STREAM},
            {"step": "k2", "why": "step k2", "result": STREAM},
        ],
        "doubts": ["a question was not answered"],
    }


@pytest.mark.parametrize(
    ("made", "reached", "lost"),
    [(MADE, 0, 125), (MADE, MADE + 7200, 5), (0, MADE + 7200, 5), (0, 0, -1), (MADE, int(START) + 99, 0)],
)
def test_what_is_lost(journal: Journal, made: int, reached: int, lost: int) -> None:
    """What is lost counts from the backup, or from the last transaction that binary logs gave back."""
    body = aftermath.analysis(journal, Server(), SITE, choice(made), Outcome(PLAN, "verified"), reached=reached)
    assert body["lost_minutes"] == lost


def test_without_a_plan_in_the_record() -> None:
    """When the record does not say when it began, what is lost is not made up."""
    body = aftermath.analysis(Journal(), Server(), SITE, choice(), Outcome(PLAN, "verified"))
    assert (body["begun"], body["lost_minutes"], body["streams"]) == ("", -1, [])


@pytest.mark.parametrize(
    ("said", "held"),
    [("0", 0), ("412", 412), ("", -1), ("-5", -1), ("9" * 10, -1), ("\u00b2", -1), (None, -1), (7, -1), ([], -1)],
)
def test_how_long_writes_were_held(said: Json, held: int) -> None:
    """Milliseconds as the server kept them; whatever else it says, or when it says nothing, nobody knows."""
    assert aftermath.held(Server(said), SITE) == held
