"""What a run of a recovery leaves behind when it has ended: from the plan, the record and the server alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NoReturn

import pytest
from tests.worlds.memory import START, Journal

from remedy.actions import params
from remedy.actions.rebuild import Rebuild
from remedy.actions.restore import Restore
from remedy.backups.choose import Candidate, Order
from remedy.backups.fallback import Rejection
from remedy.backups.values import Backup, Contents, Copy, Database, Facts, File, Finding, Judgement, Table
from remedy.core.canon import Json, canonical, encode
from remedy.core.errors import ConnectFailed
from remedy.core.values import Change, Command, Plan, Probe, wanted
from remedy.engine import aftermath, verdicts
from remedy.engine.outcome import Outcome
from remedy.engine.search import Choice

HERE = Copy("here", host="db01", path="/b")
FAR = Copy("far", host="nas", path="/b")
SITE = Database("site", "site", "db01", (HERE, FAR), keep_days=3)
BACKUP = Backup("site-1.sql", "here", "dump", (File("site-1.sql.zst", 10, 5),))
MADE: Final = int(START) - 7500
NOW: Final = int(START) + 60
STREAM: Final[dict[str, Json]] = {"sha256": "a" * 64, "rows": 5}
CONTENTS = Contents(Facts(MADE), (Table("notice", "a" * 64, "b" * 64, 5, 90),))
ALONE = Judgement("b" * 64, 10, "whole", CONTENTS, (Finding("no-comments", "it has none", fatal=False),))
ACTION = Restore(SITE, BACKUP, HERE, "b" * 64, CONTENTS)
PLAN = Plan(
    "restore",
    "db01",
    "R1",
    "INC-1",
    "0",
    params(ACTION),
    impact=("14 tables are replaced",),
    facts=wanted({"tables": ["notice"]}),
)
EMPTY = replace(PLAN, facts=wanted({"tables": []}))


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
    return Choice(SITE, "whole", Order((one,)), one, HERE, BACKUP, ALONE, rejected)


def closed(copy: Copy) -> NoReturn:
    """No copy is asked by a run that has taken no backup."""
    raise AssertionError(copy)


def chosen(journal: Journal, made: int = MADE, reached: int = 0, alone: Judgement = ALONE) -> None:
    """What is recorded before the run begins."""
    aftermath.chosen(journal, choice(made), alone, incident="INC-1", run="R1", reached=reached)


def concluded(journal: Journal, outcome: Outcome) -> dict[str, Json] | None:
    """What follows."""
    return aftermath.conclude(journal, Server(), closed, outcome, now=NOW)


def known(journal: Journal, copy: Copy = HERE, backup: Backup = BACKUP) -> Judgement | None:
    """What the record says of the backup now."""
    return verdicts.known(journal, SITE).of(copy, backup)


@pytest.fixture
def journal() -> Journal:
    """The record of a run: its backup read, planned at the start, two streams, one step without any; another run."""
    made = Journal()
    verdicts.remember(made, SITE, HERE, BACKUP, ALONE)
    made.append("plan", {}, incident="INC-1", run="R1")
    for step, run, result in (("1", "R1", STREAM), ("2", "R1", None), ("k2", "R1", STREAM), ("1", "R2", STREAM)):
        body: dict[str, Json] = {"step": step, "why": f"step {step}", "status": 0}
        made.append("sent", {**body, "result": result} if result else body, incident="INC-1", run=run)
    return made


def test_what_is_kept(journal: Journal) -> None:
    """Backup, copy, hash, what was passed over and why, every stream with its result, and what is in doubt."""
    chosen(journal)
    body = concluded(journal, Outcome(PLAN, "unverified", doubts=("a question was not answered",)))
    [entry] = journal.entries(kinds=(aftermath.KIND,))
    assert (entry.body, entry.incident, entry.run) == (canonical(body).decode(), "INC-1", "R1")
    assert body == {
        "database": "site",
        "status": "unverified",
        "begun": next(journal.entries(kinds=("plan",))).time,
        "backup": "site-1.sql",
        "copy": "here",
        "sha256": "b" * 64,
        "backup_time": MADE,
        "reached_time": MADE,
        "lost_minutes": 125,
        "held_ms": 412,
        "kept": "site__undo",
        "kept_until": NOW + 3 * 86_400,
        "set_aside": "",
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
    chosen(journal, made, reached)
    body = concluded(journal, Outcome(PLAN, "verified"))
    assert body
    assert body["lost_minutes"] == lost


def test_without_an_entry_of_the_choice(journal: Journal) -> None:
    """A run of which nobody recorded the choice goes by its plan: the backup's own time, nothing passed over."""
    body = concluded(journal, Outcome(PLAN, "verified"))
    assert body
    assert (body["backup_time"], body["lost_minutes"], body["rejected"]) == (MADE, 125, [])


def test_without_a_plan_in_the_record() -> None:
    """When the record does not say when it began, what is lost is not made up."""
    body = concluded(Journal(), Outcome(PLAN, "verified"))
    assert body
    assert (body["begun"], body["lost_minutes"], body["streams"]) == ("", -1, [])


@pytest.mark.parametrize(
    ("said", "held"),
    [("0", 0), ("412", 412), ("", -1), ("-5", -1), ("9" * 10, -1), ("\u00b2", -1), (None, -1), (7, -1), ([], -1)],
)
def test_how_long_writes_were_held(said: Json, held: int) -> None:
    """Milliseconds as the server kept them; whatever else it says, or when it says nothing, nobody knows."""
    assert aftermath.held(Server(said), SITE) == held


