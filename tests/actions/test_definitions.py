"""Definitions made fit to be created by an account of our own: definers written in, rights elsewhere, events over."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.mariadb import Server

from remedy.actions.recovery import definitions
from remedy.actions.recovery.definitions import with_definer
from remedy.actions.restore import structure_of
from remedy.backups.values import Object
from remedy.core.errors import Refused

ROOT = "DEFINER=`root`@`localhost`"
#: Without a definer, and where it goes: by hand, by mysqldump, by mariadb-dump, by mydumper.
TEXTS = [
    ("view", "CREATE VIEW `v` AS SELECT 1", f"CREATE {ROOT} VIEW `v` AS SELECT 1"),
    ("view", "create or replace view v as select 1", f"create or replace {ROOT} view v as select 1"),
    (
        "view",
        "CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW `v` AS SELECT 1",
        f"CREATE ALGORITHM=MERGE {ROOT} SQL SECURITY INVOKER VIEW `v` AS SELECT 1",
    ),
    (
        "view",
        "/*!50001 CREATE ALGORITHM=MERGE */ /*!50013 SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */",
        f"/*!50001 CREATE ALGORITHM=MERGE {ROOT} */ /*!50013 SQL SECURITY DEFINER */\n/*!50001 VIEW `v` AS select 1 */",
    ),
    ("procedure", "CREATE PROCEDURE `p`() SELECT 1", f"CREATE {ROOT} PROCEDURE `p`() SELECT 1"),
    (
        "function",
        "CREATE AGGREGATE FUNCTION f(x INT) RETURNS INT RETURN 1",
        f"CREATE {ROOT} AGGREGATE FUNCTION f(x INT) RETURNS INT RETURN 1",
    ),
    (
        "trigger",
        "/*!50003 CREATE*/ /*!50003 TRIGGER `t` BEFORE INSERT ON n FOR EACH ROW SET @x=1 */",
        f"/*!50003 CREATE {ROOT}*/ /*!50003 TRIGGER `t` BEFORE INSERT ON n FOR EACH ROW SET @x=1 */",
    ),
    (
        "trigger",
        "/*!50003 CREATE*/ /*!50017 */ /*!50003 TRIGGER `t` BEFORE INSERT ON n FOR EACH ROW SET @x=1 */",
        f"/*!50003 CREATE {ROOT}*/ /*!50017 */ /*!50003 TRIGGER `t` BEFORE INSERT ON n FOR EACH ROW SET @x=1 */",
    ),
    (
        "event",
        "/*!50106 CREATE*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1 */",
        f"/*!50106 CREATE {ROOT}*/ /*!50106 EVENT `e` ON SCHEDULE EVERY 1 DAY DO SELECT 1 */",
    ),
    (
        "event",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        f"CREATE {ROOT} EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    ),
    ("package", "CREATE PACKAGE k AS END", f"CREATE {ROOT} PACKAGE k AS END"),
    ("package body", "CREATE OR REPLACE PACKAGE BODY k AS END", f"CREATE OR REPLACE {ROOT} PACKAGE BODY k AS END"),
    (
        "procedure",
        "SET @a=1;\nDELIMITER ;;\nCREATE PROCEDURE p()\nBEGIN\nCREATE VIEW x AS SELECT 1; END\n;;\nDELIMITER ;",
        f"SET @a=1;\nDELIMITER ;;\nCREATE {ROOT} PROCEDURE p()\nBEGIN\nCREATE VIEW x AS SELECT 1; END\n;;\nDELIMITER ;",
    ),
]


def same(text: str) -> str:
    """A text without regard to how much space there is."""
    return " ".join(text.split()).replace("` */", "`*/")


@pytest.mark.parametrize(("kind", "text", "wanted"), TEXTS)
def test_a_definer_goes_where_the_grammar_wants_it(kind: str, text: str, wanted: str) -> None:
    """The clause stands after CREATE, OR REPLACE and ALGORITHM and before anything else, inside its comment if any."""
    made = with_definer(Object(kind, "x", "d", "", text))
    assert same(made.sql) == same(wanted)
    assert (made.definer, made.digest) == ("root@localhost", "d")


@pytest.mark.parametrize("whoever", ["CURRENT_USER", "current_user()", "CURRENT_USER ( )", "CURRENT_ROLE"])
def test_whoever_loads_it_is_root(whoever: str) -> None:
    """A definer that is whoever creates it would be an account that is gone a moment later."""
    text = (
        f"/*!50003 CREATE*/ /*!50017 DEFINER={whoever}*/ /*!50003 TRIGGER t BEFORE INSERT ON n FOR EACH ROW SET @x=1*/"
    )
    made = with_definer(Object("trigger", "t", "", "CURRENT_USER", text))
    assert made.sql == text.replace(whoever, "`root`@`localhost`")


def test_what_names_a_definer_is_left_alone() -> None:
    """Nothing of a definition that says by whose rights it runs is touched; a sequence has no such thing."""
    for made in (
        Object("view", "v", "", "app@%", "CREATE DEFINER=`app`@`%` VIEW v AS SELECT 1"),
        Object("sequence", "s", "", "", "CREATE SEQUENCE s"),
    ):
        assert with_definer(made) is made


@given(st.text(alphabet="CREATE VIEWDFNR=`/*!50003\n';*@", max_size=60), st.sampled_from(["view", "trigger", "event"]))
def test_any_text_is_made_or_refused(text: str, kind: str) -> None:
    """Of a text that is not understood nothing is made up: it is refused, or exactly the clause is added."""
    try:
        made = with_definer(Object(kind, "x", "", "", text))
    except Refused:
        return
    clause = "DEFINER=`root`@`localhost`"
    assert made.sql.count(clause) == text.count(clause) + 1 or "CURRENT_" in text.upper()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that says what is grammar."""
    made = Server(tmp_path_factory.mktemp("mariadb") / "server").start()
    made.sql("CREATE DATABASE one")
    yield made
    made.close()


