"""Whose fault a failed restore was: the content's, the copy's, the way's, or none of the backup's."""

from __future__ import annotations

import pytest

from remedy.backups.values import Judgement
from remedy.core.canon import Json
from remedy.core.values import Change, Command, Plan, Probe, Transfer
from remedy.engine import attempt
from remedy.engine.attempt import Fault
from remedy.engine.outcome import Outcome, Step

SHA = "a" * 64
WHOLE = Judgement(SHA, 1000, "whole")


LOOK = Probe(Command(("true",)), "line")


def change(why: str, kind: str = "", seen: Probe | None = LOOK) -> Change:
    """One step of a restore, a stream when it has a kind."""
    return Change(why, "db01", Command((why,)), seen=seen, transfer=Transfer(kind, "{}") if kind else None)


CHANGES = (
    change("back up the data as it is", "take", None),
    change("make the schema"),
    change("load", "load"),
    change("compare", "compare"),
    change("cut over"),
)
LOAD, COMPARE = 3, 4


def ended(step: int, said: str, *, late: bool = False) -> Outcome:
    """A run that failed at a step."""
    steps = [Step(f"{n}", one.why, ok=True) for n, one in enumerate(CHANGES[: step - 1], 1)]
    steps += [Step(f"{step}", CHANGES[step - 1].why, ok=False, said=said, late=late), Step("u1", "undo", ok=True)]
    return Outcome(Plan("restore", "db01", "R1", "", "0", "{}", changes=CHANGES), "failed", tuple(steps))


def fault(step: int, said: str, result: dict[str, Json] | None = None, *, late: bool = False) -> Fault:
    """Whose it was."""
    return attempt.fault(ended(step, said, late=late), WHOLE, {} if result is None else {f"{step}": result})


@pytest.mark.parametrize(
    "said",
    [
        "db01: loading site.sql (table orders): ERROR 1062 (23000) at line 7: Duplicate entry '1' for key 'PRIMARY'",
        "db01: loading site.sql (table orders): ERROR 1064 (42000) at line 7: You have an error in your SQL syntax",
        "db01: loading site.sql: ERROR 1142 (42000) at line 9: CREATE command denied to user",
    ],
)
def test_what_the_server_refuses_is_of_the_content(said: str) -> None:
    """An error that these statements will meet on any server speaks against the content, in whichever copy."""
    assert fault(LOAD, said) == "content"
    assert fault(LOAD, said, {"sha256": SHA}) == "content"


def test_a_comparison_speaks_by_what_differs() -> None:
    """Tables that differ are the content's fault; a comparison that could not be made is nobody's but the host's."""
    assert (
        fault(COMPARE, "db01: what was loaded is not …", {"different": [{"table": "t", "what": "rows"}]}) == "content"
    )
    said = "db01: comparing: the dump ended with status 1: Could not open required defaults file"
    assert fault(COMPARE, said, {"different": []}) == ""
    assert fault(COMPARE, "backup01: no answer from 198.18.3.21 port 22", {"different": []}) == "way"


@pytest.mark.parametrize("said", ["local: site.sql: cannot be read as it was judged: cut", "it was replaced"])
def test_other_bytes_than_judged_are_of_the_copy(said: str) -> None:
    """What was read was not what had been judged: this copy is out, and nothing is said of the content."""
    assert fault(LOAD, said, {"sha256": "b" * 64}) == "copy"
    assert fault(LOAD, said, {"sha256": ""}) == "copy", "it could not be read to its end"


@pytest.mark.parametrize(
    "said",
    [
        "backup01: no answer from 198.18.3.21 port 22 within 10 s",
        "backup01: the target went silent for 30 s",
        "off-site: the connection broke",
    ],
)
def test_a_way_that_breaks_is_of_the_way(said: str) -> None:
    """A copy that cannot be read to its end is passed over for another copy of the same."""
    assert fault(LOAD, said) == "way"


@pytest.mark.parametrize(
    "said",
    [
        "db01: loading site.sql (table visit): ERROR 2013 (HY000) at line 30: Lost connection to server during query",
        "db01: loading site.sql: ERROR 2006 (HY000) at line 30: Server has gone away",
        "db01: loading site.sql: ERROR 2002 (HY000): Can't connect to local server through socket",
        "db01: loading site.sql (table visit): ERROR 1114 (HY000) at line 30: The table 'visit' is full",
        "db01: loading site.sql (table visit): ERROR 1021 (HY000): Disk full (/tmp/#sql)",
        "db01: loading site.sql (table visit): ERROR 1205 (HY000) at line 4: Lock wait timeout exceeded",
        "db01: loading site.sql (table visit): ERROR 1290 (HY000): running with the --read-only option",
        "db01: the schema site__in is not empty: it has 14 tables",
    ],
)
def test_a_server_that_gives_out_blames_no_backup(said: str) -> None:
    """A server that went away, a full disk or a lock would meet an older backup too: nothing else is tried."""
    assert fault(LOAD, said) == ""


def test_a_broken_session_blames_no_backup() -> None:
    """A step that may take effect yet says nothing of the backup."""
    assert fault(LOAD, "the session broke and the step has no effect so far", late=True) == ""


@pytest.mark.parametrize("step", [1, 2, 5])
def test_only_streams_of_the_backup_count(step: int) -> None:
    """The safety backup, the schema and the cut-over say nothing of the backup that is restored."""
    assert attempt.failing(ended(step, "ERROR 1062")) is None
    assert fault(step, "ERROR 1062") == ""


def test_a_run_that_did_not_fail_blames_nobody() -> None:
    """Done, doubtful or never begun: there is no failing step."""
    done = Outcome(ended(LOAD, "").plan, "unverified", (Step("3", "load", ok=False),))
    assert attempt.failing(done) is None
