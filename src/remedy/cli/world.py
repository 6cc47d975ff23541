"""The composition root: from options to an inventory, a record, sessions and an engine.

The only place that reads the environment, the clock and the home directory.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from remedy import __version__
from remedy.cli.clock import SystemClock
from remedy.cli.options import Common
from remedy.cli.redact import Redactor
from remedy.core.errors import RemedyError, UsageError
from remedy.core.values import Context, Plan, Reply, Secret, Site, Target, Transfer, Vantage

if TYPE_CHECKING:  # imported when used: start-up pays for none of them
    from remedy.backups.ports import Store
    from remedy.backups.values import Copy, Database
    from remedy.cli.shelves import Shelves
    from remedy.core.ports import Reader, Tell
    from remedy.engine.job import Event
    from remedy.engine.run import Engine
    from remedy.engine.search import Read
    from remedy.inventory import Inventory
    from remedy.record.journal import Record
    from remedy.transports.bulk import Bulk
    from remedy.transports.guard import Sessions
    from remedy.transports.netdev import Platform


@dataclass(slots=True)
class World:
    """What a command works with; each part is made when it is first needed and closed at the end."""

    options: Common
    redact: Redactor = field(default_factory=Redactor)
    stop: threading.Event = field(default_factory=threading.Event)
    observe: Callable[[Event], None] = lambda _event: None
    _inventory: Inventory | None = None
    _record: Record | None = None
    _sessions: Sessions | None = None
    _bulk: Bulk | None = None
    _shelves: Shelves | None = None
    _watching: list[tuple[Vantage, frozenset[str]]] | None = None

    @property
    def actor(self) -> str:
        """Who is asking, for approvals and leases: user (and who is behind sudo) at machine."""
        behind = os.environ.get("SUDO_USER", "")
        user = getpass.getuser()
        return f"{user}{f' ({behind})' if behind and behind != user else ''}@{socket.gethostname()}"

    @property
    def inventory(self) -> Inventory:
        """The inventory of -i, $REMEDY_INVENTORY or ./inventories/production."""
        if self._inventory is None:
            from remedy.inventory import load  # noqa: PLC0415 -- yaml

            self._inventory = load(self.inventory_path(), user=os.environ.get("USER", "root"))
            for written in self._inventory.in_clear():
                self.redact.add(written)
        return self._inventory

    def inventory_path(self) -> Path:
        """Where the inventory is. Raises UsageError when nothing says so."""
        given = self.options.inventory or os.environ.get("REMEDY_INVENTORY", "")
        path = Path(given or "inventories/production")
        if not given and not path.exists():
            raise UsageError(
                "no inventory is given",
                hint="-i PATH, or REMEDY_INVENTORY=PATH; for the lab: -i inventories/lab, after `remedy lab up`",
            )
        return path

    def has_inventory(self) -> bool:
        """Whether one is named, or there is one at the usual place."""
        try:
            return bool(self.inventory_path())
        except UsageError:
            return False

    def record_path(self) -> Path:
        """Where the incident record is."""
        given = self.options.record or os.environ.get("REMEDY_RECORD", "")
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return Path(given) if given else state / "remedy" / "record.db"

    @property
    def record(self) -> Record:
        """The incident record, open for appending."""
        if self._record is None:
            from remedy.record import actor  # noqa: PLC0415 -- cryptography
            from remedy.record.journal import Record  # noqa: PLC0415

            path = self.record_path()
            self._record = Record.open(
                path,
                clock=lambda: datetime.now(UTC),
                actor=actor.here(environ=os.environ, version=__version__),
                key_dir=path.parent / "keys",
                redact=self.redact,
            )
        return self._record

    @property
    def sessions(self) -> Sessions:
        """Connections to hosts; nothing is opened yet."""
        if self._sessions is None:
            from remedy.probes import parse  # noqa: PLC0415
            from remedy.transports.guard import CONTROLLER, Sessions  # noqa: PLC0415
            from remedy.transports.local import LocalConnection  # noqa: PLC0415
            from remedy.transports.netdev import DeviceConnector  # noqa: PLC0415

            agent = os.environ.get("SSH_AUTH_SOCK", "")
            connect = DeviceConnector(self.secret, self._platform, agent=agent, home=Path.home())
            here = LocalConnection(
                Target(CONTROLLER, ""),
                resolve_secret=self.secret,
                user=getpass.getuser(),
                programs=str(Path(sys.executable).parent),
            )
            self._sessions = Sessions(connect, self.inventory.target, parse, local=here, carry=self._carry)
        return self._sessions

    def _platform(self, target: Target) -> Platform | None:
        """Whose device a target is, None for a server."""
        from remedy.transports.netdev import Platform  # noqa: PLC0415

        found = self.inventory.device(target.name) if target.name in self.inventory.hosts else None
        return Platform(found.vendor, found.encoding) if found else None

    def _carry(self, transfer: Transfer, at: str, tell: Tell) -> Reply:
        return self.copies.carrier()(transfer, at, tell)

    @property
    def reader(self) -> Reader:
        """Questions alone: what a search and a check may ask of hosts."""
        from remedy.transports.guard import read_only  # noqa: PLC0415

        return read_only(self.sessions)

    def secret(self, reference: Secret) -> str:
        """The value of a secret; from now on it is masked in whatever leaves the process. Raises InventoryError."""
        from remedy.inventory import resolve  # noqa: PLC0415

        return self.redact.add(resolve(reference, environ=os.environ))

    @property
    def bulk(self) -> Bulk:
        """Programs on hosts whose input and output are long streams; nothing is started yet."""
        if self._bulk is None:
            from remedy.transports.bulk import Bulk  # noqa: PLC0415
            from remedy.transports.guard import CONTROLLER  # noqa: PLC0415

            self._bulk = Bulk(
                self.inventory.target,
                self.secret,
                local=Target(CONTROLLER, ""),
                user=getpass.getuser(),
                agent=os.environ.get("SSH_AUTH_SOCK", ""),
                home=Path.home(),
            )
        return self._bulk

    @property
    def copies(self) -> Shelves:
        """The copies of all backups; none is opened yet."""
        if self._shelves is None:
            from remedy.cli.shelves import Shelves  # noqa: PLC0415

            self._shelves = Shelves(self.bulk, self.secret, self.reader)
        return self._shelves

    def shelf(self, database: Database, copy: Copy) -> Store:
        """A copy of a database's backups."""
        return self.copies.of(database, copy)

    def shelves(self, database: Database) -> Callable[[Copy], Store]:
        """What opens the copies of a database's backups."""
        return lambda copy: self.copies.of(database, copy)

    def reading(self, database: Database) -> Read:
        """What reads a database's backups to their end."""
        return self.copies.reading(database)

    def telling(self, what: str, done: int, total: int) -> None:
        """Show how far a stream that belongs to no run has come. As core.ports.Tell."""
        from remedy.engine.job import Event  # noqa: PLC0415

        self.observe(Event("", "progress", what, done=done, total=total))

    def databases(self, names: Sequence[str] = ()) -> tuple[Database, ...]:
        """These databases of the inventory, all when none is named. Raises UnknownTarget, UsageError without any."""
        found = tuple(self.inventory.database(name) for name in names) or self.inventory.databases()
        if not found:
            raise UsageError("the inventory names no database", hint="`remedy_databases` on a host says what is there")
        return found

    def database(self, name: str) -> Database:
        """A database of the inventory; with "" the only one. Raises UnknownTarget, UsageError."""
        found = self.databases([name] if name else ())
        if len(found) > 1:
            names = ", ".join(database.name for database in found)
            raise UsageError("the inventory has several databases", hint=f"say which: {names}")
        return found[0]

    def engine(self) -> Engine:
        """An engine over the sessions and the record."""
        from remedy.cli.keeping import Keeping  # noqa: PLC0415
        from remedy.engine.run import Engine  # noqa: PLC0415

        def admit(plan: Plan) -> None:
            if plan.action == "isolate":
                self.check_limits([plan.target], counted=True)
            if plan.action in {"block", "push"}:
                from remedy.cli import blocking  # noqa: PLC0415 -- lazily

                blocking.admit(self, plan)
            keeping.before(plan)

        keeping = Keeping(self, self.observe)
        return Engine(self.sessions, self.record, SystemClock(), self.actor, keeping.heard, self.stop, admit)

    def login(self, host: str) -> str:
        """As whom we are logged in there, for the record."""
        found = self.sessions.login(host)
        return f"{found.user}@{found.peer} host key {found.host_key}" if found else ""

    def target(self, name: str) -> Target:
        """A host of the inventory."""
        return self.inventory.target(name)

    def site(self, name: str, *, cut_off: Collection[str] = ()) -> Site:
        """What the inventory knows around a host.

        Hosts in `cut_off` are no vantages: one that cannot reach anything proves nothing by not reaching this host.
        """
        policy = self.inventory.policy(name)
        return Site(
            addresses=policy.addresses,
            management=policy.management,
            vantages=tuple(v for v in self._vantages(name) if v.name not in cut_off),
            probe_tcp=policy.probe.tcp,
            probe_udp=policy.probe.udp,
            canaries=policy.canaries,
            canary_tcp=policy.canary_ports.tcp,
            canary_udp=policy.canary_ports.udp,
            resolvers=policy.resolvers,
            impact=policy.impact,
            unreachable_from=policy.unreachable_from,
        )

    def _vantages(self, name: str) -> Iterator[Vantage]:
        if self._watching is None:
            self._watching = []
            for host in self.inventory.hosts:
                if "remedy_vantage" in self.inventory.located(host):
                    policy = self.inventory.policy(host)
                    seen = frozenset(self.inventory.select(policy.vantage_for)) if policy.vantage else frozenset()
                    vantage = Vantage(host, policy.vantage, policy.addresses, policy.probe.tcp)
                    self._watching.append((vantage, seen))
        yield from (vantage for vantage, seen in self._watching if name in seen and vantage.name != name)

    def check_limits(self, names: Sequence[str], *, counted: bool = False) -> None:
        """Raise Refused when isolating these hosts would break a limit of the inventory."""
        from remedy.engine import limits  # noqa: PLC0415

        groups = {group for name in names for group in self.inventory.group_names(name)}
        limits.check(
            names,
            journal=self.record,
            now=time.time(),
            counted=counted,
            per_hour=min(self.inventory.policy(name).budget.isolations_per_hour for name in names),
            protected=frozenset(name for name in names if self.inventory.policy(name).protected),
            groups={
                group: limits.Share(
                    tuple(self.inventory.groups[group].hosts), self.inventory.budget(group).group_share_percent
                )
                for group in sorted(groups)
            },
        )

    def incident(self, title: str) -> str:
        """The incident to work under: the one given, the only open one, or a new one with this title.

        A mere dry-run opens none; without an open one it is recorded under the name "dry-run".

        Raises UsageError when the given one does not exist or is closed, or when several are open.
        """
        from remedy.record import incidents  # noqa: PLC0415

        if self.options.incident:
            found = incidents.find(self.record, self.options.incident)
            if not found.is_open:
                raise UsageError(f"{found.id} is closed", hint="open another: `remedy incident open TITLE`")
            return found.id
        if self.options.dry_run and not self.options.out:
            return self._running() or "dry-run"
        return self._running() or incidents.open(self.record, title)

    def is_database(self, name: str) -> bool:
        """Whether a name is that of a database of the inventory, and of no host or group."""
        if name in self.inventory.hosts or name in self.inventory.groups:
            return False
        return any(name in {one.name, f"{one.host}/{one.name}"} for one in self.inventory.databases())

    def under(self) -> str:
        """The incident that a mere look belongs to: the one given, the only open one, else none. It opens none.

        Raises UsageError when the given one does not exist or is closed.
        """
        from remedy.record import incidents  # noqa: PLC0415

        if self.options.incident:
            return self.incident("")
        running = [incident.id for incident in incidents.list(self.record) if incident.is_open]
        return running[0] if len(running) == 1 else ""

    def _running(self) -> str:
        """The only open incident, "" when there is none. Raises UsageError when there are several."""
        from remedy.record import incidents  # noqa: PLC0415

        running = [incident for incident in incidents.list(self.record) if incident.is_open]
        if len(running) > 1:
            names = ", ".join(incident.id for incident in running)
            raise UsageError(f"several incidents are open: {names}", hint="say which with --incident")
        return running[0].id if running else ""

    def context(self, incident: str) -> Context:
        """A new run under an incident, anchored to the record's head."""
        return Context(run=f"R{secrets.token_hex(4)}", incident=incident, anchor=self.record.head()[1][:16])

    def keep_elsewhere(self, *, again: bool = True) -> None:
        """Send what the record has signed off site, as far as that goes within seconds; never raises for it.

        The inventory is read for it only when something is known to be left; then it is told when it was tried alone.
        """
        if self._record is not None:
            from remedy.cli import act, offsite  # noqa: PLC0415 -- lazily

            known = self._inventory is not None
            if known or offsite.is_left(self):
                offsite.afterwards(self, act.screen_of(self.options, self), again=again and known)

    def close(self) -> None:
        """Close whatever was opened."""
        for part in (self._bulk, self._sessions, self._record):
            if part is not None:
                part.close()


@contextlib.contextmanager
def world(options: Common) -> Iterator[World]:
    """A world for one command, closed at its end. An error on its way out has every known secret masked."""
    made = World(options)
    try:
        yield made
        made.keep_elsewhere()
    except RemedyError as error:
        error.message, error.where, error.hint = map(made.redact, (error.message, error.where, error.hint))
        raise
    finally:
        made.close()


def complete_database(path: str, incomplete: str) -> Sequence[str]:
    """Names of databases for shell completion; silent when there is no inventory."""
    try:
        found = World(Common(inventory=path)).inventory.databases()
    except (RemedyError, OSError):
        return []
    return sorted(database.name for database in found if database.name.startswith(incomplete))


def complete_host(path: str, incomplete: str) -> Sequence[str]:
    """Host and group names for shell completion; silent when there is no inventory."""
    try:
        inventory = World(Common(inventory=path)).inventory
    except (RemedyError, OSError):
        return []
    return sorted(name for name in (*inventory.hosts, *inventory.groups) if name.startswith(incomplete))
