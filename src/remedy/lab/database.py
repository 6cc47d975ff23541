r"""The rows of the lab's site database, as many as wanted: SQL text, streamed, the same for the same seed.

Decides what is in the rows and how many of each kind a size means. Leaves to others: definitions (site_schema.py) and
sending it anywhere. Nothing is read and nothing is kept, so a gigabyte costs the memory of one statement.

The mix is that of a public office's site with a shop: by size a third sales (many short rows with decimals, dates and
NULLs), a half articles in Chinese with their attachments (incompressible BLOBs of kilobytes, some of megabytes), the
rest visits (no primary key). Literals are written the way mariadb-dump writes them, so the size asked for is about the
size of a later dump. A piece looks like

    INSERT INTO `order_line` (`order_id`,`line`,`sku`,`quantity`,`price`) VALUES
    (1,1,'SP-0107',2,35.90),
    (1,2,'SP-0333',1,12.00);
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from remedy.core.errors import UsageError
from remedy.lab import site_rows, site_schema, site_words
from remedy.lab.site_words import binary, quoted

__all__ = ["GROUPS", "SESSION", "definitions", "parsed_size", "rows", "script"]

#: What can be asked for by itself, so that several clients can fill at once: tables no foreign key leaves.
GROUPS: Final = ("sales", "articles", "visits")
_SHARES: Final = {"sales": 0.33, "articles": 0.47, "visits": 0.20}
#: How a client that fills should begin: one commit per 512 KiB statement, and no triggers.
SESSION: Final = b"SET NAMES utf8mb4, @bulk = 1, foreign_key_checks = 0;\n"
_UNTIL: Final = datetime(2026, 1, 1, tzinfo=UTC)
_STATEMENT: Final = 512 * 1024
_DAYS: Final = 1095
_LINES: Final = 4
_PER_ATTACHMENT: Final = 24
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parsed_size(text: str) -> int:
    """A size such as `300M` or `1G` in bytes. Raises UsageError."""
    number, unit = text.strip().upper().removesuffix("B"), ""
    if number[-1:] in ("K", "M", "G"):
        number, unit = number[:-1], number[-1]
    try:
        size = int(float(number) * _UNITS[unit])
    except (ValueError, OverflowError):
        size = 0
    if not 0 < size <= 1 << 40:
        raise UsageError(f"{text!r} is no size", hint="write it like 300M or 1.5G")
    return size


def script(
    size: int, *, seed: int = 1, schema: str = "site", until: datetime = _UNTIL, objects: bool = True
) -> Iterator[bytes]:
    """Everything, for `mariadb … SCHEMA` on an empty database `schema`: definitions, about `size` bytes of rows, and
    with `objects` views, triggers, routines, events and the accounts they name.
    """  # noqa: D205 -- the sentence is one
    yield SESSION
    yield from definitions(site_schema.tables(schema))
    yield from site_rows.fixed()
    yield from rows(size, seed=seed, until=until)
    if objects:
        for statements in (site_schema.accounts(), site_schema.objects(schema), site_schema.rights(schema)):
            yield from definitions(statements)


def definitions(statements: Iterable[str]) -> Iterator[bytes]:
    """Statements as the mariadb client takes them, whatever semicolons are in their bodies."""
    yield b"DELIMITER ;;\n"
    for statement in statements:
        yield f"{statement};;\n".encode()
    yield b"DELIMITER ;\n"


def rows(
    size: int, *, seed: int = 1, first: int = 1, until: datetime = _UNTIL, groups: tuple[str, ...] = GROUPS
) -> Iterator[bytes]:
    """About `size` bytes of INSERT statements, of them those of `groups` alone.

    Numbers of customers, orders, articles and attachments begin at `first`. Times are in the three years before
    `until`.
    """
    words = _Words(seed, until)
    made = {"sales": _sales, "articles": _articles, "visits": _visits}
    for group in groups:
        yield from made[group](words, random.Random(f"{seed} {group}"), int(size * _SHARES[group]), first)  # noqa: S311


@dataclass(slots=True)
class _Insert:
    """Rows of one table on their way into a statement."""

    head: bytes
    rows: list[bytes]
    size: int = 0

    def add(self, row: bytes) -> Iterator[bytes]:
        self.rows.append(row)
        self.size += len(row) + 2
        if self.size >= _STATEMENT:
            yield from self.flush()

    def flush(self) -> Iterator[bytes]:
        if self.rows:
            yield self.head + b",\n".join(self.rows) + b";\n"
            self.rows.clear()
            self.size = 0


def _insert(table: str, *columns: str) -> _Insert:
    names = ",".join(f"`{column}`" for column in columns)
    return _Insert(f"INSERT INTO `{table}` ({names}) VALUES\n".encode(), [])


class _Words:
    """Pools of ready literals, made once; rows pick from them."""

    def __init__(self, seed: int, until: datetime) -> None:
        chance = random.Random(f"{seed} words")  # noqa: S311 -- data to look at, not secrets
        pick, choices = chance.choice, chance.choices
        self.days = [(until - timedelta(days=day)).strftime("%Y-%m-%d").encode() for day in range(1, _DAYS)]
        self.sentences = [
            ("".join(choices(site_words.PHRASES, k=chance.randrange(3, 9))) + pick("。。。;!?")).encode()
            for _ in range(4000)
        ] + [text.encode() for text in site_words.ODD]
        self.names = [(pick(site_words.FAMILY) + "".join(choices(site_words.GIVEN, k=2))).encode() for _ in range(3000)]
        self.nicks = [b"NULL"] * 40 + [quoted(pick(site_words.PHRASES) + pick(site_words.EMOJI)) for _ in range(200)]
        self.remarks = [b"NULL"] * 300 + [quoted(pick(site_words.REMARKS) + pick(site_words.EMOJI)) for _ in range(200)]
        self.likes = [b"NULL"] * 100 + [
            quoted(f'{{"栏目": "{pick(site_words.SECTIONS)}", "字号": {n % 9}, "夜间": {("true", "false")[n % 2]}}}')
            for n in range(200)
        ]
        self.sections = [section.encode() for section in site_words.SECTIONS]
        self.agents = [b"NULL"] * 4 + [quoted(agent) for agent in site_words.AGENTS]
        self.hosts = [binary(chance.randbytes(pick((4, 4, 4, 16)))) for _ in range(2000)]
        self.prices = site_rows.prices()


def _sales(words: _Words, chance: random.Random, size: int, first: int) -> Iterator[bytes]:
    """Customers, each with some orders, each of some lines."""
    customers = _insert(
        "customer", "id", "name", "nick", "phone", "region", "born", "balance", "likes", "address", "token", "joined"
    )
    orders = _insert("orders", "id", "customer", "placed", "status", "total", "ticket", "remark")
    lines = _insert("order_line", "order_id", "line", "sku", "quantity", "price")
    bits, pick = chance.getrandbits, chance.choice
    states = [state.encode() for state in site_words.STATES]
    days, nicks, likes, remarks = words.days, words.nicks, words.likes, words.remarks
    count, order, written = first, first, 0
    while written < size:
        number = bits(64)
        born = (
            b"NULL"
            if number % 3 == 0
            else b"'%s'" % (b"19%02d-%02d-%02d" % (50 + number % 50, 1 + number % 12, 1 + number % 28))
        )
        row = b"(%d,'%s',%s,'1%010d','%06d',%s,%d.%02d,%s,%s,'%s','%s %02d:%02d:%02d')" % (
            count,
            pick(words.names),
            pick(nicks),
            count,
            110000 + number % 540000,
            born,
            number % 100000,
            number % 97,
            pick(likes),
            b"NULL"
            if number % 5
            else b"'2001:db8:%x:%x::%x'" % (number >> 48, number >> 32 & 0xFFFF, 1 + number % 65000),
            _uuid(bits(128)),
            days[number % len(days)],
            *_clock(number >> 20),
        )
        written += len(row) + 2
        yield from customers.add(row)
        for _ in range(number >> 40 & 3):
            number = bits(64)
            total = 0
            for line in range(1, 2 + number % _LINES):
                chosen = bits(24)
                sku = chosen % site_rows.PRODUCTS
                price = words.prices[sku]
                many = 1 + (chosen >> 12) % 9
                total += many * price
                row = b"(%d,%d,'SP-%04d',%d,%d.%02d)" % (order, line, sku + 1, many, price // 100, price % 100)
                written += len(row) + 2
                yield from lines.add(row)
            row = b"(%d,%d,'%s %02d:%02d:%02d.%06d','%s',%d.%02d,%s,%s)" % (
                order,
                count,
                days[number % len(days)],
                *_clock(number >> 20),
                number % 1000000,
                states[(number >> 8) % len(states)],
                total // 100,
                total % 100,
                b"NULL" if number % 4 == 0 else b"%d" % (1000000 + order),
                pick(remarks),
            )
            written += len(row) + 2
            yield from orders.add(row)
            order += 1
        count += 1
    for table in (customers, orders, lines):
        yield from table.flush()


def _articles(words: _Words, chance: random.Random, size: int, first: int) -> Iterator[bytes]:
    """Articles, and after each twenty or so an attachment: a file of kilobytes, sometimes of megabytes."""
    articles = _insert("article", "id", "section", "title", "summary", "body", "published", "views", "score")
    attachments = _insert("attachment", "id", "article", "name", "media", "content")
    bits, pick, choices = chance.getrandbits, chance.choice, chance.choices
    sentences, days = words.sentences, words.days
    largest = max(2048, min(3 << 20, size // 16))
    number, files, written = first, first, 0
    while written < size:
        seen = bits(64)
        row = b"(%d,'%s','%s%s','%s','%s',%s,%d,%s)" % (
            number,
            words.sections[seen % len(words.sections)],
            pick(words.names),
            pick(sentences)[:120].decode("utf-8", "ignore").rstrip("\\").encode(),
            pick(sentences),
            b"\\n".join(choices(sentences, k=4 + (seen >> 8) % 50)),
            b"NULL"
            if seen % 17 == 0
            else b"'%s %02d:%02d:%02d.%03d'" % (days[seen % len(days)], *_clock(seen >> 20), seen % 1000),
            seen >> 44,
            b"NULL" if seen % 6 == 0 else b"%d.%d" % (seen % 5, 1 + seen % 9),
        )
        written += len(row) + 2
        yield from articles.add(row)
        if number % _PER_ATTACHMENT == 0:
            kind, suffix, start = site_words.MEDIA[seen % len(site_words.MEDIA)]
            bulk = 1024 + bits(16) if (seen >> 16) % 60 else largest
            content = start + chance.randbytes(min(bulk, largest))
            owner = b"NULL" if seen % 11 == 0 else b"%d" % number
            title = pick(words.names)
            row = b"(%d,%s,'%s-%d.%s','%s',%s)" % (files, owner, title, files, suffix, kind, binary(content))
            written += len(row) + 2
            files += 1
            yield from attachments.add(row)
        number += 1
    yield from articles.flush()
    yield from attachments.flush()


def _visits(words: _Words, chance: random.Random, size: int, first: int) -> Iterator[bytes]:
    """Lines of an access log; numbers in paths are of articles from `first` on."""
    visits = _insert("visit", "at", "path", "agent", "address", "status", "took", "bytes")
    bits, agents, hosts, days = chance.getrandbits, words.agents, words.hosts, words.days
    written = 0
    while written < size:
        seen = bits(64)
        row = b"('%s %02d:%02d:%02d','/article/%d.html?from=%x',%s,%s,%d,%s,%d)" % (
            days[seen % len(days)],
            *_clock(seen >> 20),
            first + (seen >> 30) % 100000,
            seen >> 56,
            agents[(seen >> 4) % len(agents)],
            hosts[(seen >> 8) % len(hosts)],
            404 if seen % 50 == 0 else 200,
            b"NULL" if seen % 50 == 0 else b"'00:00:0%d.%03d'" % (seen % 3, (seen >> 12) % 1000),
            (seen >> 16) % 200000,
        )
        written += len(row) + 2
        yield from visits.add(row)
    yield from visits.flush()


def _clock(number: int) -> tuple[int, int, int]:
    """Hour, minute, second out of a number's bits."""
    return number % 24, (number >> 5) % 60, (number >> 11) % 60


def _uuid(number: int) -> bytes:
    """A random UUID, version 4 (RFC 9562); the type takes no other bits."""
    text = b"%032x" % number
    return b"-".join((text[:8], text[8:12], b"4" + text[13:16], b"a" + text[17:20], text[20:]))
