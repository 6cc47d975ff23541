"""Budgets and protected assets, counted from a real record on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remedy.core.canon import Json
from remedy.core.errors import Refused
from remedy.engine import limits
from remedy.engine.limits import Share
from remedy.record.actor import Actor
from remedy.record.journal import Record

BEGIN = datetime(2026, 11, 20, 6, 0, 0, tzinfo=UTC)


class Book:
    """A record whose time is set by hand."""

    def __init__(self, path: Path) -> None:
        """Open it."""
        self.now = BEGIN
        actor = Actor("ops", 1000, "", "adm1", os.getpid(), "0.1.0")
        self.record = Record.open(path / "record.db", clock=lambda: self.now, actor=actor, key_dir=path / "keys")

    def begin(self, target: str, run: str, action: str = "isolate") -> None:
        """An approved run without an outcome."""
        self.record.append("approval", {"action": action, "target": target}, incident="INC-1", run=run)

    def end(self, target: str, run: str, status: str, action: str = "isolate", **more: Json) -> None:
        """Its outcome."""
        body: dict[str, Json] = {"action": action, "target": target, "status": status, **more}
        self.record.append("outcome", body, incident="INC-1", run=run)

    def isolate(self, target: str, run: str, status: str = "verified") -> None:
        """A whole run."""
        self.begin(target, run)
        self.end(target, run, status)

    def check(self, *targets: str, per_hour: int = 100, **groups: Share) -> None:
        """Ask the limits."""
        now = self.now.timestamp()
        limits.check(targets, journal=self.record, now=now, per_hour=per_hour, protected=frozenset(), groups=groups)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """An empty record."""
    made = Book(tmp_path)
    yield made
    made.record.close()


def test_protected_is_never_isolated(book: Book) -> None:
    """A protected host among many refuses all of them, with exit code 25 and its name."""
    with pytest.raises(Refused, match=r"log01 is protected") as caught:
        limits.check(
            ["web01", "log01"],
            journal=book.record,
            now=book.now.timestamp(),
            per_hour=10,
            protected=frozenset({"log01", "adm1"}),
            groups={},
        )
    assert caught.value.exit_code == 25


def test_per_hour_counts_approvals_of_an_hour(book: Book) -> None:
    """Isolations of the last hour count against the budget, older ones do not."""
    book.isolate("web01", "R1")
    book.now += timedelta(minutes=30)
    book.isolate("web02", "R2", "failed")
    with pytest.raises(Refused, match="2 hosts were isolated within the last hour; 1 more would exceed 2"):
        book.check("web03", per_hour=2)
    book.check("web03", per_hour=3)
    book.now += timedelta(minutes=30)
    book.check("web03", per_hour=2)
    book.now += timedelta(minutes=30)
    book.check("web03", "web04", per_hour=2)


def test_per_hour_counts_all_that_are_asked_for(book: Book) -> None:
    """Three hosts at once do not slip through a budget of two."""
    with pytest.raises(Refused, match="3 more would exceed 2"):
        book.check("a", "b", "c", per_hour=2)
    assert limits.isolated(book.record) == {}


def test_other_actions_cost_nothing(book: Book) -> None:
    """Releases, dry-runs and refusals do not use up the budget."""
    book.begin("web01", "R1", "release")
    book.record.append("dry-run", {"action": "isolate", "target": "web01"}, incident="INC-1", run="R2")
    book.record.append("refusal", {"action": "isolate", "target": "web01"}, incident="INC-1", run="R3")
    book.check("web01", per_hour=1)


def test_share_of_a_group(book: Book) -> None:
    """At most the given share of a group is cut off at once, those that are so already included."""
    web = Share(("web01", "web02", "web03", "web04"), 50)
    book.check("web01", "web02", web=web)
    book.isolate("web01", "R1")
    book.check("web02", web=web)
    book.check("web01", "web02", web=web)
    with pytest.raises(Refused, match="3 of 4 hosts of group 'web' would be cut off: more than 50 %"):
        book.check("web02", "web03", web=web)


def test_groups_without_a_share(book: Book) -> None:
    """The group of all hosts, the ungrouped, a group of one and untouched groups limit nothing."""
    both = ("web01", "web02")
    book.check(*both, all=Share(both, 1), ungrouped=Share(both, 1), lone=Share(("web01",), 1), db=Share(("x", "y"), 1))


@pytest.mark.parametrize("status", ["", "verified", "unverified", "rolled-back"])
def test_what_counts_as_isolated(book: Book, status: str) -> None:
    """A run without an outcome counts as isolated, and so does every end that leaves the host cut off."""
    book.begin("web01", "R1")
    if status:
        book.end("web01", "R1", status)
    assert limits.isolated(book.record) == {"web01": "R1"}
    with pytest.raises(Refused, match="2 of 2"):
        book.check("web02", web=Share(("web01", "web02"), 50))


def test_failed_isolation_frees_the_host(book: Book) -> None:
    """An isolation that failed, or was never begun, does not count."""
    book.isolate("web01", "R1", "failed")
    book.end("web02", "R2", "verified")
    assert limits.isolated(book.record) == {}


@pytest.mark.parametrize("status", ["verified", "unverified", "unchanged"])
def test_released_does_not_count(book: Book, status: str) -> None:
    """A host that was given back is free again; one whose release failed is not."""
    book.isolate("web01", "R1")
    book.begin("web01", "R2", "release")
    assert limits.isolated(book.record) == {"web01": "R1"}, "a release without an outcome frees nobody"
    book.end("web01", "R2", "failed", "release")
    assert limits.isolated(book.record) == {"web01": "R1"}
    book.end("web01", "R3", status, "release")
    assert limits.isolated(book.record) == {}


def test_given_back_in_part(book: Book) -> None:
    """A release, or an undo, that has left a layer frees nobody; but nobody is asked to keep the host isolated."""
    book.isolate("web01", "R1")
    book.end("web01", "R2", "unverified", "release", left=["host"])
    book.isolate("web02", "R3")
    book.end("web02", "R3", "undone-in-part", by="U1")
    assert limits.isolated(book.record) == {"web01": "R1", "web02": "R3"}
    assert limits.held(book.record) == {}
    book.end("web01", "R4", "unverified", "release", left=[])
    book.end("web02", "R3", "undone", by="U2")
    assert limits.isolated(book.record) == {}
    book.isolate("web01", "R5")
    assert limits.held(book.record) == {"web01": "R5"}


def test_undone_runs(book: Book) -> None:
    """Undoing an isolation frees the host, and nothing but an isolation cuts it off again."""
    book.isolate("web01", "R1")
    book.end("web01", "R1", "undone", by="U1")
    book.end("web01", "U1", "verified", "undo")
    assert limits.isolated(book.record) == {}
    book.isolate("web01", "R2")
    assert limits.isolated(book.record) == {"web01": "R2"}
