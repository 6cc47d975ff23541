"""The accounts of a server as statements: what mariadb-dump writes of odd ones, and what is never taken for one."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worlds.mariadb import Server

from remedy.backups import accounts
from remedy.backups.manifest import Manifest, decoded, encoded

SCHEMA: Final = """
CREATE DATABASE site; CREATE DATABASE `od``d on.* t`; USE site;
CREATE TABLE t (a INT, b INT, `c``x` INT); CREATE TABLE `日志` (n INT);
CREATE PROCEDURE p() SELECT 1; CREATE FUNCTION f() RETURNS INT RETURN 1;
"""
ODD: Final = r"""
CREATE ROLE reader; CREATE ROLE `re``ad'er TO x` WITH ADMIN reader; CREATE ROLE idle;
CREATE USER app@'198.18.1.%' IDENTIFIED BY 'pw';
CREATE USER 'o''neil'@'%' IDENTIFIED BY 'it''s';
CREATE USER 'ba`ck'@'localhost';
CREATE USER '王'@'2001:db8::%' IDENTIFIED BY 'x' REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 5
 PASSWORD EXPIRE INTERVAL 90 DAY;
CREATE USER 'a; DROP DATABASE site; --x'@'%';
CREATE USER 'back\\slash'@'%';
CREATE USER ''@'198.18.1.9' IDENTIFIED BY 'anon';
CREATE USER sock@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('z');
CREATE USER locked@'%' IDENTIFIED BY 'l' ACCOUNT LOCK;
CREATE USER net@'192.168.0.0/255.255.255.0' REQUIRE SUBJECT '/CN=x y/O=''q'' TO `root`' AND ISSUER '/C=CN' AND
 CIPHER 'AES';
CREATE USER 'at@home'@'%';
GRANT SELECT, INSERT ON site.* TO app@'198.18.1.%';
GRANT SELECT (a, `c``x`), UPDATE (b) ON site.t TO 'o''neil'@'%' WITH GRANT OPTION;
GRANT DELETE ON site.`日志` TO '王'@'2001:db8::%';
GRANT EXECUTE ON PROCEDURE site.p TO app@'198.18.1.%';
GRANT EXECUTE ON FUNCTION site.f TO app@'198.18.1.%';
GRANT ALL ON `od``d on.* t`.* TO 'ba`ck'@'localhost' WITH GRANT OPTION;
GRANT ALL ON *.* TO 'a; DROP DATABASE site; --x'@'%' WITH GRANT OPTION;
GRANT SUPER, RELOAD ON *.* TO 'back\\slash'@'%';
GRANT PROCESS ON *.* TO sock@localhost;
GRANT UPDATE ON mysql.* TO locked@'%';
GRANT PROXY ON app@'198.18.1.%' TO 'o''neil'@'%' WITH GRANT OPTION;
GRANT PROXY ON root@localhost TO 'at@home'@'%';
GRANT SELECT ON site.* TO reader;
GRANT reader TO app@'198.18.1.%' WITH ADMIN OPTION;
GRANT `re``ad'er TO x` TO 'o''neil'@'%';
SET DEFAULT ROLE reader FOR app@'198.18.1.%';
SET DEFAULT ROLE `re``ad'er TO x` FOR 'o''neil'@'%';
GRANT SELECT ON site.* TO root@localhost;
"""
NAMES: Final = {
    *("reader", "re`ad'er TO x", "idle", "app@198.18.1.%", "o'neil@%", "ba`ck@localhost", "王@2001:db8::%"),
    *("a; DROP DATABASE site; --x@%", "back\\slash@%", "@198.18.1.9", "sock@localhost", "locked@%"),
    *("net@192.168.0.0/255.255.255.0", "at@home@%"),
}
COUNTED: Final = "SELECT IF(is_role='Y', user, CONCAT(user,'@',host)) FROM mysql.user"
EVERY: Final = (
    "SELECT IF(is_role='Y', QUOTE(user), CONCAT(QUOTE(user),'@',QUOTE(host))) FROM mysql.user "
    "WHERE user NOT IN ('root','mariadb.sys') ORDER BY 1"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server to dump the accounts of, and to make them on again."""
    made = Server(Path(tempfile.mkdtemp(prefix="accounts-", dir="/tmp")))
    try:
        made.start().sql(SCHEMA + ODD)
        yield made
    finally:
        made.close()


