"""What a backup is compared with, asked of a real server and of one that is not there."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds.mariadb import Server

from remedy.backups.values import Copy, Database
from remedy.core.errors import ConnectFailed, UsageError
from remedy.core.ports import Connection, Reader
from remedy.core.values import Secret, Target
from remedy.engine import surroundings
from remedy.probes import parse
from remedy.transports.guard import CONTROLLER, Hosts
from remedy.transports.local import LocalConnection

SQL = """
CREATE DATABASE site CHARACTER SET utf8mb4;
USE site;
CREATE TABLE notice (id INT PRIMARY KEY, text VARCHAR(50)) ENGINE=InnoDB;
INSERT INTO notice VALUES (1, 'a'), (2, '王');
CREATE VIEW latest AS SELECT * FROM notice;
CREATE TRIGGER stamp BEFORE INSERT ON notice FOR EACH ROW SET NEW.text = 'x';
CREATE PROCEDURE tidy() SELECT 1;
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO SELECT 1;
CREATE USER 'web'@'%'; CREATE USER boss; GRANT SUPER ON *.* TO boss;
"""


def nobody(name: str) -> Target:
    """There is no other host."""
    raise ConnectFailed(f"no way to {name}")


def reveal(secret: Secret) -> str:
    """A secret by its value."""
    return secret.value


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A real server with a small schema."""
    made = Server(Path(tempfile.mkdtemp(prefix="fit-", dir="/tmp")))
    try:
        made.start().sql(SQL)
        yield made
    finally:
        made.close()


def reader() -> Reader:
    """Asks this machine."""
    local = LocalConnection(Target(CONTROLLER, ""), resolve_secret=reveal, user=getpass.getuser())

    def connect(target: Target) -> Connection:
        raise ConnectFailed(f"no way to {target.name}")

    return Hosts(connect, nobody, parse, local=local)


def database(option_file: str, *, timezone: str = "Asia/Shanghai", host: str = CONTROLLER) -> Database:
    """The schema on this machine's server."""
    return Database("site", "site", host, (Copy("local"),), timezone, option_file)


def test_a_server_that_answers(server: Server) -> None:
    """Version, tables with rows, definitions with definers, accounts, powerful ones, collations and room are known."""
    found = surroundings.look(database(str(server.option_file)), reader())
    live = found.live
    assert live
    assert live.server.startswith(server.sql("SELECT VERSION()")[0])
    assert [(table.name, table.rows) for table in live.tables] == [("notice", 2)]
    assert set(live.objects) == {
        ("view", "latest", "root@localhost"),
        ("trigger", "stamp", "root@localhost"),
        ("procedure", "tidy", "root@localhost"),
        ("event", "nightly", "root@localhost"),
    }
    assert {"'web'@'%'", "'root'@'localhost'"} <= set(live.accounts)
    assert {"'boss'@'%'", "'root'@'localhost'"} <= set(live.powerful)
    assert "'web'@'%'" not in live.powerful
    assert "utf8mb4_general_ci" in live.collations
    assert (live.charset, live.max_packet) == ("utf8mb4", int(server.sql("SELECT @@max_allowed_packet")[0]))
    assert live.free > 0
    assert (found.zone, found.missing) == ("Asia/Shanghai", ())


def test_a_schema_that_is_gone(server: Server) -> None:
    """Of a schema that does not exist there are no tables, and the server is known all the same."""
    gone = Database("shop", "shop", CONTROLLER, (), "UTC", str(server.option_file))
    live = surroundings.look(gone, reader()).live
    assert live
    assert live.server
    assert (live.tables, live.objects, live.charset) == ((), (), "")


def test_a_server_that_does_not_answer() -> None:
    """A dead server, or a host that is gone, is told and stops nothing."""
    dead = surroundings.look(database("/nonexistent/client.cnf"), reader())
    assert dead.live is None
    assert "not compared with the live database" in dead.missing[0]
    gone = surroundings.look(database("", timezone="", host="db01"), reader())
    assert (gone.live, gone.zone) == (None, "UTC")
    assert "time zone of db01 is not known" in gone.missing[0]
    assert "db01" in gone.missing[1]


def test_the_zone_of_the_host() -> None:
    """Without a zone in the inventory the host's own is taken, and an impossible one is a slip."""
    zone, unknown = surroundings.clock(database("", timezone=""), reader())
    link = str(Path("/etc/localtime").resolve())
    if "/zoneinfo/" in link:
        name = link.partition("/zoneinfo/")[2]
        assert (zone, unknown) == ("UTC" if name == "Etc/UTC" else name, "")
    else:
        assert zone
    with pytest.raises(UsageError):
        surroundings.look(database("", timezone="Moon/Base"), reader())
