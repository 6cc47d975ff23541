"""Take a backup into every copy, with a manifest that says exactly what is in it, and read it back.

Decides what is shown before it begins. The dump, the manifest and the proof are one stream (`backups.transfers.Take`);
what has gone into a copy is read back from there before it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar, cast

from remedy.actions import begin
from remedy.backups import transfers
from remedy.backups.values import Database
from remedy.core.errors import Refused, UsageError
from remedy.core.ports import Reader
from remedy.core.values import Change, Command, Context, Plan, Site, Target, wanted
from remedy.probes import database as asked


@dataclass(frozen=True, slots=True)
class TakeBackup:
    """Back `database` up as `file_name` (without suffix) into its copies; `only` names some of them, () is all.

    Where a copy has something of that name a number is added: nothing is ever written over.
    """

    name: ClassVar[str] = "backup"
    database: Database = field(default_factory=lambda: Database("", "", ""))
    file_name: str = ""
    only: tuple[str, ...] = ()
    label: str = ""

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Ask the server what there is. Raises Refused when there is nothing, UsageError for an unknown copy."""
        known = [copy.name for copy in self.database.copies]
        if unknown := [name for name in self.only if name not in known]:
            raise UsageError(
                f"{self.database.name} has no copy called {unknown[0]!r}", hint=f"has: {', '.join(known) or 'none'}"
            )
        copies = tuple(copy for copy in self.database.copies if not self.only or copy.name in self.only)
        if not copies:
            raise UsageError(
                f"the inventory names no copy of {self.database.name}", hint="see `remedy_databases` in the inventory"
            )
        file, schema = self.database.defaults_file, self.database.schema
        found, settings = reader.ask([asked.names(file, schema), asked.variables(file)], at=target.name)
        names = cast("list[str]", found)
        if not names:
            raise Refused(
                f"{schema} holds nothing, or does not exist", where=target.name, hint="nothing was written anywhere"
            )
        take = transfers.Take(self.database, copies, self.file_name, label=self.label, numbered=True)
        change = Change(
            why=f"dump {schema} as {self.file_name} to {', '.join(copy.name for copy in copies)}, and read that back",
            at=target.name,
            do=Command(("mariadb-dump", "--single-transaction", "--routines", "--events", "--triggers", schema)),
            transfer=transfers.transfer(take),
            layer="database",
        )
        tables = sum(1 for name in names if name.startswith("table "))
        return replace(
            begin(self, target, context),
            changes=(change,),
            on_failure="keep",
            impact=(f"{tables} tables and {len(names) - tables} other definitions are read in one snapshot",),
            facts=wanted({"server": str(cast("dict[str, str]", settings).get("version", ""))}),
        )


ACTION = TakeBackup
