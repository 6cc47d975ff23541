"""The papers that go with a bag: minutes (笔录) and list (清单), as text and as a page to print. Pure: values to text.

Decides the fields and the words. Article 14 of 法发[2016]22号 (Supreme People's Court, Supreme People's Procuratorate,
Ministry of Public Security) wants minutes with case, object, content, time, place, method and course of the collection,
and a list with kind, file format and integrity value of the data, signed by who collected and who holds it, or by a
witness where the holder cannot or will not; article 5 names the ways in which integrity is protected. They also want to
be told of a video recording, of original media that were not seized, and of a witness who is lacking. What nobody said
is left blank, to be written in by hand: nothing is made up, and what verifying left open stands there as open.

    ## 电子数据提取固定清单
    | 序号 | 文件 | 类别 | 文件格式 | 大小(字节) | 完整性校验值 |

The same bag and the same entries of the record always give the same papers. Leaves to others: reading the bag and the
record (the command line), and signatures by hand.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from remedy.core.text import printable
from remedy.evidence import recorded
from remedy.evidence.recorded import Told

__all__ = ["Item", "Papers", "as_html", "as_markdown"]

_BLANK: Final = "________________"
_LONGEST: Final = 2000
#: What a payload file is, by the end of its name: kind and format. The first that fits counts.
_KINDS: Final = (
    (".meta.json", "采集说明(元数据)", "JSON"),
    (".out", "命令输出", "文本/二进制流"),
    (".err", "命令错误输出", "文本"),
    (".tar", "文件归档", "tar"),
    (".tar.zst", "文件归档", "tar+zstd"),
    (".json", "结构化数据", "JSON"),
    (".img", "磁盘镜像", "原始镜像"),
    (".log", "日志", "文本"),
    (".png", "图片", "PNG"),
    (".jpg", "图片", "JPEG"),
    (".pcap", "网络流量", "pcap"),
    (".html", "网页", "HTML"),
    (".pdf", "文档", "PDF"),
)
_METHODS: Final = {
    "added": "由操作人提供文件, 逐字节复制, 复制的同时计算完整性校验值",
    "collected": "通过SSH远程在线提取, 只读, 不向目标写入, 传输的同时计算完整性校验值",
}
_EVENTS: Final = {
    recorded.BEGUN: "开始提取",
    "planned": "确定提取步骤",
    "collected": "提取结束",
    "unreached": "未能连接目标",
    recorded.SEALED: "封存并签名",
    recorded.BROKEN_OFF: "封存失败",
    recorded.WITNESSED: "见证人电子签名",
    recorded.EXPORTED: "导出",
    recorded.HANDED_OVER: "制作移交文书",
}
#: What verifying left open, by the kind of finding.
_OPEN: Final = {
    "unrecorded": "事件记录中没有该证据包的封存条目",
    "unknown-key": "签名密钥归属未经核实",
    "unstamped": "时间戳机构未给出时间戳",
    "unknown-authority": "时间戳机构的根证书取自证据包, 未经核实",
    "not-checked": "有项目未能核验",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One file of the list: its path in the bag, size in bytes, digests by algorithm."""

    path: str
    size: int
    digests: dict[str, str]

    @property
    def kind(self) -> tuple[str, str]:
        """Kind and format, by its name."""
        return next(((kind, form) for end, kind, form in _KINDS if self.path.endswith(end)), ("电子文件", "原始格式"))


@dataclass(frozen=True, slots=True)
class Papers:
    """What the papers say. Texts may hold anything; "" is left blank.

    `info` is that of the bag, `sha256` that of its tag manifest, `witnesses` (name, key) of signatures in the bag,
    `events` what the record says of it, `doubts` the kinds of what verifying left open.
    """

    info: tuple[tuple[str, str], ...]
    sha256: str
    key: str
    stamped: str
    cause: str = ""
    place: str = ""
    holder: str = ""
    witness: str = ""
    witnesses: tuple[tuple[str, str], ...] = ()
    events: tuple[Told, ...] = ()
    doubts: tuple[str, ...] = ()

    def said(self, label: str) -> str:
        """The values of a label of bag-info.txt, in one line."""
        return ", ".join(value for name, value in self.info if name == label)

    def fields(self) -> Iterator[tuple[str, str]]:
        """The minutes: label and text. Blank texts are to be written in by hand."""
        size, _, count = self.said("Payload-Oxum").partition(".")
        yield "案由", self.cause
        yield "对象", self.said("Remedy-Target") or self.said("External-Description")
        yield "内容", f"{self.said('External-Description')} (共{count}个文件, {size}字节)"
        yield "时间", f"{self.said('Remedy-Began')} 至 {self.said('Remedy-Sealed')} (UTC)"
        yield "地点", self.place
        yield "方法", "; ".join(self._method())
        yield "过程", "; ".join(self._course())
        yield (
            "完整性",
            "全部" if self.said("Remedy-Completeness") == "whole" else f"部分: {self.said('Remedy-Lacking')}",
        )
        yield "操作人(提取人)", self.said("Contact-Name")
        yield "使用工具", self.said("Bag-Software-Agent")
        yield "证据包编号", f"{self.said('External-Identifier')} (事件 {self.said('Bag-Group-Identifier')})"
        yield "证据包校验值", f"SHA-256 {self.sha256} (tagmanifest-sha256.txt)"
        yield "签名密钥指纹", self.key
        yield "时间戳", self.stamped or "无"
        yield "核验结果", "; ".join(dict.fromkeys(_OPEN.get(one, one) for one in self.doubts)) or "无疑点"
        for name, key in self.witnesses:
            yield "见证人电子签名", f"{name}, 密钥指纹 {key}"
        yield "原始存储介质(未扣押的, 注明原因和存放地点)", ""
        yield "录像(有/无)", ""

    def _method(self) -> Iterator[str]:
        if method := _METHODS.get(self.said("Remedy-Method")):
            yield method
        digests = [name for name in ("sha256", "sm3") if self.said(f"Remedy-Manifest-{name}")]
        names = "、".join({"sha256": "SHA-256", "sm3": "SM3"}[name] for name in digests)
        yield f"第五条: 计算电子数据完整性校验值({names}); 制作、封存电子数据备份(BagIt, Ed25519电子签名)"
        if self.stamped and "unknown-authority" not in self.doubts:
            yield f"可信时间戳(RFC 3161) {self.stamped}"

    def _course(self) -> Iterator[str]:
        for one in self.events:
            yield f"{one.time[:19]}Z {_EVENTS.get(one.event, one.event)} (记录第{one.seq}条)"

    def signatures(self) -> tuple[tuple[str, str], ...]:
        """Who signs by hand, and the name where it was given."""
        return (
            ("提取人", ""),
            ("侦查人员", ""),
            ("侦查人员", ""),
            ("电子数据持有人(提供人)", self.holder),
            ("见证人", self.witness),
        )


