"""A schema with old data live and new data staged, one step before the cut-over, on a real server."""

from __future__ import annotations

import hashlib
import os
import secrets
import subprocess
from dataclasses import replace
from typing import Final, cast

from tests.worlds.mariadb import Server, shell

from remedy.actions.recovery import staging, statements, swap
from remedy.actions.recovery.swap import Facts
from remedy.backups.values import Database, Object
from remedy.core.values import Change, Command, Probe, Reply
from remedy.probes import database as asked
from remedy.probes import parse

__all__ = ["AFTER", "NEW", "OLD", "RUN", "Scene", "made"]

#: What a run leaves on a host has its name, which must be nobody else's on this machine.
RUN: Final = f"Cut{secrets.token_hex(3)}"
RIGHTS: Final = "SET USER, READ_ONLY ADMIN"
_TRIGGER: Final = (
    "DELIMITER ;;\nCREATE TRIGGER noted AFTER INSERT ON notice FOR EACH ROW BEGIN "
    "INSERT INTO journal VALUES (NEW.id); END;;\nDELIMITER ;"
)


def made(kind: str, name: str, sql: str, definer: str = "root@localhost") -> Object:
    """A definition of root's."""
    text = sql.replace("CREATE", f"CREATE DEFINER={definer}", 1) if definer else sql
    return Object(kind, name, hashlib.sha256(text.encode()).hexdigest(), definer, text)


#: In an order in which they cannot be created.
OLD: Final = (
    made("view", "last", "CREATE VIEW last AS SELECT * FROM newest;"),
    made("view", "newest", "CREATE VIEW newest AS SELECT id FROM notice;"),
    made("trigger", "noted", _TRIGGER),
    made("event", "tick", "CREATE EVENT tick ON SCHEDULE EVERY 1 DAY DO SELECT 1;"),
)
NEW: Final = (
    made("view", "last", "CREATE VIEW last AS SELECT * FROM newest WHERE id > 0;"),
    OLD[1],
    OLD[2],
    made("function", "three", "CREATE FUNCTION three() RETURNS INT RETURN 3;"),
)
AFTER: Final = ["function three", "table journal", "table notice", "trigger noted", "view last", "view newest"]
TABLES: Final = "CREATE TABLE notice (id INT PRIMARY KEY, title TEXT); CREATE TABLE journal (id INT);"


class Scene:
    """One cut-over that has not begun yet."""

    def __init__(self, server: Server, schema: str = "site", old: tuple[Object, ...] = OLD, extra: str = "") -> None:
        """Build it anew. `extra` is run in the live schema before its definitions are made."""
        self.server, self.schema, self.old = server, schema, old
        self.database = Database("site", schema, "db01", defaults_file=str(server.option_file))
        self.live, self.incoming, self.undo = (asked.named(name) for name in (schema, *staging.schemas(schema)))
        for number in server.sql("SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(60)%'"):
            server.run(f"KILL {number}")
        server.sql("SET GLOBAL read_only=0; SET GLOBAL automatic_sp_privileges=1")
        server.sql("".join(f"DROP DATABASE IF EXISTS {name};" for name in (self.live, self.incoming, self.undo)))
        for user in server.sql("SELECT user FROM mysql.user WHERE user LIKE 'remedy%'"):
            server.sql(f"DROP USER {user}@localhost")
        for path in server.conf.iterdir():
            path.unlink()
        server.sql(f"CREATE DATABASE {self.live}; USE {self.live}; {TABLES} {extra}")
        server.sql(f"INSERT INTO {self.live}.notice VALUES (1, '旧')")
        # Views that need views: what failed is made in the second round.
        server.sql("SET GLOBAL log_bin_trust_function_creators=1")
        for _ in range(2):
            server.run("\n".join(o.sql for o in old), "--force", f"--database={schema}")
        server.sql("SET GLOBAL log_bin_trust_function_creators=0")
        self.staged = staging.make(self.database, RUN, "utf8mb4")
        begun = self.send(self.staged.do)
        assert begun.returncode == 0, begun.stderr
        server.sql(f"USE {self.incoming}; {TABLES} INSERT INTO notice VALUES (2, '新');")
        self.send(staging.keep(self.database, RUN, old).do)
        self.change = self.cut_over(NEW)
        self.before = self.look()

    def cut_over(self, new: tuple[Object, ...], **facts: object) -> Change:
        """The step, with these definitions to come."""
        fingerprint = self.server.sql(statements.fingerprint(self.schema))[0]
        known = replace(Facts(fingerprint, str(self.server.conf), "0", RIGHTS), **facts)  # type: ignore[arg-type]
        return swap.forward(self.database, RUN, new, self.old, known)

    def send(self, command: Command | None, **environ: str) -> subprocess.CompletedProcess[bytes]:
        """Run it to its end."""
        assert command is not None
        return shell(command.argv, command.stdin, **environ)

    def start(self, command: Command) -> subprocess.Popen[bytes]:
        """Run it in a process group of its own; it is at work when this returns."""
        pipe, environ = subprocess.PIPE, {**os.environ, "LC_ALL": "C"}
        process = subprocess.Popen(
            command.argv, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env=environ
        )
        assert process.stdin is not None
        process.stdin.write(command.stdin.encode())
        process.stdin.close()
        process.stdin = None
        return process

    def ask(self, probe: Probe | None) -> object:
        """The answer of a probe."""
        assert probe is not None
        done = self.send(probe.command)
        return parse(probe.parser, Reply(done.returncode, done.stdout, done.stderr))

    def names(self) -> list[str]:
        """Everything in the live schema."""
        return cast("list[str]", self.ask(asked.names(self.database.defaults_file, self.schema)))

    def look(self) -> dict[str, object]:
        """What an application sees, what is held, and what must not be left."""
        sql = self.server.sql
        settings = "read_only, log_bin_trust_function_creators, automatic_sp_privileges, event_scheduler"
        return {
            "title": sql(f"SELECT title FROM {self.live}.notice ORDER BY id LIMIT 1")[0],
            "names": self.names(),
            "last": sql(f"SHOW CREATE VIEW {self.live}.last")[0] if "view last" in self.names() else "",
            "settings": sql(f"SELECT {', '.join(f'@@GLOBAL.{name.strip()}' for name in settings.split(','))}")[0],
            "accounts": sql("SELECT user FROM mysql.user WHERE user LIKE 'remedy\\_swap%'"),
            "held": sorted(path.name for path in self.server.conf.iterdir()),
        }

    @property
    def writable(self) -> bool:
        """Whether an application may write."""
        return self.server.sql("SELECT @@GLOBAL.read_only") == ["0"]
