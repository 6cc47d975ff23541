"""Tills of the lab's shop: they write receipts into the database as fast as it takes them, and log every answer.

What a till was told is written is in the database, or something lost it; that is what they are for. Runs on web01 as
the service `till` (stopped until asked for). Reads /etc/remedy-lab/site.json like the site and, if it is there,
/etc/remedy-lab/till.json: {"tills": 3, "pause": 0.005}. Each till commits one to three receipts at a time; their
numbers are microseconds since 1970, so none is ever used twice. Appends to /var/log/receipts.log, one line per
transaction, times in seconds since 1970 (`doubt`: the connection broke before the answer to COMMIT):

    1718000000.123456 1 ack 1718000000120001 1718000000120002
    1718000000.223456 2 refused 1290 The MariaDB server is running with the --read-only option
    1718000000.323456 2 doubt 1718000000320001
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import pymysql  # type: ignore[import-untyped]

SETTINGS = Path("/etc/remedy-lab/site.json")
OWN = Path("/etc/remedy-lab/till.json")
LOG = Path("/var/log/receipts.log")
RETRY = 0.02
MOST = 3
#: The client's own errors: no connection, gone away, lost, and what the server says when it is told to end.
BROKEN = {0, 2003, 2006, 2013, 2014, 1053, 1927}
_one_writer = threading.Lock()


def note(till: int, text: str) -> None:
    """Append one line, whole, before anything else happens."""
    line = " ".join("".join(char if char.isprintable() else "?" for char in text).split())
    with _one_writer, LOG.open("a", encoding="utf-8") as log:
        log.write(f"{time.time():.6f} {till} {line}\n")


def sell(connection: Any, till: int, numbers: list[int]) -> None:  # noqa: ANN401 -- pymysql has no types
    """One transaction. Raises pymysql.Error; after a broken COMMIT nobody knows, and it is noted so."""
    with connection.cursor() as cursor:
        for number in numbers:
            cursor.execute(
                "INSERT INTO receipt (till, number, amount, note) VALUES (%s, %s, %s, %s)",
                (till, number, f"{number % 100000 / 100:.2f}", "现金 🧾"),
            )
    try:
        connection.commit()
    except (pymysql.Error, OSError) as error:
        if not isinstance(error, pymysql.Error) or error.args[0] in BROKEN:
            note(till, "doubt " + " ".join(map(str, numbers)))
        raise
    note(till, "ack " + " ".join(map(str, numbers)))


def serve(till: int, pause: float) -> None:
    """Sell for ever, over one connection as long as it lives."""
    connection: Any = None
    last = 0
    while True:
        last = max(last + 1, time.time_ns() // 1000)
        numbers = [last + place for place in range(1 + last % MOST)]
        last = numbers[-1]
        try:
            if connection is None:
                settings = json.loads(SETTINGS.read_text(encoding="utf-8"))
                connection = pymysql.connect(**settings, charset="utf8mb4", connect_timeout=2, read_timeout=30)
            sell(connection, till, numbers)
            time.sleep(pause)
        except (pymysql.Error, OSError) as error:
            note(till, f"refused {' '.join(str(part) for part in error.args)}"[:300])
            with contextlib.suppress(Exception):
                connection.close()
            connection = None
            time.sleep(RETRY)


def main() -> None:
    """One thread per till."""
    settings = json.loads(OWN.read_text(encoding="utf-8")) if OWN.exists() else {}
    tills = range(1, 1 + settings.get("tills", 3))
    threads = [threading.Thread(target=serve, args=(till, settings.get("pause", 0.005))) for till in tills]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
