"""The splitter: it ends statements where the real client ends them, whatever the chunks, in time and memory linear."""

from __future__ import annotations

import re
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worlds.mariadb import Server

from remedy.backups import sql
from remedy.backups.ports import Damaged
from remedy.backups.rows import RowDigest
from remedy.backups.sql import ClientCommand, Comment, Rows, Splitter, Statement, Token

#: What hostile text is made of.
FRAGMENTS = [
    *(
        b"'",
        b'"',
        b"`",
        b";",
        b";;",
        b"\n",
        b"-- ",
        b"--",
        b"-",
        b"#",
        b"/*",
        b"*/",
        b"/*!",
        b"/*M!",
        b"/*! 1 */",
        b"*",
    ),
    *(b"/", b"a", b" ", b"\t", b"x'y'", b"select 1", b"'it\\'s'", b"''", b"'a;\nb'", b"\xe7\x8e\x8b"),
]
#: The same with what only this reader has to survive.
WILD = [
    *FRAGMENTS,
    *(
        b"\xff",
        b"\\",
        b"\\!",
        b"\0",
        b"\r\n",
        b"DELIMITER ;;\n",
        b"delimiter ;\n",
        b"DELIMITER",
        b"INSERT INTO `t` VALUES ",
    ),
    *(
        b"(1,'a'),\n(2,'b')",
        b"INSERT INTO `t` VALUES (1);\n",
        b"REPLACE  INTO `a``b` (`c`, d) VALUES\n(",
        b"source x\n",
    ),
    *(b"/*M!999999\\- enable the sandbox mode */ \n", b");\n", b"mysqldump: [Warning] x\n", b"\\N", b"\\N,"),
]


def split(text: bytes, sizes: Iterable[int] = (), *, recognised: bool = False) -> tuple[list[Token], str]:
    """The tokens of a text that comes in chunks of these sizes, and what is open at its end."""
    splitter = Splitter()
    splitter.recognised = recognised
    tokens: list[Token] = []
    at = 0
    for size in sizes:
        tokens += splitter.feed(text[at : at + size])
        at += size
    tokens += splitter.feed(text[at:])
    tokens += splitter.end()
    return tokens, splitter.unfinished


def texts(tokens: Iterable[Token]) -> list[bytes]:
    """Of statements alone."""
    return [token.text for token in tokens if isinstance(token, Statement)]


def in_one(tokens: Iterable[Token]) -> Iterator[object]:
    """Tokens with neighbouring INSERTs of one head joined: how many are taken together is the chunks' affair."""
    last: tuple[bytes, bytes] | None = None
    for token in tokens:
        if not isinstance(token, Rows):
            if last:
                yield last
            last = None
            yield token
            continue
        head = token.text[: token.head]
        if last and last[0] == head:
            last = head, last[1] + token.text
        else:
            if last:
                yield last
            last = head, token.text
    if last:
        yield last


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"SELECT 1; SELECT 2;\n", [b"SELECT 1", b"SELECT 2"]),
        (b"SELECT ';', \";\", `;`, 'it\\'s;', 'a''b;';\n", [b"SELECT ';', \";\", `;`, 'it\\'s;', 'a''b;'"]),
        (b"SELECT 1 -- ; no\n; SELECT 2 # ;\n;", [b"SELECT 1 -- ; no\n", b"SELECT 2 # ;\n"]),
        (b"SELECT 1 /* ; ' */;SELECT 5--6;", [b"SELECT 1 /* ; ' */", b"SELECT 5--6"]),
        (b"/*!40101 SET NAMES utf8 */;\n", [b"/*!40101 SET NAMES utf8 */"]),
        (b"DELIMITER ;;\nCREATE x; y; END ;;\nDELIMITER ;\nSELECT 1;", [b"CREATE x; y; END ", b"SELECT 1"]),
        (b"delimiter //\nSELECT ';//' //\n delimiter ;\n", [b"SELECT ';//' "]),
        (b"/*M!999999\\- enable the sandbox mode */ \nSELECT 1;", [b"SELECT 1"]),
        (b"-- a\n--\n/* b; */ SELECT 1;\n", [b"SELECT 1"]),
        (b"SELECT '\n-- Dump completed\nDELIMITER ;;\n';\n", [b"SELECT '\n-- Dump completed\nDELIMITER ;;\n'"]),
    ],
)
def test_statements_end_where_they_end(text: bytes, expected: list[bytes]) -> None:
    """Delimiters inside strings, names and comments end nothing; DELIMITER lines count between statements alone."""
    tokens, unfinished = split(text)
    assert (texts(tokens), unfinished) == (expected, "")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that writes down every query that it is sent."""
    folder: Path = tmp_path_factory.mktemp("client") / "server"
    server = Server(folder).start()
    try:
        server.sql("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = 1")
        yield server
    finally:
        server.close()


@settings(max_examples=10, derandomize=True)
@given(st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(b"".join), min_size=15, max_size=15))
def test_the_client_splits_the_same(server: Server, many: list[bytes]) -> None:
    """Of any text, the statements are those that the real client sends; the server's own log says which these are."""
    server.sql("TRUNCATE mysql.general_log")
    argv = ["mariadb", f"--defaults-extra-file={server.option_file}", "--force", "--binary-mode", "--skip-comments"]
    for number, text in enumerate(many):
        mark = f"--init-command=SET @text = {number}"
        subprocess.run([*argv, mark], input=text + b"\n", capture_output=True, check=False)
    logged = server.sql("SELECT thread_id, HEX(argument) FROM mysql.general_log WHERE command_type = 'Query'")
    sent: dict[str, list[bytes]] = defaultdict(list)
    for line in logged:
        thread, argument = line.split("\t")
        sent[thread].append(bytes.fromhex(argument))
    by_number = {int(queries[0][12:]): queries[1:] for queries in sent.values() if queries[0].startswith(b"SET @text")}
    for number, text in enumerate(many):
        tokens, unfinished = split(text + b"\n")
        mine = [one for statement in texts(tokens) if (one := squeezed(statement))]
        theirs = [one for query in by_number[number] if b"@@version_comment" not in query and (one := squeezed(query))]
        # The client sends what is left at the end of its input, too.
        assert mine == (theirs[: len(mine)] if unfinished else theirs), text


