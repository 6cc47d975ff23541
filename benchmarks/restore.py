"""Recovery beside what a user would pick instead: loading, judging, the whole restore, the cut-over, taking a backup.

    python benchmarks/run.py restore              a dump of 1.1 GB, then one of 150 MB (about 12 minutes)
    python benchmarks/run.py restore --quick      150 MB alone
    python benchmarks/run.py restore --size 500M  another size alone

Decides who is compared with whom, what is measured of each, and what a run has to leave behind to count. One server,
the same for all (`database_host`); remedy comes to it over a real sshd on loopback, everybody else sits on the host
itself. The server, which all contenders keep busy, shares the processors with them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import database
from benchmarks.database_host import NAME, OPTIONS, PYTHON, SCHEMA, DatabaseHost, database_host
from benchmarks.estate import REMEDY, BrokenRun
from benchmarks.measuring import Run, busy, load, measure

from remedy.lab.database import parsed_size

Json = dict[str, Any]
FULL: Final = "1100M"
QUICK: Final = "150M"
_STREAMS: Final = str(Path(__file__).resolve().parent / "parts" / "streams.py")
_FILES: Final = {"plain": "site.sql", "gz": "site.sql.gz", "zst": "site.sql.zst"}
#: The copy that holds what mydumper has written.
_CHUNKS: Final = "mydumper"
_INTO: Final = f"{SCHEMA}__in"
_CHARSET: Final = "--default-character-set=utf8mb4"
_LONG: Final = 900.0
_TABLES: Final = 1000
_APPLIED: Final = (0,)
#: When a restore has come so far, by the events that it streams.
_MARKS: Final = {
    mark: rf'^(?=.*"event": ?"reply")(?=.*"ok": ?true)(?=.*"text": ?"{begins}).*"target": ?"([^"]+)"'
    for mark, begins in (("loaded_at", "load "), ("compared", "dump "), ("live", "cut over"))
}
_PHYSICAL: Final = """
mariadb-backup --prepare --target-dir="$1" >"$3" 2>&1 && mariadb-backup --copy-back --target-dir="$1" --datadir="$2" \
  >>"$3" 2>&1 || exit 1
shift 3; socket=$1; shift
"$@" >/dev/null 2>&1 & until mariadb-admin --no-defaults --user=root --socket="$socket" ping >/dev/null 2>&1; do
  sleep 0.02; done
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """Somebody who brings the rows back: `argv`, what is made ready before, where the rows are afterwards."""

    name: str
    argv: Sequence[str]
    before: Callable[[], object] = lambda: None
    into: str = SCHEMA
    marks: bool = False
    #: Does it again in every round; the others once.
    every: bool = True


