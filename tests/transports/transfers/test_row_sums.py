"""Claims about sums of rows: the same for the same rows, however they stand there, and for no others."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remedy.backups.ports import Damaged
from remedy.transports.transfers.row_sums import RowSum

HEAD = b"INSERT INTO `t` VALUES\n"


def summed(*statements: bytes, columns: str = "abcd", stored: str = "") -> RowSum:
    """The sum of all of them; a letter for each column."""
    made = RowSum(tuple(columns), frozenset(stored or columns))
    for statement in statements:
        made.add(statement)
    return made


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO `t` VALUES (1,'it''s',NULL,0x00ff),(-2.5e+3,'a,b);(','',0x41);\n",
        b"INSERT INTO `t` VALUES\n(-2.5e+3,'a,b);(','','A'),\n(1,'it\\'s',NULL,'\\0\xff');\n",
        b'INSERT INTO `t` (`a`,`b`,`c`,`d`) VALUES\n(1,"it\'s",NULL,_binary \'\\0\xff\')\n,(-2.5e+3,"a,b);(","",0x41);',
        b"INSERT INTO `t` VALUES (1,'it\\'s',NULL,0x00FF);\n%s(-2.5e+3,'a,b);(','',_binary 'A');\n" % HEAD,
        b"SET insert_history=1;\nREPLACE INTO `t` VALUES (-2.5e+3,'a,b);(','',0x41),(1,'it''s',NULL,0x00ff);",
    ],
)
def test_the_same_rows_have_the_same_sum(text: bytes) -> None:
    """Order, grouping, columns, quotes and the form of binary values make no difference."""
    assert summed(text) == summed(b"INSERT INTO `t` VALUES (1,'it''s',NULL,0x00FF),(-2.5e+3,'a,b);(','','A');")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"(1)", b"(2)"),
        (b"(1),(1)", b"(1)"),
        (b"(1),(1)", b"(2),(2)"),
        (b"(1,23)", b"(12,3)"),
        (b"('NULL')", b"(NULL)"),
        (b"('')", b"(NULL)"),
        (b"('1')", b"(1)"),
        (b"('a','b')", b"('b','a')"),
        (b"('\\n')", b"('n')"),
        (b"('\\\\')", b"('\\\\\\\\')"),
        (b"('a'),('b')", b"('a','b')"),
    ],
)
def test_other_rows_have_another_sum(one: bytes, other: bytes) -> None:
    """One value, one row, one NULL apart."""
    columns = "ab" if b"," in one.replace(b"),(", b"") else "a"
    width = "ab" if b"," in other.replace(b"),(", b"") else "a"
    assert summed(HEAD + one + b";\n", columns=columns).sum != summed(HEAD + other + b";\n", columns=width).sum


def test_generated_columns_do_not_count() -> None:
    """With their values or without, and whatever the order of the columns is."""
    one = summed(b"INSERT INTO `t` VALUES (1,2,'x``y'),(3,6,'');\n", columns="abc", stored="ac")
    assert one == summed(b"INSERT INTO `t` (`c`,`a`) VALUES ('',3),('x``y',1);\n", columns="abc", stored="ac")
    assert one != summed(b"INSERT INTO `t` (`c`,`a`) VALUES ('',3),('x``y',2);\n", columns="abc", stored="ac")
    with pytest.raises(Damaged, match="without the column a"):
        summed(b"INSERT INTO `t` (`c`) VALUES ('');\n", columns="abc", stored="ac")


@pytest.mark.parametrize("text", [b"(1", b"(1)", b"('a);", b"((1));", b"(1));", b"(1,2);", b"();"])
def test_what_is_no_row_is_refused(text: bytes) -> None:
    """Nothing is added up that is not understood."""
    with pytest.raises(Damaged):
        summed(HEAD + text, columns="a")
    with pytest.raises(Damaged):
        summed(b"DELETE FROM `t`;\n")


@given(st.lists(st.tuples(st.integers(), st.binary(min_size=1)), min_size=1, max_size=20), st.randoms())
def test_any_bytes_in_any_order(rows: list[tuple[int, bytes]], chance: random.Random) -> None:
    """Escaped as a dumper does or in hexadecimal, in order or not: one sum."""
    written = [b"(%d,'%s')" % (number, escaped(value)) for number, value in rows]
    other = [b"(%d,0x%s)" % (number, value.hex().encode()) for number, value in rows]
    chance.shuffle(other)
    assert summed(HEAD + b",\n".join(written) + b";\n", columns="ab") == summed(
        *(HEAD + row + b";\n" for row in other), columns="ab"
    )


def escaped(value: bytes) -> bytes:
    """As mysql_real_escape_string."""
    special = {0: b"\\0", 10: b"\\n", 13: b"\\r", 92: b"\\\\", 39: b"\\'", 34: b'\\"', 26: b"\\Z"}
    return b"".join(special.get(byte, bytes([byte])) for byte in value)
