"""`remedy completion`: the script that teaches a shell remedy's words."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command(
    "completion",
    epilog="""\b
Examples:
  remedy completion bash > /etc/bash_completion.d/remedy
  remedy completion zsh  > "${fpath[1]}/_remedy"
  remedy completion fish > ~/.config/fish/completions/remedy.fish
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script for your shell: commands, options, hosts and groups of the inventory."""
    from remedy.cli.main import group  # noqa: PLC0415 -- the group imports this module

    kind = get_completion_class(shell)
    if kind is None:  # the choice above names only shells click knows
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(group, {}, "remedy", "_REMEDY_COMPLETE").source())
    return 0