def restore(*, quick: bool, size: str, rounds: int) -> Iterator[tuple[str, Json]]:
    """Measure in namespaces of its own, for the machine shall notice nothing; one case after the other."""
    for wanted, number in [(size or QUICK, rounds)] if quick or size else [(FULL, rounds), (QUICK, 1)]:
        argv = ["unshare", "--net", "--mount", "--propagation", "private", PYTHON, __file__, wanted, str(number)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                yield tuple(json.loads(line))
        if process.returncode:
            raise BrokenRun(f"the part that restores {wanted} ended with {process.returncode}")


def _inside(size: str, rounds: int) -> Iterator[tuple[str, Json]]:
    """The cases of one size, on a host made for them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, database_host(Path(folder)) as host:
        _say(f"making a database of {size}")
        facts = _prepare(host, parsed_size(size))
        title = f"{facts['dump'] / 1e9:.2f} GB"
        # Reading comes first: it needs no server, and the loads what it has found out.
        for name in _FILES:
            yield f"reading {title}, {name}", _case(facts, _reads(host, name, max(3, rounds)))
        yield f"taking a backup of {title}", _case(facts, _takes(host, rounds))
        yield f"restoring {title}", _case(facts, _loads(host, rounds))
        yield f"cut-over, {_TABLES:,} tables ({title})", _case(facts, _cut_over(host))


def _case(facts: Json, measured: Callable[[], Iterator[tuple[str, Json]]]) -> Json:
    before = {"load_before": load(), "busy_before": round(busy(), 2)}
    runs: dict[str, list[Json]] = {}
    for name, run in measured():
        runs.setdefault(name, []).append(run | {"rate": round(facts["dump"] / 1e6 / _seconds(run), 1)})
    return {"floor": next(iter(runs)), "hosts": 0, **before, "load_after": load(), **facts, "runs": runs}


def _prepare(host: DatabaseHost, size: int) -> Json:
    """Fill the server, back it up in every form, and empty it."""
    database.fill(host.login, size)
    host.rows = host.count()
    plain = host.copy("plain") / _FILES["plain"]
    bytes_ = database.dump(host.login, plain)
    backup = host.folder / "physical"
    for argv in (
        ["zstd", "-q", "-3", "--check", str(plain), "-o", str(host.copy("zst") / _FILES["zst"])],
        ["sh", "-c", 'gzip -c -6 "$1" >"$2"', "-", str(plain), str(host.copy("gz") / _FILES["gz"])],
        [
            "mydumper",
            "-S",
            f"{host.folder}/s",
            "-u",
            "root",
            "-B",
            SCHEMA,
            "-Wr",
            "50000",
            "-o",
            str(host.copy(_CHUNKS) / SCHEMA),
        ],
        ["mariadb-backup", *host.login, "--backup", f"--datadir={host.folder}/data", f"--target-dir={backup}"],
    ):
        _say(argv[0] if argv[0] != "sh" else "gzip")
        subprocess.run(argv, check=True, capture_output=True)
    for name in _FILES:
        _sum(host, name)
    words = [str(host.inventory), f"{SCHEMA}-{_CHUNKS}", f"{SCHEMA}/metadata", str(host.folder / f"{_CHUNKS}.judged")]
    subprocess.run([PYTHON, _STREAMS, "read", *words], check=True, capture_output=True)
    stored = {name: (host.copy(name) / file).stat().st_size for name, file in _FILES.items()}
    options = " ".join(OPTIONS)
    return {
        "dump": bytes_,
        "stored": stored,
        "rows": sum(host.rows.values()),
        "server": options,
        "way": "loopback sshd",
    }


def _sum(host: DatabaseHost, name: str) -> None:
    """Put the checksum beside the backup of a copy: a plain file says nothing of its bytes."""
    sums = subprocess.run(["sha256sum", _FILES[name]], cwd=host.copy(name), check=True, capture_output=True)
    (host.copy(name) / f"{_FILES[name]}.sha256").write_bytes(sums.stdout)


def _reads(host: DatabaseHost, name: str, rounds: int) -> Callable[[], Iterator[tuple[str, Json]]]:
    """Judging a backup to its end against the decompressor, which knows nothing of what is inside."""
    file = host.copy(name) / _FILES[name]
    argvs = {
        "plain": ("sha256sum, which a user would run", ["sha256sum", str(file)]),
        "gz": ("gzip -dc >/dev/null", ["gzip", "-dc", str(file)]),
        "zst": ("zstd -dc >/dev/null", ["zstd", "-dcq", str(file)]),
    }
    floor, argv = argvs[name]
    site = f"{SCHEMA}-{name}"
    judged = str(host.folder / f"{name}.judged")

    def measured() -> Iterator[tuple[str, Json]]:
        for _ in range(rounds):
            yield floor, _run(floor, ["sh", "-c", '"$@" >/dev/null', "-", *argv], host)
            if name != "plain":
                both = f"{floor.split()[0]} and sha256sum"
                script = 'sha256sum "$1" >/dev/null & shift; "$@" >/dev/null; wait'
                yield both, _run(both, ["sh", "-c", script, "-", str(file), *argv], host)
            words = ["read", str(host.inventory), site, file.name, judged]
            yield "remedy's reading alone", _run("remedy's reading alone", [PYTHON, _STREAMS, *words], host)
            command = [REMEDY, "-i", str(host.inventory), "--record", host.new_record(), "backup", "check", site]
            yield "remedy backup check", _run("remedy backup check", command, host)

    return measured


def _takes(host: DatabaseHost, rounds: int) -> Callable[[], Iterator[tuple[str, Json]]]:
    """`remedy backup take` reads back what it has written, and keeps a manifest."""
    out = host.folder / "taken.sql.zst"
    script = 'set -o pipefail; f=$1; shift; "$@" | zstd -q -3 --check -f -o "$f"; sha256sum "$f" >"$f.sha256"'
    floor = "mariadb-dump | zstd > file; sha256sum"

    def measured() -> Iterator[tuple[str, Json]]:
        for _ in range(rounds):
            dump = [database.DUMP[0], *host.login, *database.DUMP[1:], "--hex-blob", _CHARSET, SCHEMA]
            yield floor, _run(floor, ["bash", "-c", script, "-", str(out), *dump], host)
            argv = [REMEDY, "-i", str(host.inventory), "--record", host.new_record(), "backup", "take"]
            yield "remedy backup take", _run("remedy backup take", [*argv, f"{SCHEMA}-zst", "--yes"], host)
            _alone(host)

    return measured


def _loads(host: DatabaseHost, rounds: int) -> Callable[[], Iterator[tuple[str, Json]]]:
    """Everybody brings the same rows back, one after the other, again and again."""

    def measured() -> Iterator[tuple[str, Json]]:
        for number in range(rounds):
            for one in _contenders(host):
                if one.every or not number:
                    one.before()
                    try:
                        run = _run(one.name, one.argv, host, marks=_MARKS if one.marks else None)
                    except BrokenRun as error:
                        if "remedy" in one.name:
                            raise
                        _say(f"  {error}")  # a contender that cannot do it has no row
                        continue
                    if one.into:
                        host.require_restored(one.into)
                    if one.marks:
                        run["frozen"] = _frozen(host)
                    yield one.name, run
        host.empty()
        yield from _physical(host)

    return measured


def _contenders(host: DatabaseHost) -> Iterator[Contender]:
    client = ["mariadb", *host.login, "--binary-mode", _CHARSET, SCHEMA]
    plain, zst = (str(host.copy(name) / _FILES[name]) for name in ("plain", "zst"))

    def loader(threads: int, *options: str) -> list[str]:
        argv = ["myloader", "-S", f"{host.folder}/s", "-u", "root", "-B", SCHEMA, "-t", str(threads), *options]
        return [*argv, "-d", str(host.copy(_CHUNKS) / SCHEMA)]

    def alone(name: str, clients: int) -> list[str]:
        words = [str(host.inventory), f"{SCHEMA}-{name}", str(host.folder / f"{name}.judged")]
        return [PYTHON, _STREAMS, "load", *words, _INTO, str(host.folder / "in.cnf"), str(clients)]

    yield Contender("mariadb < dump.sql", ["sh", "-c", 'f=$1; shift; exec "$@" <"$f"', "-", plain, *client], host.empty)
    # What it replaces is what was loaded before it.
    for name, every in (("zst", True), ("plain", False)):
        yield Contender(f"remedy restore, {name}", _whole(host, name), lambda: _again(host), marks=True, every=every)
    yield Contender("myloader, 2 threads", loader(2, "-e"), host.empty)
    yield Contender("remedy's load alone, zst, 2 clients", alone("zst", 2), lambda: _incoming(host), into=_INTO)
    words = alone(_CHUNKS, 2)
    yield Contender("remedy's load alone, mydumper's format, 2 clients", words, lambda: _incoming(host), into=_INTO)
    piped = 'f=$1; shift; zstd -dcq "$f" | "$@"'
    yield Contender("zstd -dc | mariadb", ["sh", "-c", piped, "-", zst, *client], host.empty, every=False)
    yield Contender("myloader, 2 threads, no binary log", loader(2), host.empty, every=False)
    yield Contender("myloader, 4 threads", loader(4, "-e"), host.empty, every=False)
    yield Contender(
        "remedy's load alone, zst, 4 clients", alone("zst", 4), lambda: _incoming(host), into=_INTO, every=False
    )


def _whole(host: DatabaseHost, name: str) -> list[str]:
    argv = [REMEDY, "-i", str(host.inventory), "--record", host.new_record(), "restore", f"{SCHEMA}-{name}"]
    return [*argv, "--latest-valid", "--yes", "--jsonl", "--no-safety-backup", "benchmark"]


def _alone(host: DatabaseHost) -> None:
    """Let nothing but the backups that all are measured with stay in the copies."""
    for name, file in _FILES.items():
        for path in host.copy(name).iterdir():
            if not path.name.startswith(file):
                path.unlink()


def _again(host: DatabaseHost) -> None:
    """Let what is live stay, and let go of what an earlier restore has kept and backed up."""
    _alone(host)
    host.sql(f"DROP DATABASE IF EXISTS {SCHEMA}__undo")
    host.settle()


def _incoming(host: DatabaseHost) -> None:
    """An empty staging schema and an account that can touch nothing else, as the plan of a restore makes them."""
    host.empty(make=False)
    host.sql(
        f"CREATE DATABASE {_INTO} CHARACTER SET utf8mb4; CREATE OR REPLACE USER incoming@localhost IDENTIFIED BY 'in';"
        rf"GRANT ALL ON `{SCHEMA}\_\_in`.* TO incoming@localhost"
    )
    text = f"[client]\nsocket={host.folder}/s\nuser=incoming\npassword=in\n"
    (host.folder / "in.cnf").write_text(text, encoding="utf-8")


def _frozen(host: DatabaseHost) -> float:
    """Seconds for which writes were held: the cut-over's own word."""
    rows = host.sql(f"SELECT definition FROM {SCHEMA}__undo.remedy__kept WHERE kind='cut-over'")  # noqa: S608 -- ours
    return int(rows[-1][0]) / 1000


def _physical(host: DatabaseHost) -> Iterator[tuple[str, Json]]:
    """mariadb-backup, into a server that has to be stopped for it; here into an empty data directory beside ours."""
    name = "mariadb-backup --prepare, --copy-back, start"
    backup, data, socket = (str(host.folder / one) for one in ("physical", "data2", "s2"))
    Path(data).mkdir()
    server = ["mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket}", *OPTIONS]
    log = str(host.folder / "physical.log")
    try:
        yield name, _run(name, ["sh", "-c", _PHYSICAL, "-", backup, data, log, socket, *server], host)
    finally:
        argv = ["mariadb-admin", "--no-defaults", "--user=root", f"--socket={socket}", "shutdown"]
        subprocess.run(argv, check=False, capture_output=True)
        shutil.rmtree(data)


def _cut_over(host: DatabaseHost) -> Callable[[], Iterator[tuple[str, Json]]]:
    """For how long writes are held when many tables change places with as many."""

    def measured() -> Iterator[tuple[str, Json]]:
        host.empty()
        made = "CREATE TABLE `{0}`.t{1} (id INT PRIMARY KEY, name VARCHAR(40)); INSERT INTO `{0}`.t{1} VALUES (1,'a');"
        host.sql("".join(made.format(SCHEMA, number) for number in range(_TABLES)))
        host.sql(
            f"CREATE VIEW {SCHEMA}.v AS SELECT * FROM {SCHEMA}.t1;"  # noqa: S608 -- ours
            f"CREATE TRIGGER {SCHEMA}.g BEFORE INSERT ON {SCHEMA}.t2 FOR EACH ROW SET NEW.name = 'b'"
        )
        host.rows = host.count()
        database.dump(host.login, host.copy("plain") / _FILES["plain"])
        _sum(host, "plain")
        for _ in range(3):
            _again(host)
            argv = [REMEDY, "-i", str(host.inventory), "--record", host.new_record(), "restore", f"{SCHEMA}-plain"]
            argv += [
                "--latest-valid",
                "--yes",
                "--jsonl",
                "--no-safety-backup",
                "benchmark",
                "--accept",
                "unverifiable",
            ]
            run = _run("remedy restore", argv, host, marks=_MARKS)
            host.require_restored()
            for path in set(host.copy("plain").iterdir()) - {host.copy("plain") / _FILES["plain"]}:
                path.unlink()
            yield "remedy restore", {**run, "frozen": _frozen(host)}

    return measured


def _run(name: str, argv: Sequence[str], host: DatabaseHost, marks: dict[str, str] | None = None) -> Json:
    """One run; what of it is kept."""
    server = host.cpu()
    run = measure(argv, marks=marks, seconds=_LONG)
    if run.status not in _APPLIED:
        raise BrokenRun(f"{name} ended with {run.status}: {run.said}")
    _say(f"  {name:<45} {run.wall:8.2f} s")
    kept: Json = {"wall": round(run.wall, 3), "cpu": round(run.cpu, 3)}
    if "remedy" in name:  # of others this would be the memory of this process, which they were forked from
        kept["peak"] = round(run.peak / 1e6, 1)
    kept |= {"server_cpu": round(host.cpu() - server, 2)}
    for mark, times in (run.marks or {}).items():
        kept[mark] = round(times[NAME], 3) if NAME in times else None
    if missing := [mark for mark, at in kept.items() if at is None]:
        raise BrokenRun(f"{name} did not say when it had {missing}: {run.said}")
    return kept | _steps(run)


def _steps(run: Run) -> Json:
    """What a part says of the stream alone."""
    found = re.search(r"^steps (\S+) (\S+)$", run.said, re.MULTILINE)
    return {"steps_wall": float(found[1]), "steps_cpu": float(found[2])} if found else {}


def _seconds(run: Json) -> float:
    """Until the data is live, or the stream has ended."""
    return float(next(run[key] for key in ("live", "steps_wall", "wall") if key in run))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def tools() -> dict[str, Sequence[str]]:
    """What the results depend on, and how each says its version."""
    return {
        "remedy": [REMEDY, "--version"],
        "mariadbd": ["mariadbd", "--version"],
        "mydumper": ["mydumper", "--version"],
        "zstd": ["zstd", "--version"],
        "openssh": ["ssh", "-V"],
    }


def missing() -> str:
    """What has to be installed first; empty when nothing."""
    wanted = ("mariadbd", "mariadb-backup", "mydumper", "myloader", "zstd", "gzip", "unshare", "ssh-keyscan")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    lack = [name for name in wanted if shutil.which(name, path=path) is None]
    return f"not installed: {', '.join(lack)} (apt-get install mariadb-backup mydumper zstd)" if lack else ""


if __name__ == "__main__":
    for made in _inside(sys.argv[1], int(sys.argv[2])):
        print(json.dumps(made, ensure_ascii=False), flush=True)
