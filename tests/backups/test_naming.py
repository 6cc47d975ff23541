"""Names of files in a backup folder: what a schema's name becomes in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.backups import naming


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ("site", "site"),
        ("web-2.0", "web-2.0"),
        ("sh`op's 店-1", "sh_op_s_-1"),
        ("店", "db_"),
        ("-x", "db-x"),
        ("", "db"),
    ],
)
def test_a_schema_as_a_files_name(schema: str, name: str) -> None:
    """Plain names stay as they are; quotes, spaces and other scripts become one underscore each."""
    assert naming.of_schema(schema) == name


@given(st.text(max_size=100))
def test_any_schema_gives_a_name_that_needs_no_quotes(schema: str) -> None:
    """Whatever a schema is called, its files begin with a letter or digit and hold nothing a shell would look at."""
    name = naming.of_schema(schema)
    assert name[0].isascii()
    assert name[0].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@+-")
    assert naming.before_restore(f"{name}-before-R0123abcd.sql") == "R0123abcd"
