"""Taking a backup: what is refused before anything is written, and what the plan says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from remedy.actions.backup import TakeBackup
from remedy.backups import transfers
from remedy.backups.transfers import Take
from remedy.backups.values import Copy, Database
from remedy.core.canon import Json
from remedy.core.errors import Refused, UsageError
from remedy.core.values import Context, Plan, Probe, Site, Target

SITE = Database("site", "site", "db01", (Copy("here", host="db01", path="/b"), Copy("far", bucket="b")))


@dataclass
class Server:
    """A database server with these names in the schema."""

    names: tuple[str, ...] = ("table notice", "table orders", "view latest")

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As core.ports.Reader."""
        assert (at, len(probes)) == ("db01", 2)
        return [*self.names], {"version": "10.11.19-MariaDB"}

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As core.ports.Reader."""
        return tuple(self.ask(probes, at=at) for at, probes in questions)


def plan(only: tuple[str, ...] = (), database: Database = SITE, server: Server | None = None) -> Plan:
    """What would be done."""
    action = TakeBackup(database, "site-now", only, "before the update")
    return action.plan(Target("db01", "198.18.2.21"), Site(), Context("R1", "backups", "0" * 16), server or Server())


@pytest.mark.parametrize(("only", "copies"), [((), ["here", "far"]), (("far",), ["far"])])
def test_what_is_planned(only: tuple[str, ...], copies: list[str]) -> None:
    """One stream into all copies or those that are named, never over another backup; what is read is counted."""
    made = plan(only)
    [change] = made.changes
    assert change.transfer
    take = transfers.of(change.transfer)
    assert isinstance(take, Take)
    assert ([copy.name for copy in take.copies], take.name, take.label) == (copies, "site-now", "before the update")
    assert take.numbered
    assert made.on_failure == "keep"
    assert made.impact == ("2 tables and 1 other definitions are read in one snapshot",)


def test_refused() -> None:
    """An unknown copy, no copy at all and a schema without anything are told before anything is written."""
    with pytest.raises(UsageError, match="no copy called 'moon'") as caught:
        plan(("far", "moon"))
    assert "here, far" in caught.value.hint
    with pytest.raises(UsageError, match="names no copy"):
        plan(database=Database("site", "site", "db01"))
    with pytest.raises(Refused, match="holds nothing"):
        plan(server=Server(()))
