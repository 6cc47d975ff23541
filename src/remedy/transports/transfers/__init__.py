"""The streams a plan may ask for, carried: backups taken, loaded, compared (values in `remedy.backups.transfers`).

Decides what a carried stream answers: the canonical JSON of what came of it, a status, and when it failed one sentence
that says why. Leaves to others: the streams (one module each), logins (`clients`), copies and hosts (given).
"""

from __future__ import annotations

import time
from collections.abc import Callable

from remedy.backups import transfers
from remedy.backups.ports import Store
from remedy.backups.transfers import Accounts, Compare, Fetch, Load, Survey, Take
from remedy.backups.values import Copy, Database
from remedy.core.canon import Json, canonical
from remedy.core.errors import Interrupted, RemedyError, Unreachable
from remedy.core.ports import Tell
from remedy.core.values import Reply, Transfer
from remedy.transports.transfers.accounts import make
from remedy.transports.transfers.clients import Bulk
from remedy.transports.transfers.compare import compare
from remedy.transports.transfers.early import Seen
from remedy.transports.transfers.fetch import fetch
from remedy.transports.transfers.load import load
from remedy.transports.transfers.pipeline import OpenSealed
from remedy.transports.transfers.survey import survey
from remedy.transports.transfers.take import take

__all__ = ["Carrier"]


class Carrier:
    """Carries transfers, for `transports.guard.Sessions`."""

    def __init__(
        self,
        bulk: Bulk,
        shelves: Callable[[Database, Copy], Store],
        open_sealed: OpenSealed,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`bulk` starts programs on hosts, `shelves` opens copies, `open_sealed` what is encrypted in them."""
        self._bulk = bulk
        self._shelves = shelves
        self._open_sealed = open_sealed
        self._now = now
        #: What was looked at while it was loaded: by host, socket and schema.
        self._seen: dict[tuple[str, str, str], dict[str, Seen]] = {}

    def __call__(self, transfer: Transfer, at: str, tell: Tell) -> Reply:
        """Carry it with host `at` at one end; as core.ports.Session.carry.

        Raises Unreachable when the way to `at` broke, Interrupted (or what else `tell` raises), PlanFileError. Whatever
        is raised or answered, nothing that was started still runs.
        """
        spec = transfers.of(transfer)
        result: dict[str, Json] = {}
        try:
            self._carry(spec, at, tell, result)
        except Interrupted:
            raise
        except Unreachable as error:
            # An end that is not the host's: what is known of the host is known for certain.
            if error.where == at:
                raise
            return _refused(error, result)
        except RemedyError as error:
            return _refused(error, result)
        return Reply(0, canonical(result))

    def _carry(self, spec: object, at: str, tell: Tell, result: dict[str, Json]) -> None:
        bulk, stores = self._bulk, self._shelves
        match spec:
            case Take():
                take(spec, at, bulk=bulk, stores=stores, tell=tell, result=result, now=self._now)
            case Load():
                shelf = stores(spec.database, spec.copy)
                seen = load(spec, at, bulk=bulk, shelf=shelf, open_sealed=self._open_sealed, tell=tell, result=result)
                self._seen[at, spec.socket, spec.into] = seen
            case Compare():
                place = stores(spec.database, spec.copy) if spec.copy else None
                opened = self._open_sealed
                early = self._seen.pop((at, spec.socket, spec.into), None)
                compare(spec, at, bulk=bulk, tell=tell, result=result, shelf=place, open_sealed=opened, seen=early)
            case Fetch():
                shelf = stores(spec.database, spec.copy)
                fetch(spec, at, bulk=bulk, shelf=shelf, open_sealed=self._open_sealed, tell=tell, result=result)
            case Survey():
                survey(spec, at, bulk=bulk, tell=tell, result=result)
            case Accounts():
                make(spec, at, bulk=bulk, stores=stores, tell=tell, result=result)
            case _:
                raise AssertionError(f"{type(spec).__name__} is no transfer")


def _refused(error: RemedyError, result: dict[str, Json]) -> Reply:
    return Reply(1, canonical(result), str(error).encode())
