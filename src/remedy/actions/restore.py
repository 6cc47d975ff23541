"""Put a proven backup in the place of a damaged database: staged beside it, compared, swapped in one moment.

Decides the order, in which nothing is lost and production is whole at every moment: the data as it is now is backed up
first; the backup is loaded into a staging schema while production runs; what was loaded is dumped again and compared
with the backup; only then one rename makes it live, and the old data stays under another name until it is released.
Which backup is taken has been decided before (`engine.search`): it is part of the options, with the hash of its bytes.
Leaves to others: the streams (`backups.transfers`), the cut-over's script (`recovery.swap`), sending and recording.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import ClassVar, cast

from remedy.actions import begin
from remedy.actions.recovery import definitions, instance, preflight, staging, statements, swap
from remedy.backups import naming, transfers
from remedy.backups.formats import dump
from remedy.backups.transfers import Staged
from remedy.backups.values import Backup, Contents, Copy, Database, Object, Unit
from remedy.core.canon import Json
from remedy.core.errors import Refused, UsageError
from remedy.core.ports import Reader
from remedy.core.values import Change, Command, Context, Expect, Plan, Site, Target, wanted
from remedy.probes import database as asked
from remedy.probes import services

_NO_DATABASE, _NO_BACKUP = Database("", "", ""), Backup("", "", "", ())
_SHOWN = 20
#: More moves than this make the moment a noticeable one: a RENAME takes about a millisecond for each.
_MANY = 500


@dataclass(frozen=True, slots=True)
class Restore:
    """Restore `database` from `backup`, whose stored bytes have the hash `sha256` and hold `contents`.

    `source` is where its files are, None for the copy of that name. `room` is what loading it takes on disk, in bytes.
    `chosen` says in words why it was chosen and what was rejected. `hold_writes` stops the database's units for the
    time. `clients` load at once. `safety` names the copy that takes the present data first ("" the nearest);
    `without_safety` is the reason to go without it. `after` names the copies of the backup taken afterwards, () for
    all. `accept` are findings that the operator accepts. `staged` is the isolated server of run `instance` that the
    rows come from instead (a physical backup, or one that binary logs were applied to); it is removed at the end.
    """

    name: ClassVar[str] = "restore"
    database: Database = _NO_DATABASE
    backup: Backup = _NO_BACKUP
    source: Copy | None = None
    sha256: str = ""
    contents: Contents = field(default_factory=Contents)
    room: int = 0
    chosen: tuple[str, ...] = ()
    hold_writes: bool = False
    clients: int = 2
    safety: str = ""
    without_safety: str = ""
    after: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    staged: Staged | None = None
    instance: str = ""

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Ask the server, and say exactly what would be done. Raises Refused, TargetUnfit, Unreachable."""
        if target.name != self.database.host:
            raise UsageError(f"{self.database.name} is on {self.database.host}, not on {target.name}")
        server = preflight.look(self.database, reader, frozenset(self.accept), self.room, self.contents)
        if server.max_packet and self.contents.longest > server.max_packet:
            raise Refused(
                f"the longest statement has {self.contents.longest} bytes, the server takes {server.max_packet}",
                where=target.name,
                hint="SET GLOBAL max_allowed_packet=1073741824, then try again",
            )
        if any(table.name == statements.KEPT for table in self.contents.tables):
            raise Refused(f"the backup holds a table {statements.KEPT}, which is remedy's own", where=target.name)
        run, database = context.run, self.database
        old = self._old(server, reader)
        self._refuse_unread(old, server)
        new = tuple(definitions.with_definer(o) for o in self.contents.objects if o.kind != "sequence")
        # A view that cannot be opened cannot be created either: it is kept as text, and not waited for on the way back.
        sound = tuple(o for o in old if not (o.kind == "view" and o.name in server.broken))
        facts = self._facts(server, (*new, *sound))
        bare = without_sql(self.contents)
        units = self._held(reader)
        changes = [
            *self._safety(server, run),
            staging.make(database, run, server.charset),
            self._load(run, bare),
            self._compare(run, bare),
            staging.keep(database, run, old),
            *self._units("stop", units),
            swap.forward(database, run, new, sound, facts),
        ]
        over = definitions.passing(new)
        names = [f"table {t.name}" for t in self.contents.tables if t.name not in self._sequences()]
        names += [f"sequence {name}" for name in self._sequences()]
        names += [f"{o.kind} {o.name}" for o in new if not (o.kind == "event" and o.name in over)]
        return replace(
            begin(self, target, context),
            changes=tuple(changes),
            keep=(
                staging.remove_account(database, run),
                *self._units("start", units),
                *self._backup_after(run),
                *self._instance_gone(),
            ),
            expects=tuple(self._expects(names, over, facts, run)),
            on_failure="undo",
            impact=(*self._impact(server), *server.said),
            notes=tuple(self._notes(old, sound, facts)),
            card=tuple(card(database, run, facts)),
            facts=wanted(
                {
                    "server": server.text,
                    "tables": list(server.tables),
                    "definitions": server.fingerprint,
                    "backup": self.sha256,
                }
            ),
        )

    def _instance_gone(self) -> list[Change]:
        """The isolated server that the rows came from is not needed any more, nor is it after an undo."""
        if self.staged is None:
            return []
        return [instance.clear(instance.Instance(self.staged.at, self.instance))]

    def _copy(self, name: str) -> Copy:
        found = [copy for copy in self.database.copies if copy.name == name]
        if not found:
            raise UsageError(
                f"{self.database.name} has no copy called {name!r}",
                hint=f"has: {', '.join(copy.name for copy in self.database.copies) or 'none'}",
            )
        return found[0]

    def _safety(self, server: preflight.Server, run: str) -> list[Change]:
        """The present data, backed up before anything else (plan rule BZ-DATA-1); nothing, where nothing is left."""
        if self.without_safety or not server.has_rows:
            return []  # definitions alone are kept by the cut-over itself
        copy = self._copy(self.safety) if self.safety else self.database.copies[0]
        name = f"{naming.of_schema(self.database.schema)}-before-{run}"
        label = f"before restore {run}"
        take = transfers.Take(self.database, (copy,), name, label, without=server.broken, numbered=True)
        return [
            Change(
                why=f"back up the data as it is now to {copy.name}, and read that back",
                at=self.database.host,
                do=_typed(f"mariadb-dump --single-transaction --routines --events --triggers {self.database.schema}"),
                transfer=transfers.transfer(take),
                layer="database",
            )
        ]

    def _load(self, run: str, bare: Contents) -> Change:
        incoming, _ = staging.schemas(self.database.schema)
        load = transfers.Load(
            self.database,
            self.source or self._copy(self.backup.copy),
            self.backup,
            self.sha256,
            bare,
            incoming,
            staging.login(run),
            clients=self.clients,
            staged=self.staged,
        )
        come = f"{self.backup.name} from {self.backup.copy}"
        if self.staged:
            come = f"what the isolated server on {self.staged.at} holds"
        return Change(
            why=f"load {come} into {incoming}, hashing what is read",
            at=self.database.host,
            do=_typed(f"mariadb --defaults-extra-file={staging.login(run)} --sandbox --binary-mode {incoming}"),
            seen=staging.step(self.database, run, "prove"),
            before=wanted("absent"),
            after=wanted("done"),
            transfer=transfers.transfer(load),
            layer="database",
        )

    def _compare(self, run: str, bare: Contents) -> Change:
        incoming, _ = staging.schemas(self.database.schema)
        compare = transfers.Compare(
            self.database,
            bare,
            incoming,
            staging.login(run),
            clients=self.clients,
            accepted=self.accept,
            copy=None if self.staged else self.source or self._copy(self.backup.copy),
            backup=None if self.staged else self.backup,
        )
        return Change(
            why=f"dump {incoming} again, compare it with the backup table by table, CHECK TABLE",
            at=self.database.host,
            do=_typed(f"mariadb-dump --defaults-extra-file={staging.login(run)} --single-transaction {incoming}"),
            seen=staging.step(self.database, run, "prove"),
            before=wanted("absent"),
            after=wanted("done"),
            transfer=transfers.transfer(compare),
            layer="database",
        )

    def _facts(self, server: preflight.Server, made: tuple[Object, ...]) -> swap.Facts:
        return swap.Facts(
            fingerprint=server.fingerprint,
            option_folder=server.option_folder,
            trust=server.trust,
            rights=server.definer_rights,
            privileges=server.privileges,
            scheduler=server.scheduler,
            exists=server.exists,
            reads=definitions.read_elsewhere(made, server.schemas, self.database.schema),
        )

    def _old(self, server: preflight.Server, reader: Reader) -> tuple[Object, ...]:
        """The live definitions; of views whose tables are gone, which no dump shows, what the server has stored."""
        old = structure_of(server.structure, self.database.schema)
        written = {o.name for o in old if o.kind == "view"}
        if all(name.removeprefix("view ") in written for name in server.definitions if name.startswith("view ")):
            return old
        asking = asked.views(self.database.defaults_file, self.database.schema)
        rows = cast("list[dict[str, Json]]", reader.ask([asking], at=self.database.host)[0])
        return (*old, *(definitions.stored_view(row) for row in rows if row["name"] not in written))

    def _refuse_unread(self, old: tuple[Object, ...], server: preflight.Server) -> None:
        """What cannot be read cannot be kept, and the cut-over would drop it."""
        missing = sorted({*server.definitions} - {f"{o.kind} {o.name}" for o in old})
        if missing and "lost-definitions" not in self.accept:
            raise Refused(
                f"{len(missing)} live definitions cannot be read and would be lost: {', '.join(missing[:_SHOWN])}",
                where=self.database.host,
                hint="mend or drop them first (SHOW CREATE …), or --accept lost-definitions",
            )

    def _held(self, reader: Reader) -> tuple[Unit, ...]:
        """The units that run now. One that is at rest stays so: somebody may have stopped it for a reason.

        Raises Refused for a unit that its host does not have.
        """
        running = []
        for unit in self.database.units if self.hold_writes else ():
            state = reader.ask([services.state(unit.name)], at=unit.host)[0]
            if state == "unknown":
                raise Refused(f"{unit.host} has no service {unit.name}", hint="see `units` of the database's inventory")
            if state == "active":
                running.append(unit)
        return tuple(running)

    def _units(self, what: str, units: tuple[Unit, ...]) -> list[Change]:
        states = ("active", "inactive") if what == "stop" else ("inactive", "active")
        return [
            Change(
                why=f"{what} {unit.name} on {unit.host}, which writes to the database",
                at=unit.host,
                do=services.order(unit.name, what),
                undo=services.order(unit.name, "start") if what == "stop" else None,
                seen=services.state(unit.name),
                before=wanted(states[0]),
                after=wanted(states[1]),
                layer="database",
            )
            for unit in units
        ]

    def _backup_after(self, run: str) -> list[Change]:
        """A new backup of the restored data into every copy (plan rule BZ-DATA-3)."""
        copies = tuple(copy for copy in self.database.copies if not self.after or copy.name in self.after)
        name, label = f"{naming.of_schema(self.database.schema)}-after-{run}", f"after restore {run}"
        take = transfers.Take(self.database, copies, name, label, numbered=True)
        return [
            Change(
                why=f"back up the restored data to {', '.join(copy.name for copy in copies)}, and read that back",
                at=self.database.host,
                do=_typed(f"mariadb-dump --single-transaction --routines --events --triggers {self.database.schema}"),
                transfer=transfers.transfer(take),
                layer="database",
            )
        ]

    def _expects(self, names: list[str], over: tuple[str, ...], facts: swap.Facts, run: str) -> list[Expect]:
        database, at = self.database, self.database.host
        done = swap.forward(database, run, (), (), facts)
        expects = [
            Expect(
                f"{database.schema} holds the tables, views, triggers, routines and events of the backup",
                at,
                asked.names(database.defaults_file, database.schema, without_events=over),
                wanted([*sorted(names)]),
                layer="database",
            )
        ]
        if done.seen:
            expects.append(Expect("writes go on", at, done.seen, done.after, layer="database"))
        expects += [
            Expect(
                f"the site's own question: {q.sql}", at, staging.question(database, q.sql, q.at_least), wanted("yes")
            )
            for q in database.questions
        ]
        return [replace(expect, layer="database") for expect in expects]

    def _sequences(self) -> frozenset[str]:
        return frozenset(o.name for o in self.contents.objects if o.kind == "sequence")

    def _impact(self, server: preflight.Server) -> list[str]:
        _, undo = staging.schemas(self.database.schema)
        now = f"{len(server.tables)} tables of {self.database.schema} (about {server.rows} rows, "
        said = [
            f"{now}{server.bytes // 1048576} MiB) are replaced by {len(self.contents.tables)}; they stay as {undo}",
            "every write since the backup leaves the live data with them",
            "writes are held for the moment of the cut-over (error 1290); open transactions roll back",
        ]
        moves = len(server.tables) + len(self.contents.tables)
        if moves > _MANY:
            said.append(f"{moves} tables change places in that moment, at a millisecond or two each")
        missing = sorted(set(server.tables) - {table.name for table in self.contents.tables} - self._sequences())
        if missing:
            said.append(f"live tables that the backup does not have: {', '.join(missing[:_SHOWN])}")
        if not server.exists:
            said[0] = f"the schema {self.database.schema} does not exist now; it is made"
        return said

    def _notes(self, old: tuple[Object, ...], sound: tuple[Object, ...], facts: swap.Facts) -> list[str]:
        events = [o.name for o in self.contents.objects if o.kind == "event"]
        notes = [f"definitions kept: {len(old)} live views, triggers, routines and events"]
        if events:
            notes.append(f"{len(events)} events will run again: {', '.join(events[:_SHOWN])}")
        if unsaid := [f"{o.kind} {o.name}" for o in self.contents.objects if definitions.without_definer(o)]:
            said = f"{len(unsaid)} definitions of the backup name no definer; they get {definitions.DEFINER}"
            notes.append(f"{said}: {', '.join(unsaid[:_SHOWN])}")
        if broken := [o.name for o in old if o not in sound]:
            said = f"{len(broken)} live views cannot be opened; an undo leaves them as text in {statements.KEPT}"
            notes.append(f"{said}: {', '.join(broken[:_SHOWN])}")
        if facts.reads:
            notes.append(f"views read other schemas: {', '.join(facts.reads[:_SHOWN])}")
        if self.without_safety:
            notes.append(f"the present data is not backed up first: {self.without_safety}")
        return notes


