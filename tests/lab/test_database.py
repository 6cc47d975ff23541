"""The rows of the lab's database: as many as asked for, the same every time, and a real server takes them."""

from __future__ import annotations

import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.worlds.mariadb import Server

from remedy.core.errors import RemedyError, UsageError
from remedy.lab import database, filling

LARGEST = 4 << 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with nothing in it."""
    made = Server(tmp_path / "server").start()
    yield made
    made.close()


@pytest.mark.parametrize("size", [50_000, 1_000_000, 20_000_000])
def test_the_size_is_what_was_asked_for(size: int) -> None:
    """Rows come to within a tenth of the size and what one statement holds, and no piece is larger than 4 MiB."""
    pieces = [len(piece) for piece in database.rows(size)]
    assert abs(sum(pieces) - size) < max(size // 10, 70_000)
    assert max(pieces) < LARGEST


def test_the_same_seed_gives_the_same_rows() -> None:
    """Twice the same seed is the same text, another seed another one, and groups asked for apart are the whole."""
    whole = b"".join(database.rows(400_000, seed=7))
    assert whole == b"".join(database.rows(400_000, seed=7))
    assert whole != b"".join(database.rows(400_000, seed=8))
    apart = (database.rows(400_000, seed=7, groups=(group,)) for group in database.GROUPS)
    assert whole == b"".join(itertools.chain.from_iterable(apart))


def test_numbers_begin_where_they_should() -> None:
    """More rows for a database that has some begin after its last number."""
    text = b"".join(database.rows(100_000, first=5000, groups=("sales", "articles")))
    numbers = [int(found) for found in re.findall(rb"^\((\d+),", text, re.MULTILINE)]
    assert min(numbers) == 5000
    assert b"'10000005000'" in text


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("10k", 10240), ("300M", 300 << 20), ("1.5G", 3 << 29), (" 2gb ", 2 << 30)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    """Sizes have the usual units."""
    assert database.parsed_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1M", "0", "1T", "nan", "inf", "1e99", "ten"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """Anything else is a usage error."""
    with pytest.raises(UsageError, match="no size"):
        database.parsed_size(text)


def test_a_server_takes_it_and_dumps_it_at_that_size(server: Server) -> None:
    """Every table has rows, also in a schema of another name, and a dump of it has the size."""
    login = f"--defaults-extra-file={server.option_file}"
    server.run("CREATE DATABASE `shop``s`")
    filling.send(
        ("mariadb", login, "--default-character-set=utf8mb4", "shop`s"), [database.script(2_000_000, schema="shop`s")]
    )
    rows = server.run("SHOW FULL TABLES FROM `shop``s` WHERE table_type = 'BASE TABLE'").stdout.splitlines()
    tables = [row.split("\t")[0] for row in rows]
    empty = {name for name in tables if server.run(f"SELECT count(*) FROM `shop``s`.`{name}`").stdout == "0\n"}
    assert empty == {"audit", "receipt"}
    dumped = subprocess.run(
        ["mariadb-dump", login, "--routines", "--events", "shop`s"], check=True, capture_output=True
    )
    assert abs(len(dumped.stdout) - 2_200_000) < 200_000
    assert dumped.stdout.count(b"`shop``s`.") >= 4, "bodies that name their own schema"


def test_a_client_that_fails_says_why(server: Server) -> None:
    """The server's reason comes back as one line, without the rows."""
    client = ("mariadb", f"--defaults-extra-file={server.option_file}", "nothing_here")
    with pytest.raises(RemedyError, match=r"ERROR 1049 .*nothing_here"):
        filling.send(client, [iter((b"SELECT 1;\n",))])