SCHEMA = """
CREATE TABLE n (i INT, title TEXT);
CREATE VIEW z AS SELECT i FROM n WITH CASCADED CHECK OPTION;
CREATE ALGORITHM=MERGE SQL SECURITY INVOKER VIEW a AS SELECT * FROM z;
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1;
CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1;
DELIMITER ;;
CREATE TRIGGER t BEFORE INSERT ON n FOR EACH ROW BEGIN -- a comment; CREATE VIEW x
 SET NEW.i = 1; END;;
CREATE PROCEDURE p() BEGIN SELECT 'CREATE DEFINER=`x`@`y`'; END;;
DELIMITER ;
"""


def test_a_dump_without_definers(server: Server) -> None:
    """A dump that somebody took the definers out of makes the same definitions, run by root's rights."""
    server.sql(f"USE one; {SCHEMA}", "--comments")
    dump = server.dump("one", "--no-data")
    strip = r"s#/\*!50[01]17 DEFINER=`root`@`localhost`\*/ ##; s/DEFINER=`root`@`localhost` ?//"
    bare = subprocess.run(["sed", "-E", strip], input=dump, capture_output=True, check=True).stdout
    assert b"DEFINER=`root`" not in bare
    objects = structure_of(bare.decode(), "one")
    assert [definitions.without_definer(o) for o in objects] == [True] * 6
    server.sql("DROP DATABASE one; CREATE DATABASE one; USE one; CREATE TABLE n (i INT, title TEXT)")
    for made in objects:
        server.sql(with_definer(made).sql, "--comments", "--database=one")
    assert _definitions(server.dump("one", "--no-data")) == _definitions(dump)


def _definitions(dump: bytes) -> bytes:
    return b"\n".join(line for line in dump.splitlines() if not line.startswith(b"--"))


def test_events_that_may_be_over() -> None:
    """An event for one moment, or with an end, may be dropped by the server as soon as it is made; another is not."""
    texts = ["ON SCHEDULE AT '2026-01-01'", "ON SCHEDULE EVERY 1 DAY ENDS '2026-01-01'", "ON SCHEDULE EVERY 1 DAY"]
    made = [Object("event", f"e{n}", "", "", f"CREATE EVENT e{n} {text} DO SELECT 1") for n, text in enumerate(texts)]
    assert definitions.passing([*made, Object("procedure", "p", "", "", texts[0])]) == ("e0", "e1")


def test_other_schemas_that_views_read() -> None:
    """Rights are asked for in schemas that there are and that views name: not the server's own, nor for an alias."""
    view = Object("view", "v", "", "", "VIEW v AS select `o`.`i`, `mysql`.`user`.`u` from `ot``her`.`t` `o`, `own`.`n`")
    routine = Object("procedure", "p", "", "", "PROCEDURE p() DELETE FROM `third`.`t`")
    there = ("ot`her", "own", "mysql", "third", "information_schema")
    assert definitions.read_elsewhere([view, routine], there, "own") == ("ot`her",)


def test_what_can_stay() -> None:
    """A definition stays when it is the same in both by content and definer; triggers and packages never do."""
    one = Object("view", "v", "1", "a@b")
    others = [
        Object("view", "w", "1", "a@b"),
        Object("view", "v", "2", "a@b"),
        Object("view", "v", "1", "root@localhost"),
        Object("trigger", "t", "1", "a@b"),
        Object("package", "k", "1", "a@b"),
        Object("view", "u", "", "a@b"),
    ]
    assert definitions.unchanged([one, *others[3:]], [one, *others[3:]]) == (one,)
    for other in others[:3]:
        assert definitions.unchanged([one], [other]) == ()
