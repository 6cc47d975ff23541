"""Telling the record to a person: a timeline of an incident, a verification in a few lines. Pure: entries to lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from remedy.cli.choice import ago, stamp
from remedy.cli.progress import size
from remedy.core.values import Entry

if TYPE_CHECKING:
    from remedy.record.report import Report

Line = tuple[str, str]

#: Kinds that only matter when every entry is asked for.
_DETAIL: Final = frozenset({"intent", "lease", "signing-key"})
_LONGEST: Final = 160


def timeline(entries: Iterable[Entry], *, every: bool) -> Iterator[Line]:
    """Lines with a style each: sequence number, UTC time with its offset, kind, what happened."""
    for entry in entries:
        if entry.kind in _DETAIL and not every:
            continue
        body = cast("dict[str, Any]", json.loads(entry.body))
        text, style = _said(entry.kind, body)
        when = entry.time[:19].replace("T", " ") + " +00:00"
        yield f"{entry.seq:>6}  {when}  {entry.kind:<15} {entry.run:<10} {text}", style
        if every:
            yield f"{'':>8}{entry.hash}", "dim"


def _said(kind: str, body: dict[str, Any]) -> Line:
    target = body.get("target", "")
    simple: dict[str, Line] = {
        "incident-open": (f"{body.get('title', '')} {body.get('severity', '')}".strip(), "bold"),
        "incident-close": (str(body.get("summary", "")), "bold"),
        "note": (str(body.get("text", "")), ""),
        "dry-run": (f"{body.get('action')} {target}: {body.get('changes')} changes shown, none made", "dim"),
        "plan": (f"{body.get('action')} {target}: plan {str(body.get('hash', ''))[:12]}", ""),
        "approval": (f"{body.get('action')} {target}: by {body.get('by')}; logged in as {body.get('login')}", ""),
        "refusal": (f"{body.get('action')} {target}: {body.get('message')} (exit {body.get('exit_code')})", "yellow"),
        "intent": (f"{target} step {body.get('step')}: {body.get('why')}", "dim"),
        "alarm": (f"{target}: containment has come undone", "bold red"),
        "lease": (f"{target}: {str(body.get('event', '')).replace('-', ' ')} by {body.get('holder')}", "dim"),
        "signing-key": (f"from here on {body.get('fingerprint')} signs", "dim"),
        "key-ended": (f"{body.get('fingerprint')} was {body.get('why')}: {body.get('reason')}", "yellow"),
    }
    if kind in _OF_DATABASES:
        return _OF_DATABASES[kind](body)
    if kind == "sent":
        ok = body.get("status") == 0
        text = f"{target} step {body.get('step')}: {body.get('why')}"
        return (text, "") if ok else (f"{text}: REFUSED: {body.get('said')}", "red")
    if kind == "verify":
        verdicts = body.get("verdicts", [])
        held = sum(1 for verdict in verdicts if verdict.get("held"))
        return f"{target}: {held} of {len(verdicts)} expectations hold", "green" if held == len(verdicts) else "yellow"
    if kind == "outcome":
        good = body.get("exit_code") == 0
        doubts = body.get("doubts") or []
        more = f"; {doubts[0]}" + (f" and {len(doubts) - 1} more" if len(doubts) > 1 else "") if doubts else ""
        return f"{body.get('action')} {target}: {body.get('status')}{more}", "green" if good else "yellow"
    return simple.get(kind, (json.dumps(body, ensure_ascii=False)[:160], "dim"))


def _backup(body: dict[str, Any]) -> str:
    name = f"backup {body['backup']} of {body.get('copy')}" if body.get("backup") else f"copy {body.get('copy')}"
    return f"{body.get('database')}: {name}"


def _verdict(body: dict[str, Any]) -> Line:
    judged = body.get("judgement", {})
    wrong = [finding.get("text", "") for finding in judged.get("findings", [])]
    text = f"{_backup(body)}: {judged.get('level')}, SHA-256 {str(judged.get('sha256', ''))[:12]}"
    return f"{text}{f': {_short(wrong[0])}' if wrong else ''}", "yellow" if wrong else "green"


def _rejected(body: dict[str, Any]) -> Line:
    minutes = body.get("minutes", -1)
    lost = f" ({ago(minutes * 60)} of data more are lost)" if minutes > 0 else ""
    return f"{_backup(body)}: passed over at {body.get('level')}: {_short(str(body.get('reason')))}{lost}", "yellow"


def _chosen(body: dict[str, Any]) -> Line:
    passed = len(body.get("rejected", []))
    text = f"{_backup(body)}: chosen, made {stamp(body.get('time', 0))}, SHA-256 {str(body.get('sha256', ''))[:12]}"
    return f"{text}; {passed} passed over", ""


def _analysis(body: dict[str, Any]) -> Line:
    """What a restore came to."""
    lost, held, doubts = body.get("lost_minutes", -1), body.get("held_ms", -1), body.get("doubts")
    said = [f"{_backup(body)}: restored, {body.get('status')}"]
    if lost >= 0:
        kept = f", kept in {body['kept']}" if body.get("kept") else ""
        said.append(f"{ago(lost * 60)} of data went out of use{kept}")
    if held >= 0:
        said.append(f"writes held for {held} ms")
    if doubts:
        said.append(f"{len(doubts)} doubts: {_short(str(doubts[0]))}")
    return "; ".join(said), "green" if body.get("status") == "verified" else "yellow"


def _integrity(body: dict[str, Any]) -> Line:
    """What a comparison with a manifest came to."""
    against = f"{body.get('database')}: against the backup of {stamp(body.get('time', 0))}"
    if body.get("equal"):
        return f"{against}: {body.get('tables')} tables and all definitions are equal", "green"
    wrong = [*body.get("different", []), *body.get("orphans", [])]
    more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
    return f"{against}: {_short(str(wrong[0])) if wrong else 'differs'}{more}", "yellow"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _blocked(body: dict[str, Any]) -> Line:
    """A block or unblock that found nothing to change, and until when it now stands."""
    try:
        asked = json.loads(str(body.get("params") or "{}"))
    except ValueError:
        asked = {}
    addresses = [str(one) for one in asked.get("addresses", [])] if isinstance(asked, dict) else []
    until = f", until {asked['until']}" if isinstance(asked, dict) and asked.get("until") else ""
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""  # noqa: PLR2004 -- a few are shown
    return f"{body.get('action')} {body.get('target')}: {', '.join(addresses[:3])}{more} already{until}", ""


def _pushed(body: dict[str, Any]) -> Line:
    """A push that found its rules there, or what had ended gone."""
    try:
        asked = json.loads(str(body.get("params") or "{}"))
    except ValueError:
        asked = {}
    asked = asked if isinstance(asked, dict) else {}
    what = "nothing had to go that has ended" if asked.get("ended") else "already"
    return f"{body.get('action')} {body.get('target')}: {_short(str(asked.get('file', '')))} {what}", ""


def _configuration(body: dict[str, Any]) -> Line:
    """A device's configuration that was kept."""
    digest = str(body.get("sha256", ""))[:12]
    when = {"before": "before a change", "after": "after a change"}.get(str(body.get("when")), "as asked")
    return f"{body.get('device')}: configuration kept {when}, SHA-256 {digest}, {_short(str(body.get('file', '')))}", ""