def dumped(server: Server) -> bytes:
    """What mariadb-dump says of the accounts."""
    argv = ("mariadb-dump", f"--defaults-extra-file={server.option_file}", "--system=users")
    return subprocess.run(argv, check=True, capture_output=True).stdout


def granted(server: Server) -> dict[str, list[str]]:
    """What each account and role may do and how it is let in, as the server itself says it."""
    found = {}
    for name in server.sql(EVERY, "--raw"):
        role = "@" not in name.rsplit("'", 2)[0]
        shown = server.sql(f"SHOW GRANTS FOR {name};" + ("" if role else f" SHOW CREATE USER {name};"), "--raw")
        found[name] = sorted(shown)
    found["defaults"] = server.sql("SELECT user, host, default_role FROM mysql.user WHERE default_role<>'' ORDER BY 1")
    # Whoever makes a role administers it: the importing root is one administrator more.
    roles = "SELECT user, host, role, admin_option FROM mysql.roles_mapping WHERE user<>'root' ORDER BY 1, 2, 3"
    found["roles"] = server.sql(roles)
    return found


def test_odd_accounts_come_back(server: Server) -> None:
    """Every account, role, grant and default role that a server has comes back on an empty one, and only those."""
    before, there = granted(server), set(server.sql(COUNTED, "--raw"))
    statements = accounts.kept(dumped(server))
    assert accounts.understood(statements) == statements
    said = Manifest("site", "site", "db01", "10.11", 1, "0" * 64, 1, accounts=statements)
    assert decoded(encoded(said)).accounts == statements
    assert set(accounts.names(statements)) == NAMES
    for name in server.sql(EVERY, "--raw"):
        server.sql(f"DROP {'USER' if '@' in name.rsplit(chr(39), 2)[0] else 'ROLE'} {name}")
    assert server.sql(EVERY, "--raw") == []
    server.sql("DROP DATABASE site")
    later = accounts.on_objects(statements)
    server.sql(accounts.again([one for one in statements if one not in later]), "--binary-mode")
    assert set(server.sql(COUNTED, "--raw")) == there
    server.sql(SCHEMA.replace("CREATE DATABASE `od``d on.* t`;", ""))
    server.sql(accounts.again(later), "--binary-mode")
    assert granted(server) == before
    server.sql(accounts.again([one for one in statements if one not in later]), "--binary-mode")
    assert granted(server) == before, "once more changes nothing"


def test_what_waits_for_the_tables(server: Server) -> None:
    """Grants on single tables, columns and routines are told apart from those on schemas, of roles and of proxies."""
    later = accounts.on_objects(accounts.kept(dumped(server)))
    assert sorted(later) == sorted(
        [
            "GRANT SELECT (`a`, `c``x`), UPDATE (`b`) ON `site`.`t` TO `o'neil`@`%` WITH GRANT OPTION",
            "GRANT DELETE ON `site`.`日志` TO `王`@`2001:db8::%`",
            "GRANT EXECUTE ON PROCEDURE `site`.`p` TO `app`@`198.18.1.%`",
            "GRANT EXECUTE ON FUNCTION `site`.`f` TO `app`@`198.18.1.%`",
        ]
    )


def test_who_may_take_everything(server: Server) -> None:
    """Rights on the whole server or on its accounts are told; those to look are none of them."""
    assert set(accounts.powerful(accounts.kept(dumped(server)))) == {
        *("a; DROP DATABASE site; --x@%", "back\\slash@%", "locked@%", "at@home@%"),
    }


def test_nothing_of_the_servers_own_accounts(server: Server) -> None:
    """Root and the server's own accounts, and the role that a dump makes for itself, are in no statement."""
    statements = accounts.kept(dumped(server))
    assert not [one for one in statements if accounts.name(one).partition("@")[0] in accounts.OWN]
    assert not [one for one in statements if "mariadb_dump_import_role" in one or "mariadb.sys" in one]