def squeezed(text: bytes) -> bytes:
    """A statement without spaces and without the comments that the client leaves out."""
    kept = rb"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`"
    comment = rb"/\*(?![!M]).*?\*/|--(?=[\s\x00-\x20])[^\n]*|#[^\n]*"
    text = re.sub(rb"(" + kept + rb")|" + comment, lambda found: found[1] or b"", text, flags=re.DOTALL)
    return re.sub(rb"\s+", b"", text)


@given(
    st.lists(st.sampled_from(WILD), max_size=25).map(b"".join) | st.binary(max_size=80),
    st.lists(st.integers(1, 9), max_size=60),
    st.booleans(),
)
def test_chunks_do_not_matter(text: bytes, sizes: list[int], recognised: bool) -> None:  # noqa: FBT001 -- drawn
    """However a text is cut into chunks, the tokens and what is left open are the same."""
    whole, open_whole = split(text, recognised=recognised)
    parts, open_parts = split(text, sizes, recognised=recognised)
    assert (list(in_one(parts)), open_parts) == (list(in_one(whole)), open_whole)


def test_commands_for_the_client_are_reported() -> None:
    """Backslash commands and the client's own words are told apart from statements, wherever a client sees them."""
    text = b"\\! touch x\nSELECT 1 \\! touch y\n;\nsource /tmp/x\nsystem id;\nSELECT '\\! no', \\N;\nDELIMITER\n"
    tokens, _ = split(text)
    commands = [token.text.split(b"\n")[0] for token in tokens if isinstance(token, ClientCommand)]
    assert commands == [b"\\! touch x", b"\\!", b"source /tmp/x", b"system id;", b"DELIMITER"]


def test_comments_between_statements_are_given_whole() -> None:
    """A comment has its newline where the file has one: a footer without it is not a whole line."""
    tokens, _ = split(b"-- one\n# two\n/* three */\n-- four")
    assert tokens == [Comment(b"-- one\n"), Comment(b"# two\n"), Comment(b"/* three */"), Comment(b"-- four")]


@pytest.mark.parametrize(
    ("text", "unfinished"),
    [
        (b"SELECT 'a", "string"),
        (b"SELECT 1", "statement"),
        (b"SELECT `a;", "string"),
        (b"/* a", "comment"),
        (b"SELECT 1 /* a;", "comment"),
        (b"DELIMITER ;;\nSELECT 1;;\n", "delimiter"),
        (b"INSERT INTO t VALUES (1,'a", "rows"),
        (b"INSERT INTO t VALUES (1,'a'),\n(2,'b')", "rows"),
        (b"SELECT 1;\n", ""),
        (b"-- only this", ""),
    ],
)
def test_what_is_left_open_is_said(text: bytes, unfinished: str) -> None:
    """At the end of the text it is known what was not finished."""
    assert split(text, recognised=True)[1] == unfinished


def test_the_two_readings_of_rows_agree() -> None:
    """What a dumper wrote is split alike by its line ends and by its strings."""
    text = b"INSERT INTO `a;\n` VALUES\n(1,'x;y'),\n(2,NULL);\nINSERT INTO `a;\n` (`b`) VALUES (3,'\\'');\nSELECT 1;\n"
    quick, exact = split(text, recognised=True)[0], split(text)[0]
    assert [token.text for token in quick] == [token.text for token in exact]
    assert [token.table for token in quick if isinstance(token, Rows)] == [b"`a;\n`"] * 2


