"""What a rebuild does about the accounts that went with the data directory: made again from a manifest, and told."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.worlds.mariadb import Server, shell

from remedy.actions import build
from remedy.actions.rebuild import Rebuild
from remedy.backups.manifest import Manifest, encoded
from remedy.backups.transfers import ACCOUNTS_BEGUN
from remedy.backups.values import Copy, Database
from remedy.core.canon import Json, canonical, decode, encode
from remedy.core.errors import Refused, TargetUnfit
from remedy.core.values import Change, Context, Plan, Probe, Reply, Site, Target
from remedy.probes import parse
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers import Carrier

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


def plan(
    accounts: Sequence[str] = (), host: Dead | None = None, option_file: str = "", copies: tuple[Copy, ...] = ()
) -> Plan:
    """What a rebuild of db01 would do."""
    database = Database("site", "site", "db01", copies, defaults_file=option_file)
    action = Rebuild(database, accounts=tuple(accounts), told="the manifest")
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


HASH: Final = "*D821809F681A40A6E379B50D0463EFAE20BDD122"


def carried(step: Change, folder: Path, statements: Sequence[str]) -> Reply:
    """The step, with a copy whose manifest has these statements."""
    manifest = Manifest("site", "site", "db01", "10.11", 1, "0" * 64, 1, accounts=tuple(statements))
    (folder / "now.manifest.json").write_bytes(encoded(manifest))
    assert step.transfer
    local = Target(CONTROLLER, "127.0.0.1", user="root")
    with Bulk(lambda name: Target(name, ""), lambda secret: secret.value, local=local, user="root") as bulk:
        carrier = Carrier(bulk, lambda _, copy: FolderShelf(copy, bulk), lambda chunks, _: ("", False, iter(chunks)))
        return carrier(step.transfer, CONTROLLER, lambda *_: None)


def test_accounts_are_made_and_counted(server: Server, tmp_path: Path) -> None:
    """The step makes roles, accounts and grants on a real server, one that it cannot make aside, and counts them."""
    lacking = "CREATE USER `odd`@`%` IDENTIFIED VIA nothing_of_the_kind"
    copies = (Copy("near", host=CONTROLLER, path=str(tmp_path)),)
    step = plan((lacking, *MADE), option_file=str(server.option_file), copies=copies).changes[-1]
    assert not step.essential
    assert seen(step) != step.after
    reply = carried(step, tmp_path, (lacking, *MADE))
    assert reply.status == 1
    assert b"odd@%" in reply.err
    grants = server.sql("SHOW GRANTS FOR app@'198.18.1.%'", "--raw")
    assert [line for line in grants if line.startswith("GRANT `reader` TO `app`")]
    assert [line for line in grants if HASH in line], "it is let in as before"
    assert server.sql("SELECT default_role FROM mysql.user WHERE user='app'") == ["reader"]
    assert server.sql("SHOW GRANTS FOR reader", "--raw")[-1] == "GRANT SELECT ON `site`.* TO `reader`"
    assert server.sql("SHOW GRANTS FOR `o'neil`", "--raw")[-1] == "GRANT SELECT ON `site`.`t` TO `o'neil`@`%`"
    assert seen(step) != step.after, "one is missing, and that is not called done"
    step = plan(MADE, option_file=str(server.option_file), copies=copies).changes[-1]
    assert seen(step) == step.after
    assert carried(step, tmp_path, MADE).status == 0
    assert server.sql("SHOW GRANTS FOR app@'198.18.1.%'", "--raw") == grants
    server.sql(f"CREATE DATABASE {ACCOUNTS_BEGUN}")
    assert seen(step) != step.after, "while rights may be missing it is not done"
    assert carried(step, tmp_path, MADE).status == 0
    assert seen(step) == step.after


def test_no_password_is_in_a_plan(tmp_path: Path) -> None:
    """Neither the plan nor the action that made it holds what an account is let in by; planned again it is the same."""
    made = plan(MADE, copies=(Copy("near", host=CONTROLLER, path=str(tmp_path)),))
    text = json.dumps(encode(made), ensure_ascii=False)
    assert "IDENTIFIED BY PASSWORD '…'" in text
    assert HASH not in text
    assert decode(Plan, json.loads(text)) == made
    again = build(made.action, made.params)
    assert again.plan(Target("db01", "198.18.2.21"), Site(), Context("R1", "INC-1", "0" * 16), Dead()) == made


def test_what_people_are_told() -> None:
    """Grants on tables are on the card; powerful accounts, untold ones and planted statements are told."""
    odd = ("GRANT ALL PRIVILEGES ON *.* TO `spy\u202e`@`%`", "DROP DATABASE mysql", "\\! reboot", "-- not told: old@%")
    made = plan((*MADE, *odd))
    said = "\n".join(made.impact)
    assert "4 accounts are made again from the manifest" in said
    assert "1 rights on single tables and routines are among them" in said
    assert "make them by hand: old@%" in said
    assert "look twice: spy\\u202e@%" in said
    assert "2 of its statements are left out" in said
    assert "GRANT SELECT ON `site`.`t` TO `o'neil`@`%`;" in made.card
    text = json.dumps(encode(made.changes[-1]))
    assert "DROP" not in text
    assert "reboot" not in text
    assert "\u202e" not in made.changes[-1].why


@pytest.mark.parametrize("accounts", [(), ("DROP DATABASE mysql",), ("-- not told: old@%",)])
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
