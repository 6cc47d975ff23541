"""A real MariaDB server in a folder of its own, reached by its socket alone: started, killed, started again.

Decides nothing about the product; it is the server that the tests restore on. It reads an option folder, as a server
of a distribution does, and nothing of this machine's configuration.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

__all__ = ["Fatal", "Server", "shell"]

_PATIENCE = 30.0


class Server:
    """One server below `folder`. `options` are added to its command line."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Make its data directory; nothing runs yet."""
        self.folder = folder
        self.socket = folder / "s"
        self.options = options
        self.conf = folder / "conf"
        self.conf.mkdir(parents=True)
        self.option_file = folder / "client.cnf"
        self.option_file.write_text(f"[client]\nsocket={self.socket}\nuser=root\n", encoding="utf-8")
        self.option_file.chmod(0o600)
        (folder / "my.cnf").write_text(f"!includedir {self.conf}\n", encoding="utf-8")
        # A server that starts removes every temporary table it finds in its tmpdir: none may share one.
        (folder / "scratch").mkdir()
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data", "--user=root"]
        install += ["--auth-root-authentication-method=normal", "--skip-test-db", f"--tmpdir={folder}/scratch"]
        subprocess.run(install, check=True, capture_output=True)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers."""
        argv = [
            shutil.which("mariadbd", path="/usr/sbin:/usr/bin") or "mariadbd",
            f"--defaults-file={self.folder}/my.cnf",
        ]
        argv += ["--user=root", f"--datadir={self.folder}/data", f"--socket={self.socket}", "--skip-networking"]
        argv += [
            f"--pid-file={self.folder}/pid",
            f"--tmpdir={self.folder}/scratch",
            "--innodb-buffer-pool-size=64M",
            "--character-set-server=utf8mb4",
            *self.options,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + _PATIENCE
        while self.run("SELECT 1").returncode:
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """As a power cut would end it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def close(self) -> None:
        """End it and remove what it had."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, sql: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run statements as root."""
        argv = ["mariadb", f"--defaults-extra-file={self.option_file}", "-N", "-B", "--default-character-set=utf8mb4"]
        return subprocess.run([*argv, *options], input=sql, text=True, capture_output=True, check=False)

    def sql(self, sql: str, *options: str) -> list[str]:
        """As `run`; the lines of the answer. Raises AssertionError with what the server said when it failed."""
        done = self.run(sql, *options)
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.splitlines()

    def dump(self, schema: str, *options: str, ends: tuple[int, ...] = (0,)) -> bytes:
        """The schema as mariadb-dump writes it; `ends` are the statuses that it may end with."""
        argv = ["mariadb-dump", f"--defaults-extra-file={self.option_file}", "--single-transaction", "--routines"]
        argv += ["--events", "--triggers", *options, schema]
        done = subprocess.run(argv, check=False, capture_output=True)
        assert done.returncode in ends, done.stderr
        return done.stdout


def shell(argv: Sequence[str], stdin: str = "", **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a target would."""
    environment = {**os.environ, "LC_ALL": "C", **environ}
    return subprocess.run(
        argv, input=stdin.encode(), capture_output=True, check=False, env=environment, start_new_session=True
    )


#: Notes what each call of the native client reads, and at the chosen one ends all that works with it, and the server.
_FATAL = """#!/bin/sh
text=$(basename "$(readlink /proc/$$/fd/0)"); echo "$text" >> "$0.calls"
if [ "$text" = "$(cat "$0.dies")" ]; then
  [ ! -s "$0.server" ] || kill -9 "$(cat "$0.server")"
  kill -9 0
fi
exec {client} "$@"
"""


class Fatal:
    """A client in whose calls a script dies: just before the first that reads the file of a name, in place of that."""

    def __init__(self, folder: Path) -> None:
        """Make it."""
        folder.mkdir()
        self.client = folder / "mariadb"
        self.client.write_text(_FATAL.format(client=shutil.which("mariadb")))
        self.client.chmod(0o755)

    def run(
        self, argv: Sequence[str], stdin: str, dies: str = "", server: Server | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a script that dies there, as by SIGKILL; with a server, as by a power cut."""
        pid = str(server.process.pid) if server and server.process else ""
        for name, text in (("calls", ""), ("dies", dies), ("server", pid)):
            self.client.with_name(f"mariadb.{name}").write_text(text)
        done = shell(argv, stdin, PATH=f"{self.client.parent}:{os.environ['PATH']}")
        if server and server.process:
            server.process.wait(_PATIENCE)
            server.process = None
        return done

    @property
    def calls(self) -> list[str]:
        """What the client read in each of its calls by the last script: names of files, `pipe:…`, `null`."""
        return self.client.with_name("mariadb.calls").read_text().splitlines()
