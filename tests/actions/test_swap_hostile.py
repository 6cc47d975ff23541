"""Cut-overs with planted definitions, in odd schemas and with logins of all kinds: nothing gets more than its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.worlds.cutover import AFTER, NEW, OLD, RUN, Scene, made
from tests.worlds.mariadb import Server

from remedy.actions.recovery import staging
from remedy.backups.values import Object


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of these tests' own; it also takes TCP, on an address of its own."""
    options = ("--skip-networking=0", "--bind-address=127.0.0.77", "--port=33077", "--log-bin", "--server-id=1")
    made = Server(tmp_path_factory.mktemp("mariadb") / "server", *options).start()
    yield made
    made.close()


def planted(server: Server) -> list[str]:
    """What an intruder would have gained."""
    known = f"'root', 'mariadb.sys', 'remedy_{RUN}'"
    accounts = server.sql(f"SELECT user FROM mysql.user WHERE user NOT IN ({known})")
    return accounts + server.sql("SHOW TABLES FROM mysql LIKE 'planted'") + server.sql("SHOW DATABASES LIKE 'planted'")


#: A file that nobody makes.
PLANTED = Path(tempfile.gettempdir()) / "remedy-planted"
GRANT = "GRANT ALL ON *.* TO evil@localhost IDENTIFIED BY 'x' WITH GRANT OPTION"
#: Statements hidden behind, before and inside a definition that is none, or that is one.
STATEMENTS = [
    f"{GRANT};",
    "CREATE TABLE mysql.planted (i INT);",
    "CREATE DATABASE planted;",
    "DROP TABLE notice;",
    "DROP DATABASE site;",
    "DELETE FROM notice;",
    "INSERT INTO journal VALUES (66);",
    "ALTER TABLE notice DROP COLUMN title;",
    "CREATE TABLE site.loot AS SELECT * FROM mysql.global_priv;",
    "CREATE TABLE site__undo.loot (i INT);",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE journal;",
    f"SELECT 'x' INTO OUTFILE '{PLANTED}';",
    "SET GLOBAL general_log=1;",
    "/*!50003 DROP TABLE */ notice;",
    "/*M!100101 DROP TABLE notice */;",
    f"\\! touch {PLANTED}",
    f"system touch {PLANTED}",
    "source /etc/hostname",
    f"tee {PLANTED}",
    "USE mysql",
]


def test_statements_hidden_in_definitions(server: Server) -> None:
    """What is hidden in a definition has the rights to create definitions in this schema, and none besides."""
    scene = Scene(server)
    hidden = "\n".join(STATEMENTS)
    evil = made("procedure", "evil", f"DELIMITER ;;\nCREATE PROCEDURE evil() SELECT 1;;\nDELIMITER ;\n{hidden}\n")
    PLANTED.unlink(missing_ok=True)
    done = scene.send(scene.cut_over((*NEW, evil)).do)
    assert done.returncode == 0, done.stderr
    assert planted(server) == []
    assert not PLANTED.exists()
    assert server.sql("SELECT @@GLOBAL.general_log") == ["0"]
    assert server.sql("SELECT * FROM site.notice") == ["2\t新"]
    assert server.sql("SELECT * FROM site.journal") == []
    assert scene.names() == sorted([*AFTER, "procedure evil"])


def test_a_definition_that_cannot_be_made_moves_everything_back(server: Server) -> None:
    """One definition that fails takes the whole cut-over back, and it says which it was."""
    scene = Scene(server)
    broken = made("view", "broken", "CREATE VIEW broken AS SELECT nix FROM notice;")
    done = scene.send(scene.cut_over((*NEW, broken)).do)
    assert done.returncode == 7
    assert b"everything was moved back" in done.stderr
    assert b"nix" in done.stderr
    assert scene.look() == scene.before
    assert scene.ask(scene.change.seen) == "absent"
    assert server.sql("SELECT id FROM site__in.notice") == ["2"]


def test_one_definition_too_many_moves_everything_back(server: Server) -> None:
    """A definition that makes another one beside itself is found out by their number."""
    scene = Scene(server)
    two = made("view", "one", "CREATE VIEW one AS SELECT 1;\nCREATE VIEW two AS SELECT 2;")
    assert scene.send(scene.cut_over((*NEW, two)).do).returncode == 7
    assert scene.look() == scene.before


@pytest.mark.parametrize("cut", ["--8<-- ", "new ", "{} "])
def test_text_that_looks_like_the_script_s_own(server: Server, cut: str) -> None:
    """No line of a definition begins another text of the script, not even one taken from the plan without it."""
    scene = Scene(server)
    cut = cut.format(scene.change.do.argv[-1])
    lines = "".join(f"{cut}{name}\n{GRANT};\n" for name in ("account", "freeze", "thaw", f"../..{PLANTED}"))
    body = f"BEGIN /*\n{lines}*/ SELECT 1; END"
    evil = made("procedure", "evil", f"DELIMITER ;;\nCREATE PROCEDURE evil() {body};;\nDELIMITER ;\n")
    PLANTED.unlink(missing_ok=True)
    done = scene.send(scene.cut_over((*NEW, evil)).do)
    assert done.returncode == 0, done.stderr
    assert planted(server) == []
    assert not PLANTED.exists()
    wanted = "routine_name='evil' AND routine_definition LIKE '%GRANT ALL%'"
    assert server.sql(f"SELECT COUNT(*) FROM information_schema.routines WHERE {wanted}") == ["1"], "only text"