HASH: Final = "*D821809F681A40A6E379B50D0463EFAE20BDD122"


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (f"CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '{HASH}' PASSWORD EXPIRE", "BY PASSWORD '…' PASSWORD EXPIRE"),
        (f"GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '{HASH}' REQUIRE SUBJECT '/CN=a'", "'/CN=a'"),
        ("CREATE USER `a`@`%` IDENTIFIED VIA ed25519 USING 'rZkA' OR unix_socket USING 'x y'", "unix_socket USING '…'"),
        (
            "CREATE USER `a`@`%` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$rZkA'",
            "'caching_sha2_password' AS '…'",
        ),
        ("CREATE USER `a`@`%` IDENTIFIED WITH 'sha' AS 0x244124rZkA REQUIRE NONE", "AS '…' REQUIRE NONE"),
        ("CREATE USER `a`@`%` IDENTIFIED VIA mysql_native_password USING ''", "USING ''"),
        ("CREATE USER `IDENTIFIED BY`@`%`", "`IDENTIFIED BY`"),
    ],
)
def test_no_password_is_shown(statement: str, shown: str) -> None:
    """What an account is let in by is hidden; its plugins, certificates and that it has no password are not."""
    [made] = accounts.shown((statement,))
    assert shown in made
    assert not [secret for secret in (HASH, "rZkA", "x y") if secret in made]
    assert accounts.understood((made,)) == (made,), "it is still read as what it is"
    assert accounts.shown((made,)) == (made,)
    assert accounts.name(made) == accounts.name(statement)
    assert all(secret in statement for secret in accounts.secrets((statement,)))
    assert accounts.secrets((made,)) == frozenset()


def test_what_is_not_understood_is_not_shown() -> None:
    """A statement that is none of ours may hold a password anywhere: of it nothing is shown, but that it was there."""
    assert accounts.shown((f"SET PASSWORD FOR a = '{HASH}'", "-- not told: x@%")) == ("", "-- not told: x@%")


def test_what_could_not_be_told() -> None:
    """Accounts that a dump leaves out, or tells in part, are named; those of every server and remedy's own are not."""
    text = b"CREATE USER `a`@`%`;\nCREATE USER `b`@`%`;\nGRANT USAGE ON *.* TO `b`@`%`;\nCREATE USER `c`@`h`;\n"
    text += b"GRANT USAGE ON *.* TO `c`@`h`;\nGRANT SELECT ON `odd\n`.* TO `c`@`h`;\nSET ROLE NONE;\n"
    there = ("a@%", "b@%", "c@h", "d\n\u202e@%", "r", "root@localhost", "remedy_R1@localhost")
    made = accounts.complete(text, there)
    assert accounts.names(made) == ("a@%", "b@%", "c@h")
    assert accounts.untold(made) == (*("a@% (some of its rights)", "c@h (some of its rights)", "d\\n\\u202e@%", "r"),)
    assert accounts.understood(made) == made[:5]


@pytest.mark.parametrize(
    ("grant", "place"),
    [
        ("GRANT SELECT (`a`, `c``x`), UPDATE (`a`) ON `s`.`t` TO `u`@`h`", ("TABLE", "s", "t", ("a", "c`x"))),
        ("GRANT EXECUTE ON PROCEDURE `s`.`p` TO `u`@`h`", ("PROCEDURE", "s", "p", ())),
        ("GRANT EXECUTE ON FUNCTION `s`.`f` TO `r`", ("FUNCTION", "s", "f", ())),
        ("GRANT EXECUTE ON PACKAGE `s`.`f` TO `r`", None),
        ("GRANT SELECT ON `mysql`.`user` TO `r`", None),
        ("GRANT SELECT ON `s`.* TO `r`", None),
        ("GRANT `r` TO `u`@`h`", None),
        ("CREATE USER `u`@`h`", None),
    ],
)
def test_where_a_right_is(grant: str, place: tuple[str, str, str, tuple[str, ...]] | None) -> None:
    """What a grant is on is read with its columns; nothing is ever made in a schema of the server's own."""
    assert accounts.place(grant) == (accounts.Place(*place) if place else None)


