"""Restore a backup where nothing can come of it, and see: the proof that it can be restored, or that it cannot.

Decides the order: an isolated server on the staging host, the backup loaded into it under the database's own name (so
that qualified names mean what they mean), dumped again and compared, every table checked, the site's own questions
asked, everything removed. A physical backup is started instead of loaded, and what it holds is then known for the first
time. Binary logs may follow, for a point in time. Whatever fails, nothing is left; the live server is only asked how it
is set, and may be dead. Leaves to others: the server (`recovery.instance`), the streams, and what a proof is worth.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, cast

from remedy.actions import begin
from remedy.actions.recovery import inside, instance, prepared
from remedy.actions.recovery.instance import BASE, HOURS, Instance, Programs
from remedy.backups import formats, transfers
from remedy.backups.binlog import Stretch
from remedy.backups.manifest import bare
from remedy.backups.transfers import Compare, Load, Survey
from remedy.backups.values import Backup, Copy, Database, Judgement, reaches
from remedy.core.errors import Refused, TargetUnfit, UsageError
from remedy.core.ports import Reader
from remedy.core.text import printable
from remedy.core.values import Change, Command, Context, Plan, Site, Target, wanted
from remedy.probes import instance as asked

#: Bytes of disk per byte of dump text (rows, indexes, redo and undo logs, temporary files), and for the server itself;
#: per byte of a physical backup.
_LOGICAL: Final = 3.0
_PHYSICAL: Final = 1.3
_SERVER: Final = 768 << 20
#: Bytes of text a second that were loaded, and read back, by two clients on two cores; files that were fetched.
_LOAD: Final = 25e6
_READ: Final = 60e6
_FETCH: Final = 80e6
_LEAST_MEMORY_KIB: Final = 384 << 10
_MOST_CLIENTS: Final = 4
_VERSION: Final = re.compile(r"(?:Ver |server )?(\d+)\.(\d+)\.(\d+)")
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Prove:
    """Prove `backup` of `database`, as it lies in `copy` and was judged before.

    `folder` is where on the staging host the isolated server is made, `hours` after which it goes away by itself.
    `stretch` are binary logs in `logs_copy` that are applied afterwards. With `keep` the server stays, for a restore
    that loads from it (`Load.staged`); whoever keeps it has to remove it.
    """

    name: ClassVar[str] = "prove"
    database: Database = field(default_factory=lambda: Database("", "", ""))
    copy: Copy = field(default_factory=lambda: Copy(""))
    backup: Backup = field(default_factory=lambda: Backup("", "", "", ()))
    judgement: Judgement = field(default_factory=lambda: Judgement("", 0, "listed"))
    folder: str = BASE
    hours: int = HOURS
    stretch: Stretch | None = None
    logs_copy: Copy | None = None
    keep: bool = False

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Ask the staging host and the live server, and say exactly what would be done.

        Raises Refused, TargetUnfit, UsageError, Unreachable, AnswerUnusable.
        """
        at = self.database.staging or self.database.host
        if target.name != at:
            raise UsageError(f"backups of {self.database.name} are proven on {at}, not on {target.name}")
        plan = begin(self, target, context)
        if reaches(self.judgement.level, "proven") and not self.stretch and not self.keep:
            return replace(plan, notes=(f"{self._shown()} is proven already",))
        self._refuse_unread()
        one = Instance(at, context.run, self.folder)
        found, live = self._look(one, reader)
        programs = _programs(found, at)
        self._refuse_unfit(found, at)
        expect = instance.answers(one) if self.keep else instance.gone(one)
        facts = {"server": found["server"], "live": live, "backup": self.judgement.sha256}
        return replace(
            plan,
            changes=tuple(self._steps(one, programs, live or {}, int(found["cpus"]))),
            expects=(expect,),
            on_failure="undo",
            impact=(f"the live data of {self.database.name} is not touched; {at} works for it, as much as it can",),
            notes=tuple(self._notes(found, live, at)),
            card=instance.card(one),
            facts=wanted(facts),
        )

    def _shown(self) -> str:
        return printable(f"{self.backup.name} of {self.copy.name}", 160, one_line=True)

    @property
    def _physical(self) -> bool:
        return formats.named(self.backup.format).kind == "physical"

    def _refuse_unread(self) -> None:
        if not reaches(self.judgement.level, "whole"):
            raise Refused(
                f"{self._shown()} is not known to be whole, only {self.judgement.level}: there is nothing to compare "
                "with",
                hint=f"remedy backup check {self.database.name}",
            )
        if self.stretch is not None and (not self.stretch.files or self.logs_copy is None):
            raise UsageError("binary logs are to be applied, and none are named")

    def _definers(self) -> tuple[str, ...]:
        return tuple(sorted({item.definer for item in self.judgement.contents.objects if item.definer}))

    def _look(self, one: Instance, reader: Reader) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The staging host, and the live server if it answers."""
        live = asked.live(self.database.defaults_file, self.database.schema, self._definers())
        there, found = reader.ask_all([(one.at, [asked.host(one.base)]), (self.database.host, [live])])
        if isinstance(there, Exception):
            raise there
        settings = None if isinstance(found, Exception) else cast("dict[str, Any] | None", found[0])
        return cast("dict[str, Any]", there[0]), settings

    def _need(self) -> int:
        """Bytes of disk."""
        factor = _PHYSICAL if self._physical else _LOGICAL
        logs = sum(file.size for file in self.stretch.files) * 2 if self.stretch else 0
        return int(self.judgement.read * factor) + _SERVER + logs

    def _refuse_unfit(self, found: dict[str, Any], at: str) -> None:
        need, free = self._need(), int(found["free_kib"]) << 10
        if free < need:
            raise TargetUnfit(
                f"{self.folder} has {_gib(free)} free, proving this backup takes about {_gib(need)}",
                where=at,
                hint="make room, or name another staging host or folder; nothing was changed",
            )
        if int(found["memory_kib"]) < _LEAST_MEMORY_KIB:
            raise TargetUnfit(
                f"only {found['memory_kib'] >> 10} MiB of memory are available, a second server takes 384",
                where=at,
                hint="name another staging host",
            )
        if found["apparmor"]:
            raise TargetUnfit(
                f"AppArmor confines the server to its own folders: {printable(found['apparmor'], 120, one_line=True)}",
                where=at,
                hint=f"allow it {self.folder}/staging-*/** rwk in /etc/apparmor.d/local, then reload the profile",
            )
        if self._physical:
            self._refuse_other_series(found, at)

    def _refuse_other_series(self, found: dict[str, Any], at: str) -> None:
        """Files of one series are read by that series alone: another would upgrade them, or refuse them."""
        needed = {
            "mariadb-backup",
            "setpriv",
            "mbstream" if formats.named(self.backup.format).span == "file" else "tar",
        }
        if missing := sorted(needed - {*found["programs"]}):
            raise TargetUnfit(f"{missing[0]} is not installed", where=at, hint="apt-get install mariadb-backup")
        made, here = _series(self.judgement.contents.facts.server), _series(found["backup"])
        if made and here and made != here:
            raise TargetUnfit(
                f"the backup holds files of a server {made[0]}.{made[1]}, this host has {here[0]}.{here[1]}",
                where=at,
                hint="name a staging host with the same series",
            )

    def _steps(self, one: Instance, programs: Programs, live: dict[str, Any], cpus: int) -> list[Change]:
        start = instance.start(one, programs, live, self.hours * 3600)
        if self._physical:
            fetch = prepared.fetch(one, self.database, self.copy, self.backup, self.judgement.sha256)
            steps = [instance.make(one), fetch, prepared.prepare(one, programs), start]
        else:
            clients = max(2, min(cpus, _MOST_CLIENTS))
            made = inside.schema(one, self.database.schema, live, self._definers())
            steps = [instance.make(one), start, made, self._load(one, clients)]
            steps.append(self._compare(one, clients, tuple(live.get("missing", ()))))
            steps.append(inside.mark(one))
        if self.stretch is not None and self.logs_copy is not None:
            steps.append(prepared.fetch_logs(one, self.database, self.logs_copy, self.stretch))
            steps.append(prepared.apply_logs(one, self.database.schema, self.stretch))
        if self._physical or self.stretch is not None:
            steps.append(self._survey(one))
        steps += [inside.ask(one, self.database.schema, question) for question in self.database.questions]
        return steps if self.keep else [*steps, instance.remove(one)]

    def _load(self, one: Instance, clients: int) -> Change:
        # What its own account may not do is done with the option file of the database: here, the instance's.
        database = replace(self.database, defaults_file=one.own)
        schema = self.database.schema
        load = Load(
            database=database,
            copy=self.copy,
            backup=self.backup,
            sha256=self.judgement.sha256,
            contents=bare(self.judgement.contents),
            into=schema,
            login=one.login,
            socket=one.socket,
            clients=clients,
            objects=True,
        )
        shown = printable(schema, 64, one_line=True)
        return Change(
            why=f"load {self._shown()} into {shown} there, views, triggers, routines and events too",
            at=one.at,
            do=Command(("mariadb", f"--defaults-file={one.login}", "--sandbox", "--binary-mode", schema)),
            seen=inside.compared(one),
            before=wanted("absent"),
            after=wanted("done"),
            transfer=transfers.transfer(load),
            layer="database",
        )

    def _compare(self, one: Instance, clients: int, missing: tuple[str, ...]) -> Change:
        # A server writes a view in other words while its definer is no account; here every definer is one.
        objects = self.judgement.contents.objects
        rewritten = tuple(f"{item.kind} {item.name}" for item in objects if item.definer in missing)
        compare = Compare(
            database=replace(self.database, defaults_file=one.own),
            contents=bare(self.judgement.contents),
            into=self.database.schema,
            login=one.own,
            socket=one.socket,
            clients=clients,
            objects=True,
            accepted=rewritten,
            copy=self.copy,
            backup=self.backup,
        )
        return Change(
            why="dump it again and compare every table and definition with the backup; CHECK TABLE",
            at=one.at,
            do=Command(("mariadb-dump", f"--defaults-file={one.own}", "--single-transaction", self.database.schema)),
            seen=inside.compared(one),
            before=wanted("absent"),
            after=wanted("done"),
            transfer=transfers.transfer(compare),
            layer="database",
        )

    def _survey(self, one: Instance) -> Change:
        return Change(
            why="CHECK TABLE everything, dump it, and note what it holds",
            at=one.at,
            do=Command(("mariadb-dump", f"--defaults-file={one.own}", "--single-transaction", self.database.schema)),
            transfer=transfers.transfer(Survey(self.database.schema, one.own, one.socket)),
            layer="database",
        )

    def _notes(self, found: dict[str, Any], live: dict[str, Any] | None, at: str) -> list[str]:
        text = self.judgement.read
        seconds = text / _FETCH + 2 * text / _READ if self._physical else text / _LOAD + text / _READ
        free = _gib(int(found["free_kib"]) << 10)
        notes = [
            f"disk: about {_gib(self._need())} of {free} that are free below {self.folder} on {at}",
            f"time: about {max(1, round((seconds + 10) / 60))} min",
            f"server: {printable(found['server'], 100, one_line=True)}",
            *self._versions(found),
        ]
        if live is None:
            notes.append(f"the live server on {self.database.host} does not answer: its settings are not known")
        elif live["missing"]:
            shown = printable(", ".join(live["missing"][:_SHOWN]), 120, one_line=True)
            notes.append(
                f"views or routines belong to accounts that the live server lacks (made for the proof): {shown}"
            )
        if not found["network"]:
            notes.append(f"{at} gives no network namespace: the isolated server has no open port, but could dial out")
        if found["selinux"]:
            notes.append("SELinux enforces; how it sees a second server was not tried")
        if not self.database.questions:
            notes.append("no question of the site's own is asked: give the database `questions` in the inventory")
        if found["left"]:
            shown = printable(", ".join(found["left"][:_SHOWN]), 120, one_line=True)
            notes.append(f"left below {self.folder} by other runs: {shown}; if none of them still works, remove them")
        return notes

    def _versions(self, found: dict[str, Any]) -> list[str]:
        """A backup of another brand or of a newer series says things this server may not know."""
        server = self.judgement.contents.facts.server
        made, here = _series(server), _series(found["server"])
        shown = printable(server, 60, one_line=True)
        if made and ("mariadb" in server.lower()) != ("mariadb" in found["server"].lower()):
            return [f"the backup was made from a server of another brand ({shown})"]
        if made and here and made > here:
            return [f"the backup was made from a newer server ({shown}): what only that one knows is refused"]
        return []


def _programs(found: dict[str, Any], at: str) -> Programs:
    """What runs the instance. Raises TargetUnfit when something is missing."""
    there = {*found["programs"]}

    def first(*names: str) -> str:
        return next((name for name in names if name in there), "")

    server, install = first("mariadbd", "mysqld"), first("mariadb-install-db", "mysql_install_db")
    mariadb = "mariadb" in found["server"].lower()
    missing = [
        what
        for what, name in (
            ("a database server (mariadbd or mysqld)", server and found["server"]),
            ("a client (mariadb or mysql)", first("mariadb", "mysql")),
            ("a dump program (mariadb-dump or mysqldump)", first("mariadb-dump", "mysqldump")),
            ("mariadb-install-db", install or not mariadb),
            ("setsid (util-linux)", first("setsid")),
        )
        if not name
    ]
    if missing:
        raise TargetUnfit(
            f"this host lacks {', '.join(missing)}",
            where=at,
            hint="apt-get install mariadb-server, or name another staging host in the inventory",
        )
    if found["uid"] != "0":
        raise TargetUnfit(
            "an isolated server is made by root", where=at, hint="log in as root, or set ansible_become: true"
        )
    if not found["account"]:
        raise TargetUnfit("there is no account mysql to run a server with", where=at, hint="install mariadb-server")
    return Programs(server, install if mariadb else "", found["account"], bool(found["network"]))


def _series(text: str) -> tuple[int, int] | None:
    """Major and minor version in ``mariadbd  Ver 10.11.6-MariaDB …`` or ``10.11.6-MariaDB-log``."""
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2])) if match else None


def _gib(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"


ACTION = Prove
