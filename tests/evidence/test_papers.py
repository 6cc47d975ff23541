"""The papers: every field the rules want, nothing made up, nothing that acts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from remedy.evidence.findings import KINDS
from remedy.evidence.papers import Item, Papers, as_html, as_markdown
from remedy.evidence.recorded import Told

PAPERS = Papers(
    (
        ("External-Identifier", "E1"),
        ("Bag-Group-Identifier", "INC-20261120-1"),
        ("External-Description", "web01 after the defacement"),
        ("Contact-Name", "ann@adm1"),
        ("Payload-Oxum", "21.2"),
        ("Bag-Software-Agent", "remedy 0.1.0"),
        ("Remedy-Target", "web01"),
        ("Remedy-Target", "web02"),
        ("Remedy-Began", "2026-11-20T06:30:00Z"),
        ("Remedy-Sealed", "2026-11-20T06:32:59Z"),
        ("Remedy-Record-Head", "9f86d081884c7d659a2feaa0c55ad015"),
        ("Remedy-Manifest-sha256", "0"),
        ("Remedy-Manifest-sm3", "0"),
        ("Remedy-Method", "added"),
        ("Remedy-Completeness", "whole"),
    ),
    "a" * 64,
    "SHA256:key",
    "2026-11-20T06:33:00Z",
    cause="网站被篡改",
    events=(Told(4, "2026-11-20T06:32:59.000001Z", "INC-20261120-1", "sealed", {}),),
)
ITEMS = (
    Item("data/web01/0001-clock.out", 11, {"sha256": "b" * 64, "sm3": "c" * 64}),
    Item("data/web01/0002-x.unknown", 10, {"sha256": "d" * 64}),
)
FIELDS = (
    "案由",
    "对象",
    "内容",
    "时间",
    "地点",
    "方法",
    "过程",
    "类别",
    "文件格式",
    "完整性校验值",
    "见证人",
    "持有人",
    "侦查人员",
    "原始存储介质",
    "录像",
)
Form = Callable[[Papers, Iterable[Item]], Iterator[str]]


class Text(HTMLParser):
    """What a page shows, and every tag and attribute in it."""

    def __init__(self, page: str) -> None:
        """Read it."""
        super().__init__()
        self.shown, self.tags = "", set[str]()
        self.attributes = set[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Note it."""
        self.shown += data


@pytest.mark.parametrize("form", [as_markdown, as_html])
def test_every_field_that_the_rules_want(form: Form) -> None:
    """Case, object, content, time, place, method, course, and of each file kind, format and hashes are there."""
    text = "".join(form(PAPERS, ITEMS))
    assert all(word in text for word in FIELDS)
    assert all(digest in text for item in ITEMS for digest in item.digests.values())
    for said in ("SHA-256", "SM3", "第五条", "网站被篡改", "web01, web02", "记录第4条"):
        assert said in text
    assert "Remedy-Anchor: 9f86d081884c7d65" in text
    assert text == "".join(form(PAPERS, ITEMS))


def test_what_nobody_said_is_blank() -> None:
    """A place that nobody gave is a line to write on."""
    assert "| 地点 | ________________ |" in "".join(as_markdown(PAPERS, ()))
    assert "<tr><th>地点</th><td>&nbsp;</td></tr>" in "".join(as_html(PAPERS, ()))


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "a | b\n# c", "\x1b[2J", "\u202e", "`x` [y](z) ![i](u)"]
)
def test_hostile_texts(hostile: str) -> None:
    """No text of a bag becomes markup, a line, a link or a control on paper."""
    made = replace(PAPERS, cause=hostile, place=hostile, holder=hostile, witness=hostile)
    items = (Item(f"data/{hostile}", 1, {"sha256": "0"}),)
    page = Text("".join(as_html(made, items)))
    plain = Text("".join(as_html(PAPERS, ITEMS)))
    assert page.tags == plain.tags
    assert page.attributes == plain.attributes
    text = "".join(as_markdown(made, items))
    assert len(text.splitlines()) == len("".join(as_markdown(PAPERS, ITEMS[:1])).splitlines())
    assert not {"\x1b", "\u202e"} & set(text + page.shown)
    assert "](z)" not in text.replace("\\]", "")


def test_what_is_not_known_is_not_claimed() -> None:
    """A bag that does not say how it came about has no method of collection, and no event is in English."""
    bare = replace(PAPERS, info=tuple(row for row in PAPERS.info if row[0] != "Remedy-Method"))
    assert "SSH" not in "".join(as_markdown(bare, ()))
    course = [Told(5, "2026-11-20T06:31:00Z", "INC-1", event, {}) for event in ("planned", "collected", "unreached")]
    text = "".join(as_markdown(replace(PAPERS, events=tuple(course)), ()))
    assert not {"planned", "collected", "unreached"} & set(re.findall(r"[a-z]+", text))


def test_what_verifying_left_open_is_printed() -> None:
    """Every doubt that verifying may have stands in the minutes in words, and a doubted time stamp is no method."""
    assert "| 核验结果 | 无疑点 |" in "".join(as_markdown(PAPERS, ()))
    assert "可信时间戳" in "".join(as_markdown(PAPERS, ()))
    doubts = [kind for kind, (grade, _) in KINDS.items() if grade == "doubt"]
    for kind in doubts:
        [row] = re.findall(r"核验结果 \| (.*) \|", "".join(as_markdown(replace(PAPERS, doubts=(kind, kind)), ())))
        assert "未" in row or "没有" in row
        assert kind not in row
        assert ";" not in row
    assert "可信时间戳" not in "".join(as_markdown(replace(PAPERS, doubts=("unknown-authority",)), ()))


def test_a_partial_bag_says_so() -> None:
    """What a bag has not stands in its minutes."""
    info = tuple(row for row in PAPERS.info if row[0] != "Remedy-Completeness")
    partial = replace(PAPERS, info=(*info, ("Remedy-Completeness", "partial"), ("Remedy-Lacking", "web02 went away")))
    assert "部分: web02 went away" in "".join(as_markdown(partial, ()))
