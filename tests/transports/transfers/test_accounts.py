"""Claims about accounts: told one by one when a backup is taken, and made again with passwords read in a manifest."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from remedy.backups import accounts, transfers
from remedy.backups.manifest import Manifest, decoded, encoded
from remedy.backups.transfers import Accounts, Take
from remedy.backups.values import Copy, Database
from remedy.core.canon import Json
from remedy.core.errors import Interrupted
from remedy.core.values import Reply
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers import Carrier
from remedy.transports.transfers.accounts import STAND_IN
from remedy.transports.transfers.take import take

from .conftest import Server, database, folder, quiet, unsealed
from .test_take import taken

#: What a server says of a password.
HASH: Final = "*D821809F681A40A6E379B50D0463EFAE20BDD122"
MADE: Final = (
    "CREATE ROLE `reader`",
    f"CREATE USER `app`@`%` IDENTIFIED BY PASSWORD '{HASH}'",
    "CREATE USER `o'neil`@`%`",
    f"GRANT USAGE ON *.* TO `app`@`%` IDENTIFIED BY PASSWORD '{HASH}'",
    "GRANT SELECT ON `shop`.* TO `reader`",
    "GRANT `reader` TO `app`@`%`",
    "GRANT SELECT (`id`, `na``me`), UPDATE (`b`) ON `shop`.`t` TO `o'neil`@`%`",
    "GRANT DELETE ON `shop`.`t` TO `app`@`%` WITH GRANT OPTION",
    "GRANT SELECT, SHOW VIEW ON `shop`.`日志` TO `app`@`%`",
    "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `app`@`%`",
    "GRANT EXECUTE ON FUNCTION `shop`.`p` TO `app`@`%`",
    "GRANT SELECT ON `other`.`x` TO `app`@`%`",
    "GRANT SELECT ON `mysql`.`help_topic` TO `app`@`%`",
    "SET DEFAULT ROLE `reader` FOR `app`@`%`",
)
GRANTS: Final = "SHOW GRANTS FOR app@'%'; SHOW GRANTS FOR 'o''neil'@'%'; SHOW GRANTS FOR reader"


def written(shelf: FolderShelf, name: str, statements: tuple[str, ...], time: int = 1, schema: str = "shop") -> None:
    """A manifest in a copy."""
    made = Manifest("shop", schema, "db01", "10.11", time, "0" * 64, 1, accounts=statements)
    (Path(shelf.copy.path) / f"{name}.manifest.json").write_bytes(encoded(made))


def carried(bulk: Bulk, server: Server, statements: tuple[str, ...], *shelves: FolderShelf) -> tuple[Reply, Any]:
    """What came of a transfer, by its value as a plan keeps it."""
    known = {shelf.copy.name: shelf for shelf in shelves}

    def opened(_: Database, copy: Copy) -> FolderShelf:
        return known[copy.name]

    shop = replace(database(server, "shop", *(shelf.copy for shelf in shelves)), name="shop")
    transfer = transfers.transfer(Accounts(shop, accounts.shown(statements)))
    assert HASH not in transfer.spec
    reply = Carrier(bulk, opened, unsealed)(transfer, CONTROLLER, quiet)
    return reply, json.loads(reply.out)


def said(server: Server) -> list[str]:
    """What the accounts may do, as the server says it."""
    return sorted("\t".join(row) for row in server.sql(GRANTS))


def test_made_with_all_their_rights(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """Passwords come from the manifest, rights on tables and routines are there before those are, and outlive them."""
    written(shelf, "old", MADE[:2])
    written(shelf, "now", MADE, 2)
    written(shelf, "elsewhere", MADE, 9, schema="other")
    (Path(shelf.copy.path) / "odd.manifest.json").write_text("{")
    own_server.sql("SET GLOBAL automatic_sp_privileges=1")
    reply, result = carried(bulk, own_server, MADE, shelf)
    assert reply.status == 0, reply.err
    assert result == {"accounts": 3, "statements": len(MADE), "copies": ["near"], "refused": []}
    assert HASH.encode() not in reply.out + reply.err
    grants = said(own_server)
    assert sum(HASH in line for line in grants) == 1
    [columns] = [line for line in grants if line.endswith("ON `shop`.`t` TO `o'neil`@`%`")]
    assert sorted(re.findall(r"`[^ ]*`(?=[,)])", columns)) == ["`b`", "`id`", "`na``me`"]
    for part in (
        "GRANT DELETE ON `shop`.`t` TO `app`@`%` WITH GRANT OPTION",
        "GRANT SELECT, SHOW VIEW ON `shop`.`日志` TO `app`@`%`",
        "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `app`@`%`",
        "GRANT EXECUTE ON FUNCTION `shop`.`p` TO `app`@`%`",
        "GRANT SELECT ON `other`.`x` TO `app`@`%`",
        "GRANT SELECT ON `mysql`.`help_topic` TO `app`@`%`",
    ):
        assert part in grants, grants
    gone = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN ('mysql','sys') "
    assert own_server.sql(f"{gone} AND schema_name NOT LIKE '%schema'") == []
    assert own_server.sql("SELECT @@GLOBAL.automatic_sp_privileges") == [["1"]]
    own_server.sql(
        "CREATE DATABASE shop; CREATE TABLE shop.t (id INT, `na``me` INT, b INT); INSERT INTO shop.t SET b=7"
    )
    assert carried(bulk, own_server, MADE, shelf)[0].status == 0, "once more changes nothing"
    assert said(own_server) == grants
    assert own_server.sql("SELECT b FROM shop.t") == [["7"]]
    own_server.sql("SET ROLE reader; SELECT b FROM shop.t")


def test_what_was_cut_short_is_cleared(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """Stand-ins that a killed attempt has left go; a table of that name which is somebody's stays, with its rows."""
    written(shelf, "now", MADE)
    own_server.sql(
        f"CREATE DATABASE shop; CREATE TABLE shop.`日志` (a INT) COMMENT='{STAND_IN}'; CREATE DATABASE other;"
        f"CREATE PROCEDURE shop.p() COMMENT '{STAND_IN}' DO 0; CREATE TABLE other.x (n INT) COMMENT='{STAND_IN}!';"
        "CREATE DATABASE remedy__accounts"
    )
    assert carried(bulk, own_server, MADE, shelf)[0].status == 0
    left = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('shop', 'other')"
    assert own_server.sql(left) == [["other", "x"]]
    assert own_server.sql("SHOW DATABASES LIKE 'shop'") + own_server.sql("SHOW DATABASES LIKE 'remedy%'") == []


