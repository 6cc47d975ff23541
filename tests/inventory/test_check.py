"""check: what would fail in an emergency is found before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from remedy.inventory import Finding, Inventory, check

Loader = Callable[..., Inventory]


def said(findings: tuple[Finding, ...]) -> str:
    """All findings as text."""
    return "\n".join(f"{f.severity} {f.where} {f.message} {f.hint}" for f in findings)


def test_clean_inventory(inventory: Loader, tmp_path: Path) -> None:
    """A good inventory has no findings."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    (tmp_path / "home" / ".ssh" / "known_hosts").write_text("")
    found = inventory(
        {"h.yml": "web: {hosts: {w: {ansible_host: 198.18.0.1, ansible_password: {env: X}, remedy_dns: pinned}}}"}
    )
    assert found.check() == ()


@pytest.mark.parametrize(
    ("files", "severity", "where", "words"),
    [
        ({"h.yml": "a: {hosts: {w: }, hots: {x: }}"}, "warning", "h.yml:1", "unexpected key 'hots'"),
        ({"h.yml": "a: {hosts: {w: }}\na: {hosts: {w: }}\n"}, "warning", "h.yml:2", "stands here twice"),
        ({"h.yml": "a: 5\n"}, "warning", "h.yml:1", "not a group"),
        ({"h.ini": "[a]\nw\nw\n"}, "warning", "h.ini:3", "is in group a already"),
        ({"h.ini": "[a-b]\nw\n"}, "warning", "h.ini:1", "no valid identifier"),
        ({"h.ini": "w a-b=1\n"}, "warning", "h.ini:1", "no valid variable name"),
        ({"h.ini": "[a]\n[b]\nw\n"}, "info", "a", "no hosts"),
        ({"h.ini": ""}, "warning", "h.ini", "no hosts"),
        ({"h.ini": "w ansible_password=x\n"}, "warning", "h.ini:1", "in clear"),
        ({"h.ini": "w remedy_protect=yes\n"}, "warning", "h.ini:1", "did you mean remedy_protected"),
        ({"h.ini": "w remedy_dns=open\n"}, "error", "h.ini:1", "remedy_dns"),
        ({"h.ini": "w ansible_port=x\n"}, "error", "h.ini:1", "no TCP port"),
        ({"h.ini": "w ansible_host='{{ gone }}'\n"}, "error", "h.ini:1", "gone"),
        ({"h.ini": "w remedy_vantage=peer remedy_vantage_for=wbe\n"}, "error", "h.ini:1", "wbe"),
        ({"h.ini": "a ansible_host=198.18.0.1\nb ansible_host=198.18.0.1\n"}, "warning", "b", "address and port of a"),
        (
            {"h.ini": "w ansible_ssh_common_args='-o StrictHostKeyChecking=no'\n"},
            "warning",
            "w",
            "host keys are always checked",
        ),
        ({"h.ini": "w ansible_ssh_private_key_file=gone\n"}, "warning", "gone", "private key"),
        ({"h.ini": "[a]\nw\n[a:vars]\nansible_host=x\n"}, "warning", "h.ini:4", "one address"),
        ({"h.ini": "[a]\nw\n[a:vars]\nremedy_budget=5\n"}, "error", "h.ini:4", "remedy_budget"),
        ({"h": "w\n", "group_vars/wbe.yml": "a: 1"}, "warning", "group_vars/wbe.yml", "belongs to no group"),
        ({"h": "w\n", "host_vars/x/a.yml": "a: 1"}, "warning", "host_vars/x", "belongs to no host"),
        ({"h": "w\n", "host_vars/w.yml": "v: !vault x"}, "info", "host_vars/w.yml:1", "Vault"),
        ({"h": "w\n", "host_vars/w.yml": "$ANSIBLE_VAULT;1.1"}, "warning", "host_vars/w.yml", "not seen"),
    ],
)
def test_findings(files: dict[str, str], severity: str, where: str, words: str, inventory: Loader) -> None:
    """Each defect is found with its severity and its place."""
    found = inventory(files).check()
    assert any(f.severity == severity and f.where.endswith(where) and words in said((f,)) for f in found), said(found)


def test_an_unloadable_inventory_is_a_finding(tmp_path: Path) -> None:
    """Cycles, undeclared children and broken files are findings of `check`, where `load` raises."""
    for text, words in (
        ("[a:children]\nb\n[b:children]\na\n", "contain each other"),
        ("[a:children]\nb\n", "declared nowhere"),
    ):
        (tmp_path / "h.ini").write_text(text)
        (finding,) = check(tmp_path / "h.ini")
        assert finding.severity == "error"
        assert words in finding.message


def test_errors_come_first_and_secrets_stay_hidden(inventory: Loader) -> None:
    """Findings are sorted by severity and never show a secret."""
    found = inventory({"h.ini": "w ansible_password=s3cret remedy_dns=open\n[e]\n"}).check()
    ranks = [["error", "warning", "info"].index(f.severity) for f in found]
    assert ranks == sorted(ranks)
    assert set(ranks) == {0, 1, 2}
    assert "s3cret" not in said(found)
