"""The least a click program can be: a group with one command. What `remedy --help` is compared with."""

from __future__ import annotations

import click


@click.group()
@click.version_option("1.0")
def group() -> None:
    """Do a thing."""


@group.command()
def thing() -> None:
    """Do it."""


if __name__ == "__main__":
    group()
