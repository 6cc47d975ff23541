"""What a backup has to fit: the parsers, with good and hostile answers."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.core.errors import AnswerUnusable, RemedyError
from remedy.core.values import Reply
from remedy.probes import fit, parse

GOOD = b"""\
{"is": "server", "version": "10.11.6-MariaDB-log", "packet": 16777216, "datadir": "/var/lib/mysql/"}
{"is": "schema", "charset": "utf8mb4"}
{"is": "table", "name": "notice", "rows": 5, "bytes": 16384}
{"is": "table", "name": "\xe7\x94\xa8\xe6\x88\xb7\xe2\x80\xa8", "rows": 0, "bytes": 0}
{"is": "object", "kind": "view", "name": "latest", "definer": "root@localhost"}
{"is": "account", "name": "'web'@'%'"}
{"is": "powerful", "name": "'root'@'localhost'"}
{"is": "collation", "name": "utf8mb4_general_ci"}
"""


def test_server() -> None:
    """Rows are sorted by what they are; a schema that does not exist leaves its place empty."""
    found = cast("dict[str, Any]", parse("fit.server", Reply(0, GOOD)))
    assert found["server"]["version"] == "10.11.6-MariaDB-log"
    assert [table["name"] for table in found["table"]] == ["notice", "用户\u2028"]
    assert found["object"] == [{"kind": "view", "name": "latest", "definer": "root@localhost"}]
    assert [len(found[name]) for name in ("account", "powerful", "collation")] == [1, 1, 1]
    assert cast("dict[str, Any]", parse("fit.server", Reply(0, b"")))["schema"] == {}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(1, b"", b"ERROR 2002 (HY000): Can't connect"),
        Reply(0, b"ERROR 1045\n"),
        Reply(0, b"[" * 100_000),
        Reply(0, b'["server"]\n'),
        Reply(0, b'{"is": "moon"}\n'),
        Reply(0, b'{"is": ["table"]}\n'),
        Reply(0, b'{"name": "x"}\n'),
        Reply(0, GOOD, truncated=True),
    ],
)
def test_nonsense(reply: Reply) -> None:
    """Whatever is no such answer is refused, never half read."""
    with pytest.raises(AnswerUnusable):
        parse("fit.server", reply)


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        (b"/usr/share/zoneinfo/Asia/Shanghai\nAsia/Shanghai\n", "Asia/Shanghai"),
        (b"/usr/share/zoneinfo/Etc/UTC\nEtc/UTC\n", "UTC"),
        (b"/usr/share/zoneinfo/posix/Europe/Berlin\n", "Europe/Berlin"),
        (b"/etc/localtime\nEurope/Berlin\n", "Europe/Berlin"),
        (b"/etc/localtime\n", ""),
        (b"", ""),
    ],
)
def test_zone(said: bytes, zone: str) -> None:
    """The zone is what /etc/localtime leads to, else what /etc/timezone says, else unknown."""
    assert parse("fit.zone", Reply(0, said)) == zone


@given(st.binary(max_size=400))
def test_any_bytes(said: bytes) -> None:
    """No answer makes the parsers fail in another way than by refusing it."""
    for name in fit.PARSERS:
        try:
            parse(f"fit.{name}", Reply(0, said))
        except RemedyError as error:
            assert isinstance(error, AnswerUnusable)  # noqa: PT017 -- what else is raised fails the test anyway
