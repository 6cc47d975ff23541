"""Which tables take a default from a sequence, as a real dump says it, and as it must not be read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds.mariadb import Server

from remedy.actions.recovery import sequences

SQL = """
CREATE DATABASE `od``d 库`; USE `od``d 库`; CREATE SEQUENCE `se``q`; CREATE SEQUENCE plain;
CREATE TABLE one (id INT PRIMARY KEY DEFAULT NEXT VALUE FOR `se``q`, v INT);
CREATE TABLE `tw``o` (id INT PRIMARY KEY, v INT DEFAULT (lastval(plain) + 1));
CREATE TABLE none (id INT PRIMARY KEY, t VARCHAR(99) DEFAULT 'nextval(`a`.`b`)' COMMENT 'it''s \\\\' nextval(`a`.`b`)');
CREATE TABLE after_it (id INT);
CREATE VIEW v AS SELECT nextval(plain) n;
CREATE PROCEDURE p() SELECT nextval(plain);
"""


@pytest.fixture(scope="module")
def dump() -> Iterator[str]:
    """What mariadb-dump writes of such tables."""
    server = Server(Path(tempfile.mkdtemp(prefix="sequences-", dir="/tmp")))
    try:
        server.start().sql(SQL.replace("\\\\'", "\\'"))
        yield server.dump("od`d 库", "--no-data").decode()
    finally:
        server.close()


def test_who_asks_a_sequence(dump: str) -> None:
    """Tables are told with the sequence that they ask; what a string says, a view or a routine, is none of it."""
    assert sequences.asked(dump) == {"one": "od`d 库.se`q", "tw`o": "od`d 库.plain"}


def test_of_a_definition_alone(dump: str) -> None:
    """A single statement, as it is sent to a client, is read like a dump."""
    begin = dump.index("CREATE TABLE `one`")
    one = dump[begin : dump.index(";", begin) + 1]
    sent = one.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
    assert sequences.asked(f"SET x=1;\n{sent}\nSET x=2;\n") == {"one": "od`d 库.se`q"}
    assert sequences.asked("") == {}