def test_what_the_server_refuses(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """A statement that is refused is told with its account and without its password, and keeps no other away."""
    odd = (f"CREATE USER `plug`@`%` IDENTIFIED VIA nothing_here USING '{HASH}'", "GRANT `moon` TO `app`@`%`")
    written(shelf, "now", (*odd, *MADE))
    reply, result = carried(bulk, own_server, (*odd, *MADE), shelf)
    assert reply.status == 1
    assert result["refused"] == ["plug@%", "app@%"]
    assert b"refused 2 statements about 2 accounts: plug@%: ERROR 1524" in reply.err
    assert HASH.encode() not in reply.out + reply.err
    assert "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `app`@`%`" in said(own_server)


def test_a_hash_in_an_error_is_hidden(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """Where the server repeats the statement that it does not like, the password in it is not repeated."""
    odd = (f"CREATE USER `app`@`%` IDENTIFIED BY PASSWORD EXPIRE '{HASH}'",)
    written(shelf, "now", odd)
    reply, _ = carried(bulk, own_server, odd, shelf)
    assert reply.status == 1
    assert b"1064" in reply.err
    assert HASH.encode() not in reply.out + reply.err
    assert "'…'".encode() in reply.err


def test_which_manifest(bulk: Bulk, own_server: Server, shelf: FolderShelf, tmp_path: Path) -> None:
    """All but the passwords has to be what was planned; of two of one time that in more copies is read."""
    other = HASH[:-1] + "3"
    changed = tuple(one.replace(HASH, other) for one in MADE)
    far, third = folder(bulk, tmp_path / "far"), folder(bulk, tmp_path / "third")
    written(shelf, "now", changed)
    reply, _ = carried(bulk, own_server, (*MADE, "CREATE USER `new`@`%`"), shelf)
    assert reply.status == 1
    assert b"no copy has a manifest with the accounts of this plan" in reply.err
    assert own_server.sql("SELECT user FROM mysql.user WHERE user='app'") == []
    written(far, "now", MADE)
    written(third, "now", MADE)
    reply, result = carried(bulk, own_server, MADE, shelf, far, third)
    assert (reply.status, result["copies"]) == (0, ["far", "third"])
    assert [line for line in said(own_server) if HASH in line]
    assert not [line for line in said(own_server) if other in line]


def test_interrupted(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """Asked to stop it stops, and is not taken for a copy without a manifest."""
    written(shelf, "now", MADE)
    spec = Accounts(database(own_server, "shop", shelf.copy), accounts.shown(MADE))

    def stop(what: str, _: int, __: int) -> None:
        if what.startswith("make"):
            raise Interrupted("enough")

    with pytest.raises(Interrupted):
        Carrier(bulk, lambda _, __: shelf, unsealed)(transfers.transfer(spec), CONTROLLER, stop)
    assert own_server.sql("SELECT user FROM mysql.user WHERE user='app'") == []


ODD: Final = """
CREATE USER good@'%' IDENTIFIED BY 'x'; CREATE ROLE r; GRANT r TO good@'%'; SET DEFAULT ROLE r FOR good@'%';
CREATE USER boss@localhost; GRANT PROXY ON good@'%' TO boss@localhost;
INSERT INTO mysql.global_priv VALUES ('h', 'line
break', '{}'), ('%', 'pl', '{"access":0,"plugin":"nothing_here","authentication_string":"abc"}');
FLUSH PRIVILEGES;
INSERT INTO mysql.global_priv VALUES ('%', 'asleep', '{}');
CREATE DATABASE `new
line`; GRANT SELECT ON `new
line`.* TO boss@localhost;
"""


def test_an_odd_account_loses_only_itself(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """An account that the server cannot show is named in the manifest; all others are in it, with roles and proxies."""
    own_server.sql(ODD)
    schema = own_server.schema("CREATE TABLE t (a INT); CREATE PROCEDURE p() DO 0")
    own_server.sql(f"GRANT EXECUTE ON PROCEDURE {schema}.p TO good@'%'")
    result: dict[str, Json] = taken(own_server, schema, bulk, shelf)
    assert "err" not in result
    manifest = decoded((Path(shelf.copy.path) / "now.manifest.json").read_bytes())
    assert {*accounts.names(manifest.accounts)} == {"r", "boss@localhost", "good@%", "pl@%"}
    assert accounts.untold(manifest.accounts) == ("asleep@%", "boss@localhost (some of its rights)", "line\\nbreak@h")
    assert result["accounts_untold"] == [*accounts.untold(manifest.accounts)]
    assert result["accounts"] == 4
    assert {one.kind: one.lines for one in manifest.held} == {
        "rights on routines": (f"'good'@'%' Execute on procedure {schema}.p",),
        "roles": ("'good'@'%' has role r",),
        "default roles": ("'good'@'%' begins with role r",),
        "proxies": ("'boss'@'localhost' may act as 'good'@'%'",),
    }


def test_a_login_that_may_not_read_accounts(bulk: Bulk, own_server: Server, shelf: FolderShelf) -> None:
    """A backup by a login with rights on the schema alone is taken, without accounts and lists of rights."""
    schema = own_server.schema("CREATE TABLE t (a INT)")
    own_server.sql("CREATE USER plain@localhost IDENTIFIED BY 'pw'; GRANT RELOAD, PROCESS ON *.* TO plain@localhost")
    own_server.sql(f"GRANT ALL ON {schema}.* TO plain@localhost")
    login = own_server._write("plain.cnf", "user=plain\npassword=pw\n")
    site = replace(database(own_server, schema), defaults_file=login)
    result: dict[str, Json] = {}
    spec = Take(site, (shelf.copy,), "now")
    take(spec, CONTROLLER, bulk=bulk, stores=lambda _, __: shelf, tell=quiet, result=result)
    manifest = decoded((Path(shelf.copy.path) / "now.manifest.json").read_bytes())
    assert (manifest.accounts, manifest.held) == ((), ())