def _evidence(body: dict[str, Any]) -> Line:
    """What became of a bag of evidence."""
    name, event = f"bag-{body.get('bag')}", str(body.get("event", "")).replace("-", " ")
    if event == "begun":
        return f"{name}: begun, {body.get('method')}: {_short(str(body.get('title', '')))}", "dim"
    if event == "sealed":
        amount = f"{body.get('files')} files, {size(int(body.get('size') or 0))}"
        lacking = [*body.get("lacking", []), *filter(None, [body.get("unstamped")])]
        more = f"; {_short(str(lacking[0]))}" if lacking else ""
        digest = str(body.get("sha256", ""))[:16]
        return f"{name}: sealed, {amount}, tag manifest SHA-256 {digest}{more}", "yellow" if lacking else "green"
    found = [str(text) for line in body.get("ledger", []) for text in line.get("findings", [])]
    said = {
        "witnessed": f"by {body.get('witness')}, {body.get('key')}",
        "broken off": str(body.get("reason", "")),
        "planned": f"{len(body.get('steps', []))} steps, to be asked of {body.get('target')}",
        "collected": f"from {body.get('target')}{''.join(f'; {text}' for text in found)}",
        "unreached": f"{body.get('target')}: {body.get('reason', '')}",
    }
    detail = said.get(event, f"to {body['to']}" if body.get("to") else "")
    return f"{name}: {event} {_short(detail)}".rstrip(), "red" if event in {"broken off", "unreached"} else ""


#: What the entries of backups and restores, of devices and of evidence, say.
_OF_DATABASES: Final[dict[str, Callable[[dict[str, Any]], Line]]] = {
    "backup-verdict": _verdict,
    "backup-rejected": _rejected,
    "backup-chosen": _chosen,
    "fault-analysis": _analysis,
    "integrity": _integrity,
    "blocked": _blocked,
    "pushed": _pushed,
    "device-configuration": _configuration,
    "evidence": _evidence,
}


def report(found: Report) -> Iterator[Line]:
    """A verification: what was read, what is signed, what is wrong."""
    yield f"{found.path}: {found.entries} entries, head {found.head[:16]}", ""
    if found.fingerprints:
        keys = ", ".join(found.fingerprints)
        yield f"  signed by {keys}: {found.checkpoints} checkpoints, up to entry {found.signed}", ""
    for anchor, seq in found.anchored:
        if seq >= 0:
            yield f"  {anchor.digits[:16]}, {anchor.source}: entry {seq}", ""
    for doubt in found.in_doubt:
        yield f"  in doubt: entry {doubt.seq}, {doubt.target}, run {doubt.run}: `remedy resume {doubt.run}`", "yellow"
    for finding in found.findings:
        yield f"  {'DAMAGE' if finding.is_damage else 'remark'}: {finding}", "bold red" if finding.is_damage else "dim"
    yield ("the record verifies", "bold green") if found.ok else ("the record does NOT verify", "bold red")
