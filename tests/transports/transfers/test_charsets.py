"""Claims about dumps in character sets in which a character may end in a backslash or a backquote."""

from __future__ import annotations

import pytest

from remedy.backups.transfers import Compare, Load
from remedy.core.canon import Json
from remedy.core.errors import ChangeFailed
from remedy.transports.bulk import Bulk
from remedy.transports.folders import FolderShelf
from remedy.transports.guard import CONTROLLER
from remedy.transports.transfers.compare import compare
from remedy.transports.transfers.load import load, read_in

from .conftest import Server, backup_of, database, judge, quiet, unsealed

#: Names and comments of one and of three characters (an odd number of bytes in UTF-8 before a quote); rows whose
#: characters end in a backslash.
MIXED = """
CREATE SEQUENCE `文`;
CREATE TABLE `表` (id INT PRIMARY KEY, `字` VARCHAR(50) CHARACTER SET {charset} COMMENT '功',
  t TEXT CHARACTER SET utf8mb4 COMMENT '功功功') CHARSET={charset} COMMENT='表';
INSERT INTO `表` VALUES (1, '功文', '功'), (2, '功', '\\\\'), (3, '中文\\\\', '功`功;'), (4, NULL, '\\n');
CREATE TABLE `料表料` (`一` INT PRIMARY KEY, `二二二` VARCHAR(20) DEFAULT '功') CHARSET=utf8mb4;
INSERT INTO `料表料` VALUES (1, '功'), (2, '功''');
CREATE TABLE plain (id INT PRIMARY KEY, b BLOB, g VARCHAR(20)) CHARSET={charset};
INSERT INTO plain VALUES (1, 0xA55C275C, '功'), (2, 0x5C, '\\\\');
"""
OBJECTS = """
CREATE VIEW looks AS SELECT id, CONCAT(`字`, '功') AS `功` FROM `表`;
DELIMITER ;;
CREATE TRIGGER before_it BEFORE INSERT ON `表` FOR EACH ROW BEGIN SET NEW.t = CONCAT(NEW.t, '功'); END;;
CREATE PROCEDURE does() COMMENT '功' BEGIN SELECT '功;`'; END;;
DELIMITER ;
"""
#: A character whose second byte is a backslash, where there is one.
ENDS_SO = {"gbk": "誠", "big5": "功", "gb2312": "功"}


@pytest.mark.parametrize("options", [(), ("--hex-blob",)])
@pytest.mark.parametrize("charset", ENDS_SO)
def test_definitions_and_rows_in_different_sets(
    charset: str, options: tuple[str, ...], bulk: Bulk, server: Server, shelf: FolderShelf
) -> None:
    """Such a dump, whose definitions are in UTF-8 and whose rows are not, is loaded whole and found the same."""
    schema, into = server.schema(MIXED.format(charset=charset).replace("功", ENDS_SO[charset])), server.schema()
    assert ENDS_SO[charset].encode(charset).endswith(b"\\") == (charset != "gb2312")
    site = database(server, schema, shelf.copy)
    backup = backup_of(shelf, "dump.sql", server.dump(schema, f"--default-character-set={charset}", *options))
    judged = judge(shelf, site, backup)
    assert judged.level == "whole"
    spec = Load(site, shelf.copy, backup, judged.sha256, judged.contents, into, server.login(into))
    load(spec, CONTROLLER, bulk=bulk, shelf=shelf, open_sealed=unsealed, tell=quiet, result={})
    result: dict[str, Json] = {}
    again = Compare(site, judged.contents, into, server.option_file)
    compare(again, CONTROLLER, bulk=bulk, tell=quiet, result=result)
    assert (result["equal"], result["different"], result["checked"]) == (3, [], 3)
    for question in ("SELECT HEX(`字`), HEX(t) FROM `表` ORDER BY id", "SELECT HEX(`二二二`) FROM `料表料` ORDER BY 1"):
        assert server.sql(question, into) == server.sql(question, schema)
    assert server.sql("SHOW CREATE TABLE `表`", into) == server.sql("SHOW CREATE TABLE `表`", schema)


@pytest.mark.parametrize("charset", ENDS_SO)
def test_objects_of_such_a_dump(charset: str, bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Views, triggers and routines come into an isolated instance as they were."""
    content = (MIXED + OBJECTS).format(charset=charset).replace("功", ENDS_SO[charset])
    schema = server.schema(content)
    site = database(server, schema, shelf.copy)
    backup = backup_of(shelf, "dump.sql", server.dump(schema, f"--default-character-set={charset}", "--routines"))
    judged = judge(shelf, site, backup)
    into = server.schema()
    spec = Load(site, shelf.copy, backup, judged.sha256, judged.contents, into, server.option_file, objects=True)
    load(spec, CONTROLLER, bulk=bulk, shelf=shelf, open_sealed=unsealed, tell=quiet, result={})
    again, result = Compare(site, judged.contents, into, server.option_file, objects=True), dict[str, Json]()
    compare(again, CONTROLLER, bulk=bulk, tell=quiet, result=result)
    assert (result["equal"], result["different"]) == (3, [])


def test_a_difference_is_named_in_such_a_set(bulk: Bulk, server: Server, shelf: FolderShelf) -> None:
    """Tables that can only be dumped all together are told apart all the same."""
    schema = server.schema(MIXED.format(charset="gbk").replace("功", "誠"))
    site = database(server, schema, shelf.copy)
    backup = backup_of(shelf, "dump.sql", server.dump(schema, "--default-character-set=gbk"))
    contents = judge(shelf, site, backup).contents
    server.sql("UPDATE `料表料` SET `二二二` = '一' WHERE `一` = 1; CREATE TABLE `新` (a INT)", schema)
    result: dict[str, Json] = {}
    spec = Compare(site, contents, schema, server.option_file, copy=shelf.copy, backup=backup)
    with pytest.raises(ChangeFailed, match="料表料: rows differ"):
        compare(spec, CONTROLLER, bulk=bulk, tell=quiet, result=result, shelf=shelf, open_sealed=unsealed)
    assert result["different"] == [
        {"table": "料表料", "what": "rows differ"},
        {"table": "新", "what": "it is not in the backup"},
    ]


def test_what_a_client_is_told() -> None:
    """Only a client of a set in which it matters is told, of what stands in another one, and told back."""
    made = b"SET @remedy_a=@@a;\nSET sql_mode='', character_set_client=utf8mb4;\nCREATE TABLE t (a INT);\n"
    assert read_in(made, "gbk") == b"\\C utf8mb4\n" + made + b"\\C gbk\n"
    assert read_in(b"SET NAMES utf8;\nSELECT 1;\n", "big5").startswith(b"\\C utf8\nSET NAMES utf8;\n")
    assert read_in(made, "utf8mb4") == made
    rows = b"INSERT INTO t VALUES ('\nSET NAMES latin1;\n');\n"
    assert read_in(rows, "gbk") == rows