def structure_of(text: str, schema: str) -> tuple[Object, ...]:
    """The views, triggers, routines and events in the dump of a schema's definitions."""
    if not text:
        return ()
    reading = dump.FORMAT.reading(schema)
    reading.begin("structure")
    for _ in reading.feed(text.encode()):
        pass
    for _ in reading.end():
        pass
    return tuple(o for o in reading.close().objects if o.kind != "sequence")


def without_sql(contents: Contents) -> Contents:
    """The same contents without the text of the definitions, whose hashes stay."""
    return replace(contents, objects=tuple(replace(o, sql="") for o in contents.objects))


def card(database: Database, run: str, facts: swap.Facts) -> list[str]:
    """What an administrator types to take the restore back without remedy: the kept data becomes live again."""
    hold = "SET GLOBAL log_bin_trust_function_creators=1; SET GLOBAL automatic_sp_privileges=0; SET GLOBAL read_only=1"
    let_go = f"SET GLOBAL read_only=0; SET GLOBAL log_bin_trust_function_creators={facts.trust}; "
    let_go += f"SET GLOBAL automatic_sp_privileges={facts.privileges}"
    live = database.schema
    incoming, undo = staging.schemas(live)
    option = f"--defaults-extra-file={shlex.quote(database.defaults_file)} " if database.defaults_file else ""
    run_it = f"mariadb {option}--binary-mode --comments --default-character-set=utf8mb4"
    write_it = f"mariadb {option}--batch --raw -N --default-character-set=utf8mb4"
    file = f"/root/remedy-back-{run}"
    return [
        f"# on {database.host}, as root, to make {undo} live again as {live} (what is live now goes to {incoming}):",
        f"{run_it} -e '{hold}'",
        f"{write_it} > {file}.sql <<'END'",
        *statements.move(live, undo, incoming).splitlines(),
        *statements.drop(live).splitlines(),
        "END",
        f"{run_it} < {file}.sql",
        f"{write_it} > {file}-definitions.sql <<'END'",
        statements.kept(incoming),
        "END",
        "# twice, because some need others; what is there already is an error that does no harm:",
        f"for n in 1 2; do {run_it} --force --database={shlex.quote(live)} < {file}-definitions.sql; done",
        f"{run_it} <<'END'",
        statements.mark(incoming, f"{run} undone"),
        *statements.drop_if_empty(undo).splitlines(),
        "END",
        f"{run_it} -e '{let_go}'",
    ]


def _typed(line: str) -> Command:
    """What an administrator would type; the stream itself is carried by remedy."""
    return Command(tuple(line.split(" ")))


ACTION = Restore
