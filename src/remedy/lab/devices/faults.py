"""What goes wrong on demand: set when the device starts, or while it runs through its control socket.

The socket takes one JSON object a line and answers one: `{"set": {"save_fails": true}}`, `{"do": "reboot"}`,
`{"ask": "running"}`; see `Control`. `ask` is the client.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["Control", "Faults", "ask"]


@dataclass(slots=True)
class Faults:
    """The faults of one device; all off.

    - `failed`: rules of these lists (name or number; `3000/5` for one rule; `*` for all; SecPath: rules by name or
      number) are marked `(Failed)`, `(Inactive)` or `Fail` and do not act: no hardware resources
    - `refuse`: lines in which this regular expression is found are refused with the words of `refusal`
    - `activation`: seconds until changed rules act; -1: as the vendor says, times `activation_scale`
    - `monitor`: new sessions get log lines without asking; `log_every`: one lands in the middle of every n-th output
    - `log_at_prompt`: a log line follows every n-th prompt at once
    - `drop_after`: the link is cut in the middle of the answer to the n-th line from now (then it is off again)
    - `mute_after`: likewise, but the connection stays open and silent
    - `slow`: seconds every line takes; `save_seconds`: seconds a save takes; `save_fails`: it is not saved then
    - `sessions`: most sessions at once; `locked_by`: somebody else has the configuration to himself
    - `group_limit`: most members of an object group; 0: no limit but the vendor's
    - `boot_seconds`: how long a reboot takes; `clock_offset`: seconds the device's clock is wrong
    - `page`: lines of a page; 0: no paging; -1: the vendor's
    """

    failed: tuple[str, ...] = ()
    refuse: str = ""
    refusal: str = "The operation failed because of insufficient resources."
    activation: float = -1.0
    activation_scale: float = 1.0
    monitor: bool = False
    log_every: int = 0
    log_at_prompt: int = 0
    drop_after: int = 0
    mute_after: int = 0
    slow: float = 0.0
    save_seconds: float = 0.0
    save_fails: bool = False
    sessions: int = 16
    locked_by: str = ""
    group_limit: int = 0
    boot_seconds: float = 1.0
    clock_offset: float = 0.0
    page: int = -1

    def change(self, values: Mapping[str, Any]) -> None:
        """Set some. Raises ValueError for one that does not exist or is of another type."""
        known = {f.name: getattr(Faults(), f.name) for f in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"no fault is called {name!r}")
            if isinstance(known[name], tuple):
                setattr(self, name, tuple(str(v) for v in value))
                continue
            kind = type(known[name])
            if not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
                raise ValueError(f"{name} takes {kind.__name__}, not {value!r}")
            setattr(self, name, kind(value))

    def as_json(self) -> dict[str, Any]:
        """All of them."""
        return asdict(self)


class Control:
    """The control socket: `asked` answers `ask`, `done` does what `do` names."""

    def __init__(
        self,
        faults: Faults,
        asked: Mapping[str, Callable[[], object]],
        done: Mapping[str, Callable[[], object]],
    ) -> None:
        """Not listening yet."""
        self._faults = faults
        self._asked = asked
        self._done = done
        self._server: asyncio.Server | None = None

    async def listen(self, path: Path) -> None:
        """Open the socket, for its owner only."""
        await asyncio.to_thread(path.unlink, missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, path)
        await asyncio.to_thread(path.chmod, 0o600)

    async def close(self) -> None:
        """Close it."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # the client went, or sent a line without end
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, object]:
        try:
            wish = json.loads(line)
            if "set" in wish:
                self._faults.change(wish["set"])
                return {"faults": self._faults.as_json()}
            if "do" in wish:
                return {"done": await _result(self._done[wish["do"]])}
            return {"answer": await _result(self._asked[wish["ask"]])}
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"{type(error).__name__}: {error}"}


async def _result(call: Callable[[], object]) -> object:
    answer = call()
    return await answer if inspect.isawaitable(answer) else answer


def ask(path: Path, wish: Mapping[str, object], *, timeout: float = 10.0) -> dict[str, Any]:
    """Send one wish to a device's control socket and return its answer. Raises OSError, ValueError when refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        client.connect(str(path))
        with client.makefile("rwb") as stream:
            stream.write(json.dumps(wish).encode() + b"\n")
            stream.flush()
            answer: dict[str, Any] = json.loads(stream.readline())
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer
