"""Isolating web01 at the lab's switch, with and without a way for management into the quarantine VLAN.

A program of its own, `python -m tests.lab.quarantine FOLDER`, in a network of its own: the switch changes where every
host of the DMZ is plugged in. Its last line is JSON: what happened, for the test to judge.
"""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import netmiko
from tests.lab.contain import Console, Remedy, Said, State

from remedy.lab import Lab

WEB: Final = ("198.18.1.11", "2001:db8:0:1::11")
DEVICES: Final = ("sw01", "fw01")
#: Which of these addresses and ports answer within a second, all tried at once.
_ANSWERS: Final = """
import concurrent.futures, socket, sys
def tried(place):
    address, port = place.split()
    try:
        socket.create_connection((address, int(port)), 1).close()
    except OSError:
        return False
    return True
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print("\\n".join(place for place, came in zip(sys.argv[1:], pool.map(tried, sys.argv[1:])) if came))
"""
#: Where an intruder on web01 would go: the attacker, its neighbours, the database, the name server, a manager.
_ELSEWHERE: Final = ("198.18.0.66 4444", "198.18.1.12 80", "198.18.2.21 3306", "198.18.1.254 53", "198.18.3.31 22")


@dataclass
class Place:
    """The lab with its switch, and an operator."""

    lab: Lab
    remedy: Remedy

    def answers(self, host: str, *places: str) -> list[str]:
        """Which of these a host gets a connection to."""
        status, out, err = self.lab.exec(host, ["python3", "-c", _ANSWERS, *places])
        assert status == 0, err
        return [line for line in out.decode().splitlines() if line]

    def reached(self) -> dict[str, int]:
        """Over how many families its visitors reach the web server."""
        return {host: len(self.answers(host, *(f"{one} 80" for one in WEB))) for host in ("attacker", "web02")}

    def managed(self) -> bool:
        """Whether management reaches sshd on web01."""
        try:
            socket.create_connection((WEB[0], 22), 2).close()
        except OSError:
            return False
        return True

    def as_it_is(self) -> tuple[dict[str, str], State]:
        """What the devices run, and what is loaded and on disk on web01."""
        running = {name: str(self.lab.ask_device(name, {"ask": "running"})["answer"]) for name in DEVICES}
        return running, Console(self.lab, "web01").state()

    def saved(self) -> bool:
        """Whether the devices would start with what they run."""
        return all(
            self.lab.ask_device(name, {"ask": "saved"})["answer"]
            == self.lab.ask_device(name, {"ask": "running"})["answer"]
            for name in DEVICES
        )

    def flushed(self) -> dict[str, Any]:
        """What root on web01 gets from throwing its own rules away."""
        Console(self.lab, "web01").sh("nft flush ruleset")
        out = self.answers("web01", *_ELSEWHERE)
        return {"reached": self.reached(), "gets out": out, "managed": self.managed()}

    def close_the_way(self) -> None:
        """Take the quarantine VLAN off the switch's trunk: from now on it leads nowhere."""
        session = netmiko.ConnectHandler(
            device_type="hp_comware",
            host="198.18.3.40",
            port=2222,
            username="remedy",
            password=self.lab.credentials.device_password.read_text(encoding="ascii"),
            ssh_strict=True,
            alt_host_keys=True,
            alt_key_file=str(self.lab.credentials.known_hosts),
        )
        session.send_config_set(["interface g1/0/24", "undo port trunk permit vlan 999"])
        session.save_config("save force")
        session.disconnect()
        self.lab.ask_device("sw01", {"ask": "settled"})

    def inventory_says(self, *, management: bool) -> None:
        """Change what the inventory says of the quarantine VLAN."""
        path = self.remedy.inventory / "host_vars/sw01.yml"
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("remedy_quarantine_management")]
        path.write_text("\n".join([*kept, f"remedy_quarantine_management: {str(management).lower()}", ""]))

    def isolate(self, *words: str) -> Said:
        """What `remedy isolate` does, in all layers."""
        return self.remedy("isolate", "web01", "--layers", "host,switch,perimeter", "--yes", "--json", *words)

    def release(self) -> Said:
        """What `remedy release` does."""
        return self.remedy("release", "web01", "--yes", "--json")


def told(said: Said) -> dict[str, Any]:
    """What one call of remedy said of web01."""
    one = said.target
    kept = {name: one.get(name) for name in ("layers_held", "layers_left", "withstands_root", "doubts")}
    return {**kept, "code": said.code, "error": said.err[-2000:]}


def with_a_way(place: Place) -> dict[str, Any]:
    """The quarantine VLAN leads to management: isolated, its root busy, and given back."""
    start = place.as_it_is()
    found: dict[str, Any] = {"before": place.reached(), "isolate": told(place.isolate())}
    found["flushed"] = place.flushed()
    found["release"] = told(place.release())
    found["saved"] = place.saved()
    return {**found, "as before": place.as_it_is() == start, "after": place.reached()}


def without_one(place: Place) -> dict[str, Any]:
    """It leads nowhere: refused, then done with consent, and given back in two goes."""
    place.inventory_says(management=False)
    place.close_the_way()
    start = place.as_it_is()
    refused = place.isolate()
    found: dict[str, Any] = {"refused": [refused.code, refused.out], "untouched": place.as_it_is() == start}
    found["isolate"] = told(place.isolate("--unreachable-ok", "web01"))
    found["flushed"] = place.flushed()
    found["release"] = [told(place.release()), told(place.release())]
    return {**found, "as before": place.as_it_is() == start, "after": place.reached()}


def with_a_wrong_inventory(place: Place) -> dict[str, Any]:
    """It leads nowhere, and the inventory says that it leads to management."""
    place.inventory_says(management=True)
    running, _ = place.as_it_is()
    found = {"isolate": told(place.isolate("--device-timer", "30")), "managed": place.managed()}
    found["switch as before"] = place.as_it_is()[0]["sw01"] == running["sw01"]
    return {**found, "release": told(place.release())}


def main(folder: Path) -> None:
    """Bring the lab up, do all of it, and take it down."""
    lab = Lab(folder / "state")
    lab.up(extra=("sw01",), inventory=folder / "inventory")
    try:
        place = Place(lab, Remedy(folder / "inventory", folder / "record.db"))
        ready = place.remedy("acl", "prepare", "fw01", "--for", "isolate", "--yes")
        found = {"prepare": [ready.code, ready.err[-2000:]], "with": with_a_way(place)}
        found |= {"without": without_one(place), "wrong": with_a_wrong_inventory(place)}
    finally:
        lab.down()
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