_MINUTES: Final = "电子数据提取笔录"
_LIST: Final = "电子数据提取固定清单"
_COLUMNS: Final = ("序号", "文件", "类别", "文件格式", "大小(字节)", "完整性校验值")
_NOTE: Final = "持有人(提供人)无法签名或者拒绝签名的, 在此注明, 由见证人签名或者盖章; 无见证人的, 注明情况:"


def _cells(number: int, item: Item) -> tuple[str, ...]:
    kind, form = item.kind
    sums = " ".join(f"{name.upper().replace('SHA', 'SHA-')} {digest}" for name, digest in item.digests.items())
    return str(number), item.path, kind, form, str(item.size), sums


def as_markdown(papers: Papers, items: Iterable[Item]) -> Iterator[str]:
    """Both papers as Markdown, line by line."""
    yield f"# {_MINUTES}\n\n| 项目 | 内容 |\n|---|---|\n"
    for label, text in papers.fields():
        yield f"| {label} | {_plain(text) or _BLANK} |\n"
    yield f"\n{_NOTE} {_BLANK}\n\n"
    yield from (
        f"{who} {_plain(name)} (签名或者盖章): {_BLANK}  日期: {_BLANK}\n\n" for who, name in papers.signatures()
    )
    yield f"# {_LIST}\n\n| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"
    for number, item in enumerate(items, 1):
        yield f"| {' | '.join(map(_plain, _cells(number, item)))} |\n"
    yield "\n"
    yield from (
        f"{who} {_plain(name)} (签名或者盖章): {_BLANK}  日期: {_BLANK}\n\n" for who, name in papers.signatures()
    )
    yield f"Remedy-Anchor: {papers.said('Remedy-Record-Head')[:16]}\n"


def _plain(text: str) -> str:
    """One line that is no Markdown."""
    shown = printable(text, _LONGEST, one_line=True).strip()
    return "".join(f"\\{mark}" if mark in r"\`*_[]<>|#" else mark for mark in shown)


_STYLE: Final = """\
body { font: 11pt/1.5 "Noto Serif CJK SC", "Songti SC", SimSun, serif; margin: 2cm; }
h1 { font-size: 16pt; text-align: center; }
h1 + table { margin-top: 1em; }
table { border-collapse: collapse; width: 100%; }
th, td { border: 1px solid #000; padding: 3pt 5pt; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.minutes th { width: 8em; }
.list { font-size: 8pt; }
.list td:nth-child(6) { font-family: monospace; }
.sign { margin: 1.5em 0 0; }
.list-page { break-before: page; }
thead { display: table-header-group; }
tr { break-inside: avoid; }
"""


def as_html(papers: Papers, items: Iterable[Item]) -> Iterator[str]:
    """Both papers as a page to print, part by part. Nothing in it is loaded or run."""
    yield f'<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n<title>{_MINUTES}</title>\n'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    yield f'<style>\n{_STYLE}</style>\n</head>\n<body>\n<h1>{_MINUTES}</h1>\n<table class="minutes">\n'
    for label, text in papers.fields():
        yield f"<tr><th>{_escaped(label)}</th><td>{_escaped(text) or '&nbsp;'}</td></tr>\n"
    yield f'</table>\n<p class="sign">{_NOTE} {_BLANK}</p>\n'
    yield from _signed(papers)
    yield f'<h1 class="list-page">{_LIST}</h1>\n<table class="list">\n<thead><tr>'
    yield from (f"<th>{name}</th>" for name in _COLUMNS)
    yield "</tr></thead>\n<tbody>\n"
    for number, item in enumerate(items, 1):
        yield f"<tr>{''.join(f'<td>{_escaped(cell)}</td>' for cell in _cells(number, item))}</tr>\n"
    yield "</tbody>\n</table>\n"
    yield from _signed(papers)
    yield f"<p>Remedy-Anchor: {_escaped(papers.said('Remedy-Record-Head')[:16])}</p>\n</body>\n</html>\n"


def _signed(papers: Papers) -> Iterator[str]:
    for who, name in papers.signatures():
        yield f'<p class="sign">{who} {_escaped(name)} (签名或者盖章): {_BLANK} 日期: {_BLANK}</p>\n'


def _escaped(text: str) -> str:
    return html.escape(printable(text, _LONGEST, one_line=True).strip())