def test_text_that_escapes_otherwise() -> None:
    """Without backslash escapes (sql_mode), and with characters that end in a backslash, strings end where they do."""
    splitter = Splitter()
    splitter.escapes = False
    assert [token.text for token in splitter.feed(b"SELECT 'C:\\';  SELECT 2;" + b" " * 99)] == [
        b"SELECT 'C:\\'",
        b"SELECT 2",
    ]
    splitter = Splitter()
    splitter.wide = True
    text = "SELECT '功', `功;`;  SELECT 2;".encode("big5").replace(b"2", b"`\xa4`;`") + b" " * 99
    assert "功".encode("big5") == b"\xa5\\"
    assert len(list(splitter.feed(text))) == 2


ROWS = st.lists(
    st.tuples(
        st.integers(0, 9), st.sampled_from([b"'a'", b"'),('", b"';\\n'", b"NULL", b"'\\\\'", b"'\\'(x)'", b"0x28"])
    ),
    min_size=1,
    max_size=8,
)


@given(ROWS, st.integers(1, 3), st.lists(st.integers(1, 40), max_size=40))
def test_rows_have_one_digest_however_they_are_grouped(
    rows: list[tuple[int, bytes]], each: int, sizes: list[int]
) -> None:
    """One statement, one per row, a line per row, all on one line, with columns or not: one digest, a right count."""
    said = [b"(%d,%s)" % row for row in rows]
    groups = [said[at : at + each] for at in range(0, len(said), each)]
    forms = {
        "lines": b"INSERT INTO `t` VALUES\n" + b",\n".join(said) + b";\n",
        "line": b"INSERT INTO `t` VALUES " + b",".join(said) + b";\n",
        "single": b"".join(b"INSERT INTO `t` (`a`,`b`) VALUES (%s);\n" % row[1:-1] for row in said),
        "some": b"".join(b"INSERT  IGNORE INTO `t` VALUES\n" + b",\n".join(group) + b";\n" for group in groups),
        "mydumper": b"".join(b"REPLACE INTO `t` VALUES" + b"\n,".join(group) + b"\n;\n" for group in groups),
        "history": b"INSERT INTO `t` (`a`, b) VALUES " + b",\n".join(said) + b";\n",
    }
    found = {}
    for name, text in forms.items():
        digest = RowDigest()
        tokens, unfinished = split(text, sizes, recognised=True)
        assert not unfinished
        for token in tokens:
            assert isinstance(token, Rows)
            assert digest.add(token, one_line=True)
        found[name] = digest.hexdigest(), digest.bytes
        uncertain = name in ("line", "single") or len(rows) == 1
        assert digest.count in ((len(rows), -1) if uncertain else (len(rows),)), name
    assert len(set(found.values())) == 1, found
    exact = RowDigest()
    for token in split(forms["lines"])[0]:
        assert isinstance(token, Rows)
        assert exact.add(token, one_line=False)
    assert exact.hexdigest() == found["lines"][0]


@given(st.lists(st.sampled_from([b"a", b"\\\\", b'\\"', b"\\'", b"(", b"),(", b"\\n"]), max_size=12).map(b"".join))
def test_double_quotes_have_the_digest_of_single_ones(value: bytes) -> None:
    """Strings of mydumper and of mysqldump are one text, whatever is escaped in them."""
    single, double = RowDigest(), RowDigest()
    for digest, quote in ((single, b"'"), (double, b'"')):
        text = b"INSERT INTO `t` VALUES\n(1," + quote + value + quote + b");\n"
        (token,) = split(text, recognised=True)[0]
        assert isinstance(token, Rows)
        assert digest.add(token, one_line=True, double_quotes=quote == b'"')
    assert single.hexdigest() == double.hexdigest()


def test_what_is_no_row_is_refused() -> None:
    """VALUES followed by anything but rows in parentheses gives no digest."""
    (token,) = split(b"INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a=1;\n", recognised=True)[0]
    assert isinstance(token, Rows)
    assert not RowDigest().add(token, one_line=True)


HEAD = b"INSERT INTO `t` VALUES"
#: Rows as the dumpers write them, in which `%s` follows the last or an earlier row.
PLANTED = {
    "last line": HEAD + b"\n(1,'a'),\n(2,'b')%s;\n",
    "beside literals": HEAD + b"\n(1,'; x; y'),\n(2,'; SET')%s;\n",
    "earlier line": HEAD + b"\n(1,'a')%s; INSERT INTO `t` VALUES\n(2,'b'),\n(3,NULL);\n",
    "one line": HEAD + b" (1,'a'),(2,'; DROP')%s;\n",
    "one each": HEAD + b" (1,'a');\n" + HEAD + b" (2,'b')%s;\n" + HEAD + b" (3,'c');\n",
    "mydumper": HEAD + b'(1,"a")\n,(2,"it\\\'s")%s\n;\n',
    "newline in a name": b"INSERT INTO `t\n` VALUES (1,'a');\nINSERT INTO `t\n` VALUES (2,'b')%s;\n",
}


