"""The database that restores are measured with: realistic, of any size, the same for the same size and seed.

    python benchmarks/database.py --size 1G >site.sql                  SQL text, for `mariadb … site` on an empty schema
    python benchmarks/database.py --size 1G --socket /run/x/s          into schema `site` of that server, by two clients
    python benchmarks/database.py --size 1G --socket /run/x/s --dump d.sql      and a mariadb-dump of it

The size is that of the dump. Rows and definitions come from `remedy.lab.database`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from remedy.lab import database, filling, site_rows, site_schema

__all__ = ["DUMP", "dump", "fill"]

SCHEMA: Final = "site"
#: What a nightly job calls, and what restores are compared with.
DUMP: Final = ("mariadb-dump", "--single-transaction", "--routines", "--events", "--triggers", "--master-data=2")
_CHARSET: Final = "--default-character-set=utf8mb4"
_PARTS: Final = (("sales",), ("visits", "articles"))


def fill(login: Sequence[str], size: int, *, seed: int = 1, schema: str = SCHEMA) -> None:
    """Make `schema` on a server, which must not have it, with everything in it.

    `login` are the client's options, such as `("--no-defaults", "--socket=/run/x/s", "--user=root")`; it needs all
    rights, and the binary log is left out. Raises RemedyError with what the client said when it fails.
    """
    client = ("mariadb", *login, "--comments", _CHARSET, "--init-command=SET sql_log_bin = 0")
    within = (*client, schema)
    quoted = schema.replace("`", "``")
    made = f"CREATE DATABASE `{quoted}` CHARACTER SET utf8mb4;\n".encode()
    filling.send(client, [iter((made,))])
    begin = (database.SESSION, *database.definitions(site_schema.tables(schema)), *site_rows.fixed())
    filling.send(within, [iter(begin)])
    filling.send(within, [_part(size, seed, groups) for groups in _PARTS])
    rest = (site_schema.accounts(), site_schema.objects(schema), site_schema.rights(schema))
    filling.send(within, [chain.from_iterable(database.definitions(statements) for statements in rest)])


def _part(size: int, seed: int, groups: tuple[str, ...]) -> Iterator[bytes]:
    yield database.SESSION
    yield from database.rows(size, seed=seed, groups=groups)


def dump(login: Sequence[str], path: Path, *options: str, schema: str = SCHEMA) -> int:
    """Write a dump of the schema to `path` as the nightly job would; its size in bytes. Raises CalledProcessError."""
    with path.open("wb") as file:
        subprocess.run([DUMP[0], *login, *DUMP[1:], _CHARSET, *options, schema], stdout=file, check=True)
    return path.stat().st_size


def main() -> int:
    """Write text, or fill a server."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", required=True, help="such as 300M or 1.5G")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--socket", help="of a server; logs in as root")
    parser.add_argument("--dump", type=Path, help="dump it there afterwards")
    given = parser.parse_args()
    size = database.parsed_size(given.size)
    if not given.socket:
        for piece in database.script(size, seed=given.seed):
            sys.stdout.buffer.write(piece)
        return 0
    login = ("--no-defaults", f"--socket={given.socket}", "--user=root")
    fill(login, size, seed=given.seed)
    if given.dump:
        print(f"{dump(login, given.dump)} bytes in {given.dump}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
