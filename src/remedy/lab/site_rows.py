"""The rows the lab's site database has whatever its size, and those that one more day adds.

Decides texts and numbers only. Leaves to others: rows in bulk (database.py), sending.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from remedy.lab.site_words import FAMILY, GIVEN, PHRASES, STATES, binary, quoted

__all__ = ["PRODUCTS", "a_day", "fixed", "insert", "prices"]

PRODUCTS: Final = 400
_DEPARTMENTS: Final = ("办公室", "信息中心", "财务科", "采购科", "宣传科", "保卫科", "便民服务大厅", "商城运营部")
_STAFF: Final = 48
_PHOTOS: Final = 40
_NOTICES: Final = (
    (1, "关于开展网络安全应急演练的通知", "2024-03-01"),
    (2, "机房巡检安排", "2024-03-08"),
    (3, "数据库备份检查结果", "2024-03-15"),
    (4, "端午节值班表", "2024-06-07"),
    (5, "Backup restore drill: results", "2024-06-21"),
)
#: More notices of this kind come every day, numbered by the day: 20 on 2026-01-20 make 2026012001, …
_PER_DAY: Final = 3
_SETTINGS: Final = (
    ("site.name", "某某市便民服务网 🏛"),
    ("footer", "<p>备案号: 某ICP备00000000号</p>\n<!-- end -->"),
    ("maintenance.sql", "-- Dump completed on request; see /*!40101 SET NAMES utf8 */;"),
    ("path", "C:\\site\\data\\'quoted'\\"),
    ("delimiter", ";;\nDELIMITER ;\n"),
    ("empty", ""),
    ("Case", "upper"),
    ("case", "lower"),
)


def insert(table: str, columns: str, rows: Iterable[bytes]) -> bytes:
    """One INSERT statement; `columns` are separated by blanks, rows are `(1,'a')`."""
    names = ",".join(f"`{column}`" for column in columns.split())
    return f"INSERT INTO `{table}` ({names}) VALUES\n".encode() + b",\n".join(rows) + b";\n"


def prices() -> list[int]:
    """The price of each product in hundredths."""
    chance = random.Random("prices")  # noqa: S311 -- data to look at, not secrets
    return [50 + chance.randrange(90000) for _ in range(PRODUCTS)]


def fixed() -> Iterator[bytes]:
    """Departments, employees, notices, products, settings and old news, as INSERT statements."""
    chance = random.Random("fixed")  # noqa: S311 -- likewise
    yield insert(
        "department",
        "id name parent head phone",
        (
            b"(%d,%s,%s,%d,'0571-8800%04d')" % (number, quoted(name), b"1" if number > 1 else b"NULL", number, number)
            for number, name in enumerate(_DEPARTMENTS, 1)
        ),
    )
    yield insert(
        "employee",
        "id department name badge email hired salary card",
        (
            b"(%d,%d,%s,'B%07d',%s,'%d-%02d-15',%d.50,%s)"
            % (
                number,
                1 + (number - 1) % len(_DEPARTMENTS),
                quoted(chance.choice(FAMILY) + "".join(chance.choices(GIVEN, k=2))),
                number,
                quoted(f"e{number}@site.example") if number % 7 else b"NULL",
                2005 + number % 19,
                1 + number % 12,
                4200 + number * 37,
                binary(chance.randbytes(20)) if number % 4 else b"NULL",
            )
            for number in range(1, _STAFF + 1)
        ),
    )
    yield insert(
        "notice",
        "number title issued body author level shown pinned",
        (
            b"(%d,%s,'%s',%s,%d,'%s','%s',b'%d')"
            % (
                number,
                quoted(title),
                day.encode(),
                quoted("".join(chance.choices(PHRASES, k=120)) + "。\n附件: 见内网。"),
                number,
                ("普通", "重要", "紧急")[number % 3].encode(),
                ("首页", "首页,手机", "栏目")[number % 3].encode(),
                number == 1,
            )
            for number, title, day in _NOTICES
        ),
    )
    yield insert(
        "product",
        "sku name price weight stock since photo",
        (
            b"('SP-%04d',%s,%d.%02d,%s,%d,%d,%s)"
            % (
                number,
                quoted("".join(chance.choices(PHRASES, k=3))),
                price // 100,
                price % 100,
                b"%.3f" % (chance.random() * 20) if number % 5 else b"NULL",
                1000 + chance.randrange(9000),
                2026 - number % 9,
                binary(b"\xff\xd8\xff\xe0" + chance.randbytes(1500)) if number <= _PHOTOS else b"NULL",
            )
            for number, price in enumerate(prices(), 1)
        ),
    )
    yield insert("setting", "name value", (b"(%s,%s)" % (quoted(name), quoted(value)) for name, value in _SETTINGS))
    yield insert("setting", "name value", (b"('unset',NULL)",))
    yield insert(
        "legacy_news",
        "title text",
        (
            b"(%s,%s)" % (quoted(f"旧闻之{number}"), quoted("".join(chance.choices(PHRASES, k=60))))
            for number in range(60)
        ),
    )


def a_day(start: datetime, step: timedelta = timedelta(minutes=10), orders: int = 12) -> Iterator[bytes]:
    """What a day of work adds and changes, as statements with the day's own clock; triggers run as on any day.

    Three notices, `orders` orders, two hundred visits and a new price, one every `step` from `start` on.
    """
    chance = random.Random(f"day {start:%Y-%m-%d}")  # noqa: S311 -- likewise
    for number in range(_PER_DAY):
        title = f"{start.month}月{start.day}日 " + "".join(chance.choices(PHRASES, k=4))
        row = b"(%s%02d,%s,'%s',%s,%d)" % (
            start.strftime("%y%m%d").encode(),
            number,
            quoted(title),
            start.date().isoformat().encode(),
            quoted("".join(chance.choices(PHRASES, k=80))),
            1 + chance.randrange(_STAFF),
        )
        yield _at(start + step * number) + insert("notice", "number title issued body author", (row,))
    for number in range(orders):
        state = STATES[chance.randrange(3)].encode()
        made = b"(%d,now(6),'%s',%s)" % (1 + chance.randrange(20), state, quoted(f"第{number + 1}单 🛒"))
        yield _at(start + step * (_PER_DAY + number)) + insert("orders", "customer placed status remark", (made,))
        yield b"SET @made = last_insert_id();\n"
        skus = chance.sample(range(1, PRODUCTS + 1), 2)
        lines = (b"(@made,%d,'SP-%04d',%d,9.90)" % (line, sku, line) for line, sku in enumerate(skus, 1))
        yield insert("order_line", "order_id line sku quantity price", lines)
    visits = (
        b"('%s','/article/%d.html','curl/7.88.1',_binary '\\n\\0\\0%c',200,'00:00:00.015',%d)"
        % ((start + step * number / 20).strftime("%Y-%m-%d %H:%M:%S").encode(), number, 65 + number % 26, number)
        for number in range(200)
    )
    yield insert("visit", "at path agent address status took bytes", visits)
    yield _at(start + step * (_PER_DAY + orders)) + (
        b"UPDATE `product` SET `price` = `price` + 0.10, `stock` = `stock` - 1 WHERE `sku` = 'SP-%04d';\n"
        % (1 + chance.randrange(PRODUCTS))
    )


def _at(moment: datetime) -> bytes:
    """From here on the session's clock, and so that of the binary log's events, stands at `moment`."""
    return b"SET timestamp = %d;\n" % moment.timestamp()
