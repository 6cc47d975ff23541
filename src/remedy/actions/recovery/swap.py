r"""The cut-over: the staged data becomes the live data in one moment, the old data stays under another name.

Decides the one script that does it, forwards and back. It runs on the database host to its end whatever becomes of the
session, and can be sent again after it was cut short at any point, also by a power cut:

 1. hold writes: `read_only`, and an option file so that a restarted server is still held (where there is a folder for
    it); sessions on the schema are ended, so that what they had open rolls back and is told so (error 1290 on COMMIT);
 2. are the live definitions still those of the plan? else nothing is moved;
 3. write into the mark that it begins, drop the triggers (a table with triggers cannot change schema: error 1435),
    then **one** RENAME of everything: live to aside, incoming to live, the mark with them. It is all or nothing, also
    in a crash (MariaDB 10.6, MySQL 8);
 4. drop the old definitions but those that are the same in both, create the others with an account that can create
    definitions in this schema and nothing else; what cannot be created is tried again while others succeed (views that
    need views). When one cannot be created at all, everything is moved back;
 5. write into the mark that it is done, and let writes go on.

Which tables there are is asked while writes are held, not known from the plan: a table that an application made
meanwhile moves with the others. Follows the MariaDB manual (RENAME TABLE, read_only, CREATE USER).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from remedy.actions.recovery import statements
from remedy.actions.recovery.definitions import passing, unchanged
from remedy.actions.recovery.script import END, SCRIPT
from remedy.actions.recovery.staging import create_account, drop_account, everything_in, schemas, step
from remedy.backups.values import Database, Object
from remedy.core.canon import digest, encode
from remedy.core.values import Change, Command, wanted
from remedy.probes.database import named, quoted

#: What creating definitions takes, and no more: tables and rows are out of this account's reach.
_RIGHTS: Final = "SELECT, CREATE VIEW, SHOW VIEW, TRIGGER, EVENT, CREATE ROUTINE, ALTER ROUTINE, EXECUTE"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a cut-over needs to know of the server.

    `fingerprint` is that of the live definitions (`statements.fingerprint`), "" not to compare. `option_folder` is
    included by the server's configuration, "" when there is none. `trust` (log_bin_trust_function_creators),
    `privileges` (automatic_sp_privileges) and `scheduler` (whether events run) are put back afterwards. `rights` let an
    account name another one as definer while writes are held. `exists` says whether there was a live schema at all.
    `reads` are other schemas that views of the live one read, without which they cannot be created.
    """

    fingerprint: str
    option_folder: str
    trust: str
    rights: str
    privileges: str = "1"
    scheduler: bool = False
    exists: bool = True
    reads: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Swap:
    """One cut-over: `source` becomes live, what is live goes `aside`; the mark said `was` and then says `stage`.

    Forwards the stage is "swapped", back it is "undone". `new` are the definitions that belong to what comes, `old` to
    what goes.
    """

    database: Database
    run: str
    source: str
    aside: str
    was: str
    stage: str
    new: tuple[Object, ...]
    old: tuple[Object, ...]
    facts: Facts

    def command(self) -> Command:
        """The script and its texts."""
        live, forward = self.database.schema, self.stage == "swapped"
        begins = "moving" if forward else "returning"
        fingerprint = self.facts.fingerprint if forward else ""
        # Where there was no live schema, none is left by what does not happen or is taken back.
        stays = unchanged(self.new, self.old)
        names = {(o.kind, o.name) for o in stays}
        gone = "" if self.facts.exists else "\n" + statements.drop_if_empty(live)
        texts = {
            "live": quoted(live),
            "finished": statements.marked(self.aside, f"table_comment='{self.run} {self.stage}'"),
            "moved": statements.marked(self.aside, f"table_comment LIKE '{self.run} %'"),
            "begun": statements.marked(self.source, f"table_comment='{self.run} {begins}'"),
            "theirs": f"SELECT CONCAT(@@GLOBAL.read_only) NOT IN ('0','OFF') AND NOT EXISTS(SELECT 1 FROM mysql.user "
            f"WHERE user='{self._user}');",
            "begin": f"{statements.BRIEFLY}\n{statements.mark(self.source, f'{self.run} {begins}')}",
            "unmark": f"{statements.mark(self.source, f'{self.run} {self.was}')}\n"
            f"{statements.drop_if_empty(self.aside)}{gone if forward else ''}",
            "print": statements.fingerprint(live) if fingerprint else "SELECT '';",
            "account": self._account(),
            "freeze": self._freeze(),
            "thaw": self._thaw(),
            "away": drop_account(self._user),
            "move": statements.move(live, self.source, self.aside),
            "back": statements.move(live, self.aside, self.source),
            "drop": statements.drop(live, stays),
            "count.new": statements.count(live, passing(self.new)),
            "count.old": statements.count(live, passing(self.old)),
            "new": "\n".join(o.sql for o in self.new if (o.kind, o.name) not in names),
            "old": "\n".join(o.sql for o in self.old if (o.kind, o.name) not in names),
            "mark": f"INSERT INTO {named(self.aside)}.{named(statements.KEPT)} (kind, name, definition) VALUES "
            f"('cut-over', '{self.stage}', '@MS@');\n{self._final_mark()}\n"
            f"{statements.drop_if_empty(self.source)}{'' if forward else gone}",
            END: "",
        }
        cut = digest(encode(texts))
        stdin = "".join(f"{cut} {name}\n{text}\n" for name, text in texts.items())
        hold = _hold(self.facts, self.run)
        argv = ("sh", "-c", SCRIPT, "remedy", self.database.defaults_file, self.run, live, self.aside, hold)
        numbers = (f"{len(made) - len(passing(made))}" for made in (self.new, self.old))
        return Command((*argv, fingerprint, *numbers, cut), stdin=stdin, seconds=300)

    def _final_mark(self) -> str:
        """What has been live, if only for a moment, is marked as such and is never dropped by an undo."""
        if self.stage == "swapped":
            return statements.mark(self.aside, f"{self.run} swapped")
        was_live = statements.marked(self.aside, f"table_comment='{self.run} returning'").rstrip(";")
        return (
            f"SET @said = IF(({was_live}), {quoted(statements.mark(self.aside, f'{self.run} undone'))}, "
            f"{quoted(statements.mark(self.aside, f'{self.run} proven'))});\n"
            "PREPARE said FROM @said;\nEXECUTE said;"
        )

    @property
    def _user(self) -> str:
        return f"remedy_swap_{self.run}"

    def _account(self) -> str:
        """The account that creates definitions: here, naming definers; elsewhere it may read what views do."""
        grants = [f"{_RIGHTS} ON {everything_in(self.database.schema)}", f"{self.facts.rights} ON *.*"]
        grants += [f"SELECT, SHOW VIEW, EXECUTE ON {everything_in(schema)}" for schema in self.facts.reads]
        return create_account(self._user, grants)

    def _freeze(self) -> str:
        """Events stand still too: they may run by rights that read_only does not stop.

        Without automatic_sp_privileges=0, dropping a routine would take away everybody's right to call it.
        """
        scheduler = "SET GLOBAL event_scheduler=OFF;\n" if self.facts.scheduler else ""
        return (
            f"{statements.BRIEFLY}\nSET GLOBAL log_bin_trust_function_creators=1;\n"
            f"SET GLOBAL automatic_sp_privileges=0;\n{scheduler}SET GLOBAL read_only=1;"
        )

    def _thaw(self) -> str:
        scheduler = "SET GLOBAL event_scheduler=ON;\n" if self.facts.scheduler else ""
        return (
            f"SET GLOBAL read_only=0;\nSET GLOBAL log_bin_trust_function_creators={self.facts.trust};\n"
            f"SET GLOBAL automatic_sp_privileges={self.facts.privileges};\n{scheduler}{drop_account(self._user)}"
        )


def forward(database: Database, run: str, new: tuple[Object, ...], old: tuple[Object, ...], facts: Facts) -> Change:
    """The step that makes the staged data live, and its way back."""
    incoming, undo = schemas(database.schema)
    there = Swap(database, run, incoming, undo, "proven", "swapped", new, old, facts)
    back = Swap(database, run, undo, incoming, "swapped", "undone", old, new, facts)
    return Change(
        why=f"cut over: {database.schema} becomes the restored data, the present data is kept as {undo}",
        at=database.host,
        do=there.command(),
        undo=back.command(),
        seen=step(database, run, "swap", _hold(facts, run)),
        before=wanted("absent"),
        after=wanted("done"),
        halfway=wanted("halfway"),
        layer="database",
    )


def _hold(facts: Facts, run: str) -> str:
    return f"{facts.option_folder}/zz-remedy-{run}.cnf" if facts.option_folder else ""