def test_root_s_own_option_file_gives_nobody_root(server: Server, tmp_path: Path) -> None:
    """A ~/.my.cnf with root's login does not make root of the account that creates definitions."""
    scene = Scene(server)
    (tmp_path / ".my.cnf").write_text("[client]\nuser=root\npassword=\n")
    evil = made("procedure", "evil", f"CREATE PROCEDURE evil() SELECT 1;\n{GRANT};\nDROP TABLE notice;\n")
    done = scene.send(scene.cut_over((*NEW, evil)).do, HOME=str(tmp_path), MYSQL_HOME=str(tmp_path), MYSQL_PWD="")
    assert done.returncode == 0, done.stderr
    assert planted(server) == []
    assert server.sql("SELECT id FROM site.notice") == ["2"]


def option_file(scene: Scene, tmp_path: Path, text: str) -> None:
    """From now on the database is reached by this option file."""
    path = tmp_path / "own client.cnf"
    path.write_text(text)
    scene.database = replace(scene.database, defaults_file=str(path))
    scene.change = scene.cut_over(NEW)


LOGINS = {
    "socket": "[client]\nuser=root\nsocket={socket}\n",
    "TCP": "[client]\nuser=admin\npassword='a #b'\nhost=127.0.0.77\nport=33077\nprotocol=tcp\n",
    "other sections": '[mysqld]\nsocket=/nowhere\nuser=nobody\n[client]\nuser=admin\npassword="a #b"\nhost=127.0.0.77\n'
    "port=33077\n[mysql]\nsafe-updates\nselect_limit=1\nprompt=x\n[mysqldump]\nuser=nobody\n",
    "an included file": "!include {included}\n[client]\nport=33077\n",
}


@pytest.mark.parametrize("login", LOGINS)
def test_logins(server: Server, tmp_path: Path, login: str) -> None:
    """The accounts of a run reach the server by the way that the option file gives, whatever else stands in it."""
    scene = Scene(server)
    (tmp_path / "inc").write_text("[client]\nuser=admin\npassword='a #b'\nhost=127.0.0.77\n")
    server.sql("GRANT ALL ON *.* TO admin@'%' IDENTIFIED BY 'a #b' WITH GRANT OPTION")
    option_file(scene, tmp_path, LOGINS[login].format(socket=server.socket, included=tmp_path / "inc"))
    try:
        again = scene.send(scene.staged.undo)
        assert again.returncode == 0, again.stderr
        made_anew = staging.make(scene.database, RUN, "utf8mb4")
        assert scene.send(made_anew.do).returncode == 0
        assert scene.ask(made_anew.seen) == "done"
        into = f"mariadb --defaults-extra-file=/run/remedy/{RUN}.cnf site__in"
        assert os.system(f"HOME=/nowhere {into} -e 'CREATE TABLE notice (id INT PRIMARY KEY, title TEXT)'") == 0  # noqa: S605 -- fixed
        assert os.system(f"HOME=/nowhere {into} -e 'DROP TABLE site.notice' 2>/dev/null") != 0  # noqa: S605 -- fixed
        scene.send(staging.keep(scene.database, RUN, OLD).do)
        done = scene.send(scene.change.do)
        assert done.returncode == 0, done.stderr
        assert scene.names()[0] == "function three"
        assert scene.send(scene.change.undo).returncode == 0
        assert {**scene.look(), "accounts": []} == {**scene.before, "accounts": []}
        assert scene.send(made_anew.undo).returncode == 0
    finally:
        server.sql("DROP USER admin@'%'")
    assert planted(server) == []


def test_a_login_that_is_no_root_is_said(server: Server, tmp_path: Path) -> None:
    """A login that may not make accounts is refused with the server's own words, and without any password."""
    scene = Scene(server)
    server.sql("GRANT SELECT ON *.* TO weak@localhost IDENTIFIED BY 'secret'")
    option_file(scene, tmp_path, f"[client]\nuser=weak\npassword=secret\nsocket={server.socket}\n")
    assert scene.send(scene.staged.undo).returncode == 0
    done = scene.send(staging.make(scene.database, RUN, "utf8mb4").do)
    server.sql("DROP USER weak@localhost")
    assert done.returncode == 4
    assert done.stderr.startswith(b"ERROR 1227")
    assert b"IDENTIFIED" not in done.stderr
    assert b"aA1." not in done.stderr
    assert server.sql("SHOW DATABASES LIKE 'site\\_\\_in'") == []


