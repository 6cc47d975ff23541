"""Give a server that does not start any more an empty data directory, and keep the old one whole beside it.

For the day on which there is no server to restore into (plan rules BZ-DATA-1, PY-DB): nothing is copied and nothing is
deleted, the damaged directory is renamed on its own file system, so it is the file-level copy of the data as it was.
The server then starts empty; a restore follows as a run of its own. Undo puts the old directory back in place, keeps
what was made meanwhile as `….undone-RUN`, and leaves the server stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, cast

from remedy.actions import begin
from remedy.backups import accounts, transfers
from remedy.backups.values import Database
from remedy.core.errors import Refused, TargetUnfit
from remedy.core.ports import Reader
from remedy.core.text import printable
from remedy.core.values import Change, Command, Context, Expect, Plan, Site, Target, wanted
from remedy.probes import database as asked
from remedy.probes import datadir, services

#: A server works in its data directory; whatever its service says, it must not be moved from under it.
_AT_REST = (
    'for p in /proc/[0-9]*; do case $(cat "$p/comm" 2>/dev/null) in mysqld|mariadbd) '
    'if [ "$(readlink "$p/cwd" 2>/dev/null)" = "$dir" ]; then echo "process ${p#/proc/} still works in $dir" >&2; '
    "exit 1; fi;; esac; done; "
)
#: The service is stopped here, and not by a step of its own: whether it runs is no sign of how far the run has come.
_ASIDE = (
    "set -eu; dir=$1; aside=$2; run=$3; shift 3; "
    "i=$(command -v mariadb-install-db || command -v mysql_install_db); "
    '"$@" >&2; ' + _AT_REST + 'if [ ! -e "$aside" ]; then mv -T -- "$dir" "$aside"; fi; sync; '
    'if [ ! -e "$dir/.remedy-$run" ]; then rm -rf -- "$dir.new-$run"; mkdir -m 750 -- "$dir.new-$run"; '
    'chown --reference="$aside" -- "$dir.new-$run"; user=$(stat -c %U -- "$aside"); '
    '"$i" --user="$user" --datadir="$dir.new-$run" --skip-test-db >&2; touch -- "$dir.new-$run/.remedy-$run"; '
    'mv -T -- "$dir.new-$run" "$dir"; sync; fi'
)
_BACK = (
    'set -eu; dir=$1; aside=$2; run=$3; shift 3; [ -e "$aside" ] || exit 0; "$@" >&2; '
    + _AT_REST
    + 'rm -rf -- "$dir.new-$run"; '
    'if [ -e "$dir" ]; then mv -T -- "$dir" "$dir.undone-$run"; fi; mv -T -- "$aside" "$dir"; sync'
)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Set the data directory of `database`'s server aside and start an empty one.

    `unit` is the server's service. `accounts` are the statements that make its accounts again (`backups.accounts`),
    `told` says where they come from; what else somebody may have written there is not run. They are kept without
    passwords, which are read in the manifest when the accounts are made: a plan is stored, shown and recorded.
    """

    name: ClassVar[str] = "rebuild"
    database: Database = field(default_factory=lambda: Database("", "", ""))
    unit: str = "mariadb"
    accounts: tuple[str, ...] = ()
    told: str = ""

    def __post_init__(self) -> None:
        """Forget the passwords."""
        object.__setattr__(self, "accounts", accounts.shown(self.accounts))

    def plan(self, target: Target, site: Site, context: Context, reader: Reader) -> Plan:  # noqa: ARG002 -- the port's
        """Look at the dead server. Raises Refused when it is alive, TargetUnfit when its directory cannot be moved."""
        file, run = self.database.defaults_file, context.run
        found = reader.ask([datadir.find(), datadir.answers(file), services.state(self.unit)], at=target.name)
        place = cast("dict[str, str]", found[0])
        if found[1] == "yes":
            raise Refused(
                "the database server answers: there is nothing to rebuild",
                where=target.name,
                hint=f"remedy restore {self.database.name} --latest-valid",
            )
        if found[2] == "unknown":
            raise TargetUnfit(
                f"no service called {self.unit} on {target.name}",
                where=target.name,
                hint="say which starts the server, with --server-unit",
            )
        if place["mounted"] == "yes":
            raise TargetUnfit(
                f"{place['path']} is a mount point and cannot be renamed",
                where=target.name,
                hint="move its content into a folder beside it by hand, then start the empty server and restore",
            )
        if place["install"] == "no":
            raise TargetUnfit(
                "neither mariadb-install-db nor mysql_install_db is there to make a new data directory",
                where=target.name,
                hint="apt-get install mariadb-server",
            )
        path = place["path"]
        aside = f"{path}.remedy-{run}"
        args = ("remedy", path, aside, run, *services.order(self.unit, "stop").argv)
        seen = datadir.state(path, aside, run)
        move = Change(
            why=f"stop {self.unit}, keep the damaged data as {aside}, and make an empty data directory",
            at=target.name,
            do=Command(("sh", "-c", _ASIDE, *args), seconds=300),
            undo=Command(("sh", "-c", _BACK, *args), seconds=180),
            seen=seen,
            before=wanted("absent"),
            after=wanted("done"),
            halfway=wanted("halfway"),
            layer="database",
        )
        start = Change(
            why=f"start {self.unit} on it and wait until it answers",
            at=target.name,
            do=datadir.started(services.order(self.unit, "start"), file),
            undo=services.order(self.unit, "stop"),
            seen=datadir.answers(file),
            before=wanted("no"),
            after=wanted("yes"),
            layer="database",
        )
        return replace(
            begin(self, target, context),
            changes=(move, start, *self._accounts()),
            expects=(
                Expect("the server answers", target.name, datadir.answers(file), wanted("yes"), layer="database"),
                Expect(f"the damaged data is kept as {aside}", target.name, seen, wanted("done"), layer="database"),
            ),
            on_failure="keep",
            impact=(
                f"every database of the server is gone from it until restored: all of {path} is set aside",
                *self._of_accounts(),
            ),
            card=(
                f"# on {target.name}, to put the old data directory back:",
                f"service {self.unit} stop; mv {path} {path}.undone-{run}; mv {aside} {path}",
                f"service {self.unit} start",
                *self._afterwards(),
            ),
            facts=wanted({"datadir": path, "owner": place["owner"]}),
        )

    @property
    def _understood(self) -> tuple[str, ...]:
        """A manifest can be written by whoever can write to a copy: of its statements those that make accounts."""
        return accounts.understood(self.accounts)

    def _afterwards(self) -> list[str]:
        """The grants on what is only there after the restore, should one not have been given."""
        later = accounts.on_objects(self._understood)
        said = "# after the restore, as root in the mariadb client, what `remedy verify` misses of these:"
        return [said, *(f"{one};" for one in later)] if later else []

    def _of_accounts(self) -> list[str]:
        """What becomes of the accounts, in words."""
        known, untold = self._understood, accounts.untold(self.accounts)
        if not self.accounts:
            return ["accounts and their grants are part of it, and no manifest has them: make them by hand"]
        said = [f"{len(accounts.names(known))} accounts are made again from {self.told}"]
        if untold:
            said.append(f"not told by the server when that was written, make them by hand: {_shown(untold)}")
        if others := len(self.accounts) - len(known) - len(untold):
            said.append(f"{others} of its statements are left out: they are none that make accounts as a dump does")
        if later := accounts.on_objects(known):
            said.append(f"{len(later)} rights on single tables and routines are among them, for after the restore")
        if powerful := accounts.powerful(known):
            said.append(f"with rights on everything, look twice: {_shown(powerful)}")
        return said

    def _accounts(self) -> list[Change]:
        """Make the accounts again, one statement after another."""
        known = self._understood
        found = accounts.names(known)
        if not found:
            return []
        listed = ", ".join(asked.quoted(name) for name in found)
        # While they are being made a schema says so: all accounts may be there, and not yet all their rights.
        counted = (
            "SELECT CONCAT(COUNT(*), IF(EXISTS(SELECT 1 FROM information_schema.schemata WHERE "
            f"schema_name='{transfers.ACCOUNTS_BEGUN}'), ' begun', '')) FROM mysql.user "
            f"WHERE IF(is_role='Y', user, CONCAT(user,'@',host)) IN ({listed});"
        )
        file = self.database.defaults_file
        return [
            Change(
                why=f"make {len(found)} accounts again: {_shown(found)}",
                at=self.database.host,
                # What it comes to, with the passwords that are in the manifest.
                do=asked.client(file, "--batch", "--binary-mode", "--force", sql=accounts.again(known)),
                seen=asked.fingerprint(file, counted),
                after=wanted(f"{len(found)}"),
                # One that this server cannot make (a plugin is missing) does not keep the others away.
                essential=False,
                layer="database",
                transfer=transfers.transfer(transfers.Accounts(self.database, known)),
            )
        ]


def _shown(names: Sequence[str]) -> str:
    """Names of accounts, which anybody may have chosen, for people."""
    return printable(", ".join(names), 400, one_line=True)


ACTION = Rebuild
