"""What a rebuild does about the accounts that went with the data directory: made again from a manifest, and told."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.mariadb import Server, shell

from remedy.actions.rebuild import Rebuild
from remedy.backups.values import Database
from remedy.core.canon import Json, canonical
from remedy.core.errors import Refused, TargetUnfit
from remedy.core.values import Change, Context, Plan, Probe, Reply, Site, Target
from remedy.probes import parse

MADE: Final = (
    "CREATE ROLE `reader`",
    "CREATE USER `app`@`198.18.1.%` IDENTIFIED BY PASSWORD '*D821809F681A40A6E379B50D0463EFAE20BDD122'",
    "CREATE USER `o'neil`@`%`",
    "GRANT SELECT ON `site`.* TO `reader`",
    "GRANT `reader` TO `app`@`198.18.1.%`",
    "GRANT SELECT ON `site`.`t` TO `o'neil`@`%`",
    "SET DEFAULT ROLE `reader` FOR `app`@`198.18.1.%`",
)


@dataclass
class Dead:
    """A host whose server does not answer; what it says can be changed."""

    answers: str = "no"
    state: str = "inactive"
    mounted: str = "no"
    install: str = "yes"

    def ask(self, probes: Sequence[Probe], *, at: str) -> tuple[Json, ...]:
        """As core.ports.Reader."""
        assert at == "db01"
        place: Json = {"path": "/var/lib/mysql", "mounted": self.mounted, "owner": "mysql", "install": self.install}
        assert [probe.parser.partition(".")[0] for probe in probes] == ["datadir", "datadir", "services"]
        return place, self.answers, self.state

    def ask_all(self, questions: Sequence[tuple[str, Sequence[Probe]]]) -> tuple[tuple[Json, ...] | Exception, ...]:
        """As core.ports.Reader."""
        return tuple(self.ask(probes, at=at) for at, probes in questions)


def plan(accounts: Sequence[str] = (), host: Dead | None = None, option_file: str = "") -> Plan:
    """What a rebuild of db01 would do."""
    action = Rebuild(
        Database("site", "site", "db01", defaults_file=option_file), accounts=tuple(accounts), told="the manifest"
    )
    return action.plan(Target("db01", "198.18.2.21"), Site(), Context("R1", "INC-1", "0" * 16), host or Dead())


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that has just got an empty data directory."""
    made = Server(Path(tempfile.mkdtemp(prefix="rebuilt-", dir="/tmp")))
    try:
        yield made.start()
    finally:
        made.close()


def seen(step: Change) -> str:
    """What the step's question is answered here."""
    assert step.seen
    done = shell(step.seen.command.argv, step.seen.command.stdin)
    assert not done.returncode, done.stderr
    return canonical(parse(step.seen.parser, Reply(0, done.stdout))).decode()


def test_accounts_are_made_and_counted(server: Server) -> None:
    """The step makes roles, accounts and grants on a real server, one that it cannot make aside, and counts them."""
    lacking = "CREATE USER `odd`@`%` IDENTIFIED VIA nothing_of_the_kind"
    step = plan((lacking, *MADE), option_file=str(server.option_file)).changes[-1]
    assert not step.essential
    assert seen(step) != step.after
    shell(step.do.argv, step.do.stdin)
    grants = server.sql("SHOW GRANTS FOR app@'198.18.1.%'", "--raw")
    assert [line for line in grants if line.startswith("GRANT `reader` TO `app`")]
    assert server.sql("SELECT default_role FROM mysql.user WHERE user='app'") == ["reader"]
    assert server.sql("SHOW GRANTS FOR reader", "--raw")[-1] == "GRANT SELECT ON `site`.* TO `reader`"
    assert seen(step) != step.after, "one is missing, and that is not called done"
    assert seen(plan(MADE, option_file=str(server.option_file)).changes[-1]) == step.after.replace("4", "3")
    shell(step.do.argv, step.do.stdin)
    assert server.sql("SHOW GRANTS FOR app@'198.18.1.%'", "--raw") == grants


def test_what_people_are_told() -> None:
    """Grants on tables wait for the restore and are on the card; powerful accounts and planted statements are told."""
    made = plan((*MADE, "GRANT ALL PRIVILEGES ON *.* TO `spy\u202e`@`%`", "DROP DATABASE mysql", "\\! reboot"))
    said = "\n".join(made.impact)
    assert "4 accounts are made again from the manifest" in said
    assert "1 grants on single tables" in said
    assert "look twice: spy\\u202e@%" in said
    assert "2 of its statements are left out" in said
    assert "GRANT SELECT ON `site`.`t` TO `o'neil`@`%`;" in made.card
    script = made.changes[-1].do.stdin
    assert "DROP" not in script
    assert "reboot" not in script
    assert "`site`.`t`" not in script
    assert "\u202e" not in made.changes[-1].why


@pytest.mark.parametrize("accounts", [(), ("DROP DATABASE mysql",), ("GRANT SELECT ON `site`.`t` TO `o`@`%`",)])
def test_nothing_to_make(accounts: tuple[str, ...]) -> None:
    """Without a statement that can be run at once there is no step for accounts, and the plan says what is left."""
    made = plan(accounts)
    assert len(made.changes) == 2
    assert any("accounts" in line for line in made.impact)


@pytest.mark.parametrize(
    ("host", "error", "said"),
    [
        (Dead(answers="yes"), Refused, "answers"),
        (Dead(state="unknown"), TargetUnfit, "no service called mariadb"),
        (Dead(mounted="yes"), TargetUnfit, "mount point"),
        (Dead(install="no"), TargetUnfit, "mariadb-install-db"),
    ],
)
def test_refused(host: Dead, error: type[Exception], said: str) -> None:
    """A living server is not rebuilt, and neither is one whose directory cannot be moved or made anew."""
    with pytest.raises(error, match=said):
        plan((), host)
