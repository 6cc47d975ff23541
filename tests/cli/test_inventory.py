"""`remedy inventory`: what it prints of an inventory with secrets in clear."""

from __future__ import annotations

import json

import pytest

from .conftest import Console

CLEAR = """\
        clear01:
          ansible_password: hunter2
          ansible_ssh_common_args: -o ProxyCommand="sshpass -p hunter2 ssh -W %h:%p gate"
          mirror: https://ops:hunter2@mirror.example/
          remedy_databases: {site: {copies: [{name: a, bucket: b1, access_key: hunter2, secret_key: hunter2}]}}
          remedy_dns: hunter2
"""


@pytest.mark.parametrize(
    "words",
    [["list"], ["list", "-vvv"], ["list", "--json"], ["graph"], ["graph", "--json"], ["check"], ["check", "--json"]],
    ids=" ".join,
)
def test_no_form_of_output_has_a_secret(bare: Console, words: list[str]) -> None:
    """Neither listing nor findings nor errors, for people and for programs, show what stands in clear."""
    text = bare.inventory.read_text()
    assert "        gone01:\n" in text
    bare.inventory.write_text(text.replace("        gone01:\n", CLEAR + "        gone01:\n"))
    got = bare("inventory", *words)
    assert got.out + got.err
    assert "hunter2" not in got.out + got.err
    if words == ["list", "--json"]:
        shown = got.document["inventory"]["_meta"]["hostvars"]["clear01"]
        assert shown["mirror"] == "https://<secret literal>@mirror.example/"
        assert shown["remedy_databases"]["site"]["copies"][0]["secret_key"] == "<secret literal>"
        assert shown["remedy_dns"] == "<secret literal>"
    if words == ["check", "--json"]:
        said = json.dumps(got.document["findings"])
        assert "ansible_password stands here in clear" in said
        assert "access_key stands here in clear" in said