def test_views_of_other_schemas(server: Server) -> None:
    """Views that read other schemas go both ways, whether they are the backup's or the live ones."""
    server.sql("DROP DATABASE IF EXISTS `ot_her`; CREATE DATABASE `ot_her`; CREATE TABLE `ot_her`.t (i INT)")
    across = made("view", "across", "CREATE VIEW across AS SELECT * FROM `ot_her`.`t`;")
    scene = Scene(server, old=(*OLD, across))
    other = made("view", "across", "CREATE VIEW across AS SELECT i + 1 FROM `ot_her`.`t`;")
    change = scene.cut_over((*NEW, other), reads=("ot_her",))
    done = scene.send(change.do)
    assert done.returncode == 0, done.stderr
    assert "view across" in scene.names()
    assert scene.send(change.undo).returncode == 0
    assert scene.look() == scene.before
    server.sql("DROP DATABASE `ot_her`")


def test_an_event_whose_time_has_passed(server: Server) -> None:
    """The server drops an event that is over as soon as it is made: that is no reason to take everything back."""
    over = made("event", "over", "CREATE EVENT over ON SCHEDULE AT '2001-01-01 00:00:00' DO SELECT 1;")
    scene = Scene(server, old=(*OLD, over))
    assert "event over" not in scene.names()
    change = scene.cut_over((*NEW, over))
    assert scene.send(change.do).returncode == 0
    assert scene.names() == AFTER
    assert scene.send(change.undo).returncode == 0
    assert scene.look() == scene.before


def test_views_upon_views_upon_views(server: Server) -> None:
    """A long chain of views in the reverse of the order in which they can be made is made all the same."""
    chain = tuple(made("view", f"v{n:02}", f"CREATE VIEW v{n:02} AS SELECT * FROM v{n + 1:02};") for n in range(12))
    end = made("view", "v12", "CREATE VIEW v12 AS SELECT id FROM notice;")
    scene = Scene(server)
    done = scene.send(scene.cut_over((*chain, end)).do)
    assert done.returncode == 0, done.stderr
    assert server.sql("SELECT id FROM site.v00") == ["2"]


def test_many_definitions_of_the_same_name(server: Server) -> None:
    """A function, a procedure, a trigger, an event and a table may share a name; none is taken for another."""
    texts = {
        "function": "CREATE FUNCTION x() RETURNS INT RETURN 1;",
        "procedure": "CREATE PROCEDURE x() SELECT 1;",
        "trigger": "CREATE TRIGGER x BEFORE INSERT ON notice FOR EACH ROW SET @x=1;",
        "event": "CREATE EVENT x ON SCHEDULE EVERY 1 DAY DO SELECT 1;",
        "view": "CREATE VIEW x AS SELECT 1;",
    }
    objects: tuple[Object, ...] = tuple(made(kind, "x", text) for kind, text in texts.items())
    scene = Scene(server, old=objects)
    change = scene.cut_over((objects[0], made("procedure", "x", "CREATE PROCEDURE x() SELECT 2;"), *objects[2:]))
    done = scene.send(change.do)
    assert done.returncode == 0, done.stderr
    assert scene.names() == sorted([f"{kind} x" for kind in texts] + ["table journal", "table notice"])
    assert scene.send(change.undo).returncode == 0
    assert scene.look() == scene.before


def rows(server: Server) -> bytes:
    """Tables and rows, history included."""
    options = ("--skip-dump-date", "--dump-history", "--skip-triggers", "--skip-events", "--skip-routines")
    return server.dump("site", *options)


def test_strange_tables(server: Server) -> None:
    """System-versioned, partitioned, full-text and sequence tables, and keys between tables, move like others."""
    strange = (
        "CREATE TABLE versioned (i INT) WITH SYSTEM VERSIONING; INSERT INTO versioned VALUES (1);"
        "UPDATE versioned SET i=2;"
        "CREATE TABLE parts (i INT) PARTITION BY HASH (i) PARTITIONS 3; INSERT INTO parts VALUES (1), (2);"
        "CREATE TABLE words (t TEXT, FULLTEXT (t)); CREATE TABLE old_one (i INT) ENGINE=MyISAM; CREATE SEQUENCE seq;"
        "CREATE TABLE a (i INT PRIMARY KEY, b INT); CREATE TABLE b (i INT PRIMARY KEY, a INT REFERENCES a (i));"
        "ALTER TABLE a ADD CONSTRAINT circle FOREIGN KEY (b) REFERENCES b (i);"
        "CREATE TABLE self (i INT PRIMARY KEY, up INT REFERENCES self (i));"
    )
    scene = Scene(server, extra=strange)
    server.sql(f"USE site__in; {strange}")
    before = rows(server)
    done = scene.send(scene.change.do)
    assert done.returncode == 0, done.stderr
    assert server.sql("SELECT COUNT(*) FROM site.versioned FOR SYSTEM_TIME ALL") == ["2"]
    server.sql("SET FOREIGN_KEY_CHECKS=1; INSERT INTO site.a VALUES (1, NULL); INSERT INTO site.b VALUES (1, 1)")
    assert server.run("DELETE FROM site.a").returncode == 1, "the keys hold between the restored tables"
    assert scene.send(scene.change.undo).returncode == 0
    assert rows(server) == before
