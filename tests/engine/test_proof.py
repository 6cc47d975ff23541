"""The verdict that follows from restoring a backup: proven, not restorable, or nothing learned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.worlds.memory import Journal

from remedy.backups.values import Contents, Facts, Finding, Judgement, Table
from remedy.core.canon import encode
from remedy.core.errors import Partial
from remedy.core.values import Change, Command, Plan, Transfer
from remedy.engine import proof
from remedy.engine.outcome import Outcome, Step

LOAD, COMPARE = Transfer("load", "{}"), Transfer("compare", "{}")


def change(why: str, name: str, transfer: Transfer | None = None) -> Change:
    """One step, by the word its script is called by."""
    return Change(why, "db01", Command(("sh", "-c", "…", name)), transfer=transfer)


CHANGES = (
    change("make a folder", "remedy-make"),
    change("start a server", "remedy-start"),
    change("make the schema", "remedy-sql"),
    change("load it", "mariadb", LOAD),
    change("compare it", "mariadb-dump", COMPARE),
    change("the site's own question", "remedy-ask"),
    change("remove the server", "remedy-remove"),
)
PLAN = Plan("prove", "db01", "R1", "", "0", "{}", changes=CHANGES)
WHOLE = Judgement("a" * 64, 1000, "whole", Contents(Facts(time=7), (Table("notice", "c" * 64),)), at=1, read=9000)


def outcome(failed: int = 0, said: str = "", status: str = "", *, late: bool = False, undone: bool = True) -> Outcome:
    """A run that ended at step `failed` (0: at none)."""
    steps = [Step(f"{n}", c.why, ok=True) for n, c in enumerate(CHANGES, 1) if not failed or n < failed]
    if failed:
        steps.append(Step(f"{failed}", CHANGES[failed - 1].why, ok=False, said=said, late=late))
        steps += [Step("u1", "undo: make a folder", ok=undone)]
    return Outcome(PLAN, status or ("failed" if failed else "verified"), tuple(steps))


def judged(ended: Outcome, before: Judgement = WHOLE) -> Judgement:
    """The judgement that follows."""
    return proof.judged(before, ended, {}, now=99, seconds=12)


def test_proven() -> None:
    """When every step worked it is proven, with the time and the cost of the proof."""
    found = judged(outcome())
    assert (found.level, found.findings, found.at, found.seconds) == ("proven", (), 99, 12)


def test_a_remark_left_behind_is_no_doubt() -> None:
    """That the isolated server could not be removed says nothing of the backup: what was proven is proven."""
    assert judged(outcome(7, "still there", "unverified")).level == "proven"


@pytest.mark.parametrize("step", [4, 5, 6])
def test_what_used_the_backup_speaks_against_it(step: int) -> None:
    """A load, a comparison or a question that failed is a finding nobody can accept, and the level stays."""
    found = judged(outcome(step, "table notice differs"))
    assert found.level == "whole"
    [finding] = found.findings
    assert (finding.code, finding.fatal) == ("proof", True)
    assert f"{CHANGES[step - 1].why}: table notice differs" in finding.text


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (1, "mkdir: cannot create directory"),
        (2, "the server did not start"),
        (3, "ERROR 1007"),
        (4, "ERROR 1114 (HY000): The table 'notice' is full"),
        (4, 'ERROR 3 (HY000): Error writing file (Errcode: 28 "No space left on device")'),
        (4, "ERROR 2013 (HY000): Lost connection to server during query"),
        (5, "db01: no answer from 198.18.1.21 port 22 within 10 s"),
        (5, "mariadb-dump was killed"),
    ],
)
def test_the_staging_host_failed(step: int, said: str) -> None:
    """A full disk, a server that does not start or a way that breaks is no verdict: it is an error with what to do."""
    with pytest.raises(Partial, match="could not be tried") as caught:
        judged(outcome(step, said))
    assert said in caught.value.message
    assert "nothing is known of the backup by it" in caught.value.hint


def test_stopped_before_the_end() -> None:
    """A run that was broken off without a refusal is no verdict either."""
    with pytest.raises(Partial):
        judged(Outcome(PLAN, "unverified", outcome(4).steps[:3], doubts=("broken off",)))
    with pytest.raises(Partial):
        judged(outcome(4, "it had no effect", late=True))


def test_a_later_proof_replaces_an_earlier_one() -> None:
    """What an earlier attempt found is gone once it restores; what reading found stays."""
    doubt = Finding("charset", "latin1", fatal=False)
    before = replace(WHOLE, findings=(doubt, Finding("proof", "differs"), Finding("restore-failed", "too")))
    found = judged(outcome(), before)
    assert (found.level, found.findings) == ("proven", (doubt,))
    assert [one.code for one in judged(outcome(5, "differs still"), before).findings] == ["charset", "proof"]


def test_contents_of_a_physical_backup() -> None:
    """What a server that was started on it holds becomes its contents; what the backup says of itself stays."""
    seen = Contents(Facts(time=999), (Table("notice", "d" * 64, "e" * 64, 5), Table("orders", "f" * 64)))
    found = proof.judged(WHOLE, outcome(), {"5": {"contents": encode(seen), "tables": 2}}, now=99, seconds=1)
    assert found.contents.tables == seen.tables
    assert found.contents.facts == WHOLE.contents.facts
    odd = proof.judged(WHOLE, outcome(), {"5": {"contents": {"moon": 1}}, "4": "x"}, now=99, seconds=1)
    assert odd.contents == WHOLE.contents


def test_results_of_streams() -> None:
    """What the streams of a run came to is read back from the record, by step."""
    journal = Journal()
    journal.append("sent", {"step": "4", "result": {"rows": 5}}, incident="", run="R1")
    journal.append("sent", {"step": "5"}, incident="", run="R1")
    journal.append("sent", {"step": "4", "result": {"rows": 6}}, incident="", run="R2")
    assert proof.results(journal, "R1") == {"4": {"rows": 5}}