@pytest.mark.parametrize(("status", "level"), [("verified", "proven"), ("unverified", "whole")])
def test_a_backup_that_has_restored_is_proven(journal: Journal, status: str, level: str) -> None:
    """Restored to a verified end it is proven, and so is every copy of its bytes; with a doubt left it is not."""
    other = Backup("site-1.sql", "far", "dump", (File("site-1.sql.zst", 10, 9),))
    verdicts.remember(journal, SITE, FAR, other, ALONE)
    chosen(journal)
    concluded(journal, Outcome(PLAN, status))
    for copy, backup in ((HERE, BACKUP), (FAR, other)):
        found = known(journal, copy, backup)
        assert found
        assert (found.level, found.findings) == (level, ALONE.findings)


def test_what_another_copy_had_disproved(journal: Journal) -> None:
    """A finding that did not count when the backup was chosen does not keep it from being proven."""
    unsure = replace(ALONE, findings=(*ALONE.findings, Finding("unverifiable", "no checksum", fatal=True)))
    verdicts.remember(journal, SITE, HERE, BACKUP, unsure)
    chosen(journal)
    concluded(journal, Outcome(PLAN, "verified"))
    found = known(journal)
    assert found
    assert (found.level, [one.code for one in found.findings]) == ("proven", ["no-comments"])


def test_what_was_replaced_since(journal: Journal) -> None:
    """Files that have been judged anew since, with other bytes, are not called proven."""
    verdicts.remember(journal, SITE, HERE, BACKUP, replace(ALONE, sha256="c" * 64))
    chosen(journal)
    concluded(journal, Outcome(PLAN, "verified"))
    found = known(journal)
    assert found
    assert (found.sha256, found.level) == ("c" * 64, "whole")


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(PLAN, "failed"),
        Outcome(PLAN, "unchanged"),
        Outcome(Plan("isolate", "db01", "R1", "INC-1", "0", "{}"), "verified"),
        Outcome(Plan("undo", "db01", "R1", "INC-1", "0", "{}"), "verified"),
    ],
)
def test_what_leaves_nothing(journal: Journal, outcome: Outcome) -> None:
    """A restore that changed nothing, and whatever is no restore, leaves no entry and no verdict."""
    chosen(journal)
    before = [*journal.pages.entries]
    assert concluded(journal, outcome) is None
    assert journal.pages.entries == before


def rebuilt(journal: Journal, run: str, status: str = "verified", host: str = "db01") -> None:
    """A rebuild in the record."""
    move = Change("set aside", host, Command(("sh", "-c", "…", "remedy", "/data", f"/data.remedy-{run}", run)))
    plan = Plan("rebuild", host, run, "INC-1", "0", params(Rebuild(SITE)), changes=(move,))
    journal.append("plan", {"plan": encode(plan), "hash": plan.hash}, incident="INC-1", run=run)
    body: dict[str, Json] = {"status": status, "action": "rebuild", "target": host}
    journal.append("outcome", body, incident="INC-1", run=run)


def test_the_data_directory_that_was_set_aside(journal: Journal) -> None:
    """After a rebuild nothing was live, and what was written since the backup is in the directory set aside."""
    rebuilt(journal, "R8")
    rebuilt(journal, "R9", host="db02")
    body = concluded(journal, Outcome(EMPTY, "verified"))
    assert body
    assert (body["kept"], body["kept_until"], body["set_aside"]) == ("", 0, "/data.remedy-R8")
    again = concluded(journal, Outcome(EMPTY, "verified"))
    assert again
    assert again["set_aside"] == "", "what was written since is not in it any more"


@pytest.mark.parametrize("ended", ["failed", "undone"])
def test_a_rebuild_that_is_no_more(journal: Journal, ended: str) -> None:
    """A rebuild that failed, or was taken back, has nothing aside; nor is it asked for where data was live."""
    rebuilt(journal, "R8", "verified" if ended == "undone" else ended)
    assert (aftermath.set_aside(journal, SITE) != "") == (ended == "undone")
    body: dict[str, Json] = {"status": ended, "action": "rebuild", "target": "db01"}
    journal.append("outcome", body, incident="INC-1", run="R8")
    assert aftermath.set_aside(journal, SITE) == ""
    rebuilt(journal, "R9")
    found = concluded(journal, Outcome(PLAN, "verified"))
    assert found
    assert (found["kept"], found["set_aside"]) == ("site__undo", "")


def test_what_is_recorded_of_a_choice() -> None:
    """Which backup, its hash and time, the findings that count by themselves, what was passed over; none, nothing."""
    journal = Journal()
    chosen(journal, reached=MADE + 5)
    [entry] = journal.entries(kinds=(aftermath.CHOSEN,))
    assert json.loads(entry.body) == {
        "database": "site",
        "backup": "site-1.sql",
        "copy": "here",
        "sha256": "b" * 64,
        "time": MADE,
        "reached": MADE + 5,
        "findings": ["no-comments"],
        "rejected": [{"copy": "far", "backup": "site-2.sql", "kind": "corrupt", "reason": "it is cut"}],
    }
    nothing = Choice(SITE, "whole", Order(()))
    assert aftermath.chosen(journal, nothing, ALONE, incident="INC-1", run="R2") is None
    assert len(journal.pages.entries) == 1