@pytest.mark.parametrize("form", PLANTED)
@pytest.mark.parametrize(
    "more",
    [
        b"; GRANT ALL ON *.* TO x",
        b";grant all on *.* to x; DO (1)",
        b" ; /* */ DROP USER x",
        b"; -- \nGRANT x",
        b"; \nSET @x=(1)",
    ],
)
def test_what_stands_behind_rows_is_told(form: str, more: bytes) -> None:
    """A statement on the line on which rows end is seen, whatever the chunks."""
    for sizes in ([], [7] * 80):
        planted, _ = split(PLANTED[form] % more, sizes, recognised=True)
        told = [token.behind for token in planted if isinstance(token, Rows) and token.behind]
        assert told, planted
        assert told[0].startswith(b";")


def test_the_last_line_is_always_read() -> None:
    """However many semicolons are in literals before, what stands behind the last row is seen."""
    text = HEAD + b"\n(1,'" + b"; x" * 99 + b"'),\n(2,'; SET')%s;\n"
    for more, told in (
        (b"; GRANT x; DO (1)", b"; GRANT x; DO (1)"),
        (b"/* */ ; GRANT x", b"/* */ ; GRANT x"),
        (b"", b""),
    ):
        (token, *_), _ = split(text % more, recognised=True)
        assert isinstance(token, Rows)
        assert token.behind == told


TEXTS = st.lists(
    st.sampled_from(
        ["; GRANT ", ";", "'", "\\", '"', "`", "-- ", "#", "/*", "*/", "\n", ")", ",", "(", "; \n", "王", "x", ");"]
    ),
    max_size=12,
).map("".join)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), st.lists(st.integers(1, 40), max_size=40))
def test_literals_are_never_taken_for_statements(values: list[tuple[str, str]], sizes: list[int]) -> None:
    """Whatever stands in literals as dumpers escape them, nothing is seen behind rows."""
    for quote in "'\"":
        said = [
            b"(%d,%s,%s)" % (at, _literal(one, quote), _literal(two, quote)) for at, (one, two) in enumerate(values)
        ]
        for text in (
            HEAD + b"\n" + b",\n".join(said) + b";\n",
            HEAD + b" " + b",".join(said) + b";\n",
            b"".join(HEAD + b" " + one + b";\n" for one in said),
            HEAD + b"\n,".join(said) + b"\n;\n",
        ):
            tokens, unfinished = split(text, sizes, recognised=True)
            assert not unfinished
            assert not [token.behind for token in tokens if isinstance(token, Rows) and token.behind]


def _literal(text: str, quote: str) -> bytes:
    """As mysql_real_escape_string writes it."""
    for raw, escaped in (("\\", "\\\\"), ("'", "\\'"), ('"', '\\"'), ("\n", "\\n")):
        text = text.replace(raw, escaped)
    return f"{quote}{text}{quote}".encode()


def consume(tokens: Iterable[Token]) -> None:
    """Take all of them."""
    for _ in tokens:
        pass


def test_long_statements_are_bounded_and_taken_in_linear_time() -> None:
    """A row of 64 MB comes through in small chunks as one piece; a statement that no server takes is refused."""
    chunk = b"\\'x;" * 4096
    splitter = Splitter()
    splitter.recognised = True
    begun = time.process_time()
    found = [*splitter.feed(b"INSERT INTO t VALUES (1,'")]
    for _ in range(4096):
        found += splitter.feed(chunk)
    found += splitter.feed(b"');\n")
    assert [len(token.text) for token in found] == [25 + 4096 * len(chunk) + 4]
    for start, limit in ((b"SELECT '", sql.LIMIT), (b"SELECT 1 /*", sql.LIMIT), (b"SELECT ", sql.LIMIT)):
        splitter = Splitter()
        list(splitter.feed(start))
        with pytest.raises(Damaged, match="longer than 64 MiB"):
            consume(token for _ in range(limit // 65536 + 1) for token in splitter.feed(b" " * 65536))
    assert time.process_time() - begun < 20  # a quadratic way takes hours


def test_a_gigabyte_of_comment_is_not_kept() -> None:
    """Of a comment that does not end only the beginning is kept."""
    splitter = Splitter()
    for start in (b"-- ", b"/* "):
        list(splitter.feed(start))
        for _ in range(64):
            assert not list(splitter.feed(b"x" * (1 << 20)))
        (token,) = splitter.feed(b"*/\n")
        assert len(token.text) <= sql.COMMENT_LIMIT