PLANTED: Final = (
    "DROP DATABASE site",
    "CREATE USER `a`@`%`; DROP DATABASE site",
    "CREATE USER `a`@`%` /*! ; DROP DATABASE site */",
    "/*M!100005 SET DEFAULT ROLE `r` FOR `a`@`%`; DROP DATABASE site */",
    "/*M!100005 CREATE ROLE 'r' WITH ADMIN CURRENT_USER; DROP DATABASE site */",
    "/*M!100005 DROP DATABASE site */",
    "/*!80001 CREATE ROLE 'r' */",
    "/*M!100005 GRANT ALL ON *.* TO 'a'@'%' */",
    "CREATE USER `a`@`%` -- comment",
    "CREATE USER `a`@`%` # comment",
    "CREATE USER `a`@`%`, `root`@`%`",
    "CREATE USER `a`",
    "CREATE USER `a`@`%` IDENTIFIED BY PASSWORD 'x\n\\! touch /tmp/x\n'",
    "\\! touch /tmp/x",
    "CREATE OR REPLACE USER `app`@`%`",
    "CREATE ROLE `r`; GRANT ALL ON *.* TO `r`",
    "CREATE ROLE root",
    "GRANT ALL PRIVILEGES ON *.* TO `app`@`%`, `root`@`%`",
    "GRANT ALL PRIVILEGES ON *.* TO `root`@`%` IDENTIFIED BY PASSWORD 'x TO `app`@`%`'",
    "GRANT ALL PRIVILEGES ON *.* TO CURRENT_USER()",
    "GRANT ALL PRIVILEGES ON *.* TO PUBLIC",
    "GRANT `mariadb_dump_import_role` TO `app`@`%`",
    "ALTER USER `root`@`localhost` IDENTIFIED BY 'x'",
    "SET PASSWORD FOR `app`@`%` = 'x'",
    "SET DEFAULT ROLE `r` FOR `root`@`localhost`",
    "SET DEFAULT ROLE NONE FOR `app`@`%`",
    "SET GLOBAL read_only=1",
    "CREATE FUNCTION f RETURNS STRING SONAME 'lib.so'",
    "REVOKE ALL ON *.* FROM `app`@`%`",
    "DELIMITER ;;",
    "GRANT",
    "GRANT SELECT ON `site`.* TO",
    "CREATE USER",
    "",
)


@pytest.mark.parametrize("planted", PLANTED)
def test_planted_statements_are_left_out(planted: str) -> None:
    """Whatever else stands in a manifest or between the statements of a dump is not kept; what is beside it is."""
    good = "CREATE USER `site`@`%`"
    assert accounts.understood((planted, good)) == (good,)
    assert planted not in accounts.kept(f"{good};\n{planted};\n".encode())


@given(st.text(max_size=40))
def test_any_name_is_read_back(text: str) -> None:
    """A name in backquotes, or in a string of SET DEFAULT ROLE, is read as the server reads it, or not at all."""
    quoted, string = text.replace("`", "``"), text.replace("\\", "\\\\").replace("'", "\\'")
    [*found] = accounts.understood((f"GRANT SELECT ON `x`.* TO `{quoted}`@`h`",))
    assert accounts.names(found) in {(f"{text}@h",), ()}
    for one in accounts.kept(f"/*M!100005 SET DEFAULT ROLE '{string}' FOR '{string}'@'h' */;\n".encode()):
        assert accounts.name(one) == f"{text}@h"
        assert one == f"SET DEFAULT ROLE `{quoted}` FOR `{quoted}`@`h`"


@given(
    st.lists(st.sampled_from([*"`'@;,.*()\\/ \n", "GRANT ", "TO ", "ON ", "`a`", "CREATE ROLE ", "'x'"]), max_size=14)
)
def test_what_is_kept_is_one_statement(pieces: list[str]) -> None:
    """However a text is put together, a statement that is kept from it has no second one, and no comment, in it."""
    for one in accounts.kept(("".join(pieces) + ";\n").encode()):
        assert accounts.understood((one,)) == (one,)
        bare = "".join(part for n, part in enumerate(one.split("`")) if n % 2 == 0)
        bare = "".join(part for n, part in enumerate(bare.split("'")) if n % 2 == 0)
        assert not {";", "/", "\\", "#", "\n"} & set(bare), one
