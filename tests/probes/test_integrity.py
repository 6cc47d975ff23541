"""Foreign keys and rights, asked of a real server: orphans of every kind, and who may do what."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.worlds.mariadb import Server, shell

from remedy.core.errors import AnswerUnusable
from remedy.core.values import Probe, Reply
from remedy.probes import integrity, parse

SCHEMA: Final = "si`te"
SQL: Final = """
CREATE DATABASE `si``te`; CREATE DATABASE `SI``TE`; CREATE DATABASE other; SET foreign_key_checks=0; USE `si``te`;
CREATE TABLE orders (id INT PRIMARY KEY, `a``b` INT, c INT, UNIQUE (`a``b`, c)) ENGINE=InnoDB;
CREATE TABLE item (id INT PRIMARY KEY, `order` INT, x INT, y INT, boss INT,
 CONSTRAINT one FOREIGN KEY (`order`) REFERENCES orders (id),
 CONSTRAINT 两 FOREIGN KEY (x, y) REFERENCES orders (`a``b`, c),
 CONSTRAINT self FOREIGN KEY (boss) REFERENCES item (id)) ENGINE=InnoDB;
CREATE TABLE other.page (id INT PRIMARY KEY) ENGINE=InnoDB; CREATE TABLE gone (id INT PRIMARY KEY) ENGINE=InnoDB;
CREATE TABLE note (id INT, page INT, gone INT, CONSTRAINT far FOREIGN KEY (page) REFERENCES other.page (id),
 CONSTRAINT lost FOREIGN KEY (gone) REFERENCES gone (id)) ENGINE=InnoDB;
CREATE TABLE `SI``TE`.x (id INT PRIMARY KEY, y INT, CONSTRAINT no FOREIGN KEY (y) REFERENCES x (id)) ENGINE=InnoDB;
INSERT INTO orders VALUES (1, 1, 1), (2, 2, NULL);
INSERT INTO item VALUES (1, 1, 1, 1, NULL), (2, 9, 1, 2, 1), (3, NULL, 1, NULL, 99), (4, 8, 7, 7, 98);
INSERT INTO other.page VALUES (1); INSERT INTO note VALUES (1, 1, 1), (2, 2, NULL), (3, 3, 5);
DROP TABLE gone;
CREATE USER app@'198.18.%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT ON `si``te`.* TO app@'198.18.%';
CREATE USER 'o''neil'@'%'; GRANT UPDATE (c) ON `si``te`.orders TO 'o''neil'@'%'; GRANT SUPER ON *.* TO 'o''neil'@'%';
GRANT DELETE ON `si%`.* TO app@'198.18.%' WITH GRANT OPTION; GRANT ALL ON other.* TO app@'198.18.%';
CREATE PROCEDURE `si``te`.p() DO 0; CREATE FUNCTION other.f() RETURNS INT RETURN 0; CREATE ROLE `re"ader`;
GRANT EXECUTE, ALTER ROUTINE ON PROCEDURE `si``te`.p TO 'o''neil'@'%';
GRANT EXECUTE ON FUNCTION other.f TO app@'198.18.%'; CREATE USER boss@h;
GRANT `re"ader` TO app@'198.18.%' WITH ADMIN OPTION; SET DEFAULT ROLE `re"ader` FOR app@'198.18.%'; CREATE ROLE second;
GRANT second TO `re"ader`; GRANT PROXY ON app@'198.18.%' TO boss@h WITH GRANT OPTION;
CREATE USER remedy_load_1@localhost; GRANT ALL ON `si``te`.* TO remedy_load_1@localhost;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server whose rows do not fit together."""
    made = Server(Path(tempfile.mkdtemp(prefix="integrity-", dir="/tmp")))
    try:
        made.start().sql(SQL)
        yield made
    finally:
        made.close()


def asked(probe: Probe) -> Any:  # noqa: ANN401 -- what parsers give
    """What the server answers."""
    done = shell(probe.command.argv, probe.command.stdin)
    return parse(probe.parser, Reply(done.returncode, done.stdout, done.stderr))


def test_orphans(server: Server) -> None:
    """Keys of one and several columns, to themselves, to another schema and to a table that is gone are counted."""
    file = str(server.option_file)
    keys = asked(integrity.keys(file, SCHEMA))
    present = asked(integrity.there(file, keys))
    counts = asked(integrity.orphans(file, SCHEMA, keys, present))
    found = {key["name"]: (count, there) for key, there, count in zip(keys, present, counts, strict=True)}
    assert found == {"one": (2, 1), "两": (2, 1), "self": (2, 1), "far": (2, 1), "lost": (2, 0)}


def test_no_keys(server: Server) -> None:
    """A schema that does not exist has no keys, which is no error."""
    assert asked(integrity.keys(str(server.option_file), "nothing")) == []


def test_rights(server: Server) -> None:
    """Rights on the server, on schemas by name or pattern and on columns are told; none of remedy's own accounts."""
    said = asked(integrity.rights(str(server.option_file), SCHEMA))
    ours = [line for line in said if not line.startswith(("'root'", "'mariadb.sys'"))]
    assert ours == sorted(
        [
            "'app'@'198.18.%' SELECT on si`te.*",
            "'app'@'198.18.%' INSERT on si`te.*",
            "'app'@'198.18.%' DELETE on si%.* with grant option",
            "'o'neil'@'%' SUPER on *.*",
            "'o'neil'@'%' UPDATE (c) on si`te.orders",
        ]
    )
    assert any(line.startswith("'root'@'localhost' SUPER on *.*") for line in said)
    assert not [line for line in said if "secret" in line or "*" * 2 in line]


def test_held(server: Server) -> None:
    """Rights on the schema's routines, roles of accounts and of roles, default roles and proxies are told, by kind."""
    assert asked(integrity.held(str(server.option_file), SCHEMA)) == {
        "rights on routines": [r"'o\'neil'@'%' Execute,Alter Routine on procedure si`te.p"],
        "roles": ["'app'@'198.18.%' has role re\"ader with admin option", "'re\"ader' has role second"],
        "default roles": ["'app'@'198.18.%' begins with role re\"ader"],
        "proxies": [r"'boss'@'h' may act as 'app'@'198.18.%' with grant option"],
    }


def test_held_as_far_as_it_may_be_read(server: Server) -> None:
    """What a login may not read is not among the lists, rather than empty; nonsense is no answer."""
    server.sql(
        "CREATE USER IF NOT EXISTS half@localhost IDENTIFIED BY 'x'; GRANT SELECT ON mysql.procs_priv TO half@localhost"
    )
    file = server.folder / "half.cnf"
    file.write_text(f"[client]\nsocket={server.socket}\nuser=half\npassword=x\n")
    assert asked(integrity.held(str(file), "nothing")) == {"rights on routines": []}
    for out in (b"", b'["roles"]\n', b'["moon"]\n[]\n', b'{"roles": []}\n[]\n', b"[]\n[]\n"):
        with pytest.raises(AnswerUnusable):
            parse("integrity.held", Reply(0, out, b"ERROR 2002 (HY000): no way"))
