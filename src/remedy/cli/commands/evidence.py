"""`remedy evidence`: bags that anybody can verify: made, listed, verified, handed over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from remedy.cli.act import screen_of
from remedy.cli.commands import evidence_collect
from remedy.cli.options import common, looking
from remedy.cli.world import world

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

F = TypeVar("F", bound="Callable[..., Any]")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(
    "evidence",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Examples:
  remedy evidence collect web01                           from a host, what is gone first
  remedy evidence add INC-20261120-1 disk.img page.png    seal files that you have
  remedy evidence list                                    what is there, and whether it is sealed
  remedy evidence verify bag-E7f3a9c21                    every byte, the names, the signature
  remedy evidence handover bag-E7f3a9c21 --witness li-si --witness-key li.key
  remedy evidence export bag-E7f3a9c21 /media/usb/E7f3a9c21.tar
""",
)
def command() -> None:
    """Collect, seal, list, verify, export and hand over evidence."""


def keeping(function: F) -> F:
    """--bags: where bags lie."""
    option = click.option(
        "--bags",
        metavar="DIR",
        envvar="REMEDY_EVIDENCE",
        help="Where bags lie; else `evidence` beside the record ($REMEDY_EVIDENCE).",
    )
    made: F = option(function)
    return made


def sealing(function: F) -> F:
    """`keeping`, and the time stamp authority."""
    for option in (
        click.option(
            "--tsa-ca",
            "tsa_ca",
            type=_FILE,
            envvar="REMEDY_TSA_CA",
            help="The authority's root certificates, PEM ($REMEDY_TSA_CA).",
        ),
        click.option(
            "--tsa",
            metavar="URL",
            envvar="REMEDY_TSA",
            help="Have it stamped by this RFC 3161 authority ($REMEDY_TSA).",
        ),
    ):
        function = option(function)
    return keeping(function)


def believing(function: F) -> F:
    """Whose keys are believed, and which no longer."""
    for option in (
        click.option("--tsa-ca", "tsa_ca", type=_FILE, help="Root certificates of the time stamp authority, PEM."),
        click.option("--revoked", type=_FILE, help="Keys that are revoked: one public key a line."),
        click.option(
            "--allowed-signers", "allowed_signers", type=_FILE, help="Who may sign (ssh-keygen(1), ALLOWED SIGNERS)."
        ),
        click.option("--key", "keys", multiple=True, type=_FILE, help="A public key that may sign (repeatable)."),
    ):
        function = option(function)
    return keeping(function)


def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Bags here, for shell completion; silent when there are none."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 -- only in a completing shell

    from remedy.cli.bags import names  # noqa: PLC0415

    found = names(_record(ctx), str(ctx.params.get("bags") or ""))
    return [CompletionItem(name, help=what) for name, what in found if name.startswith(incomplete)]


def complete_incident(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Open incidents, for shell completion; silent when there is no record."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 -- only in a completing shell

    from remedy.cli.bags import open_incidents  # noqa: PLC0415

    found = open_incidents(_record(ctx))
    return [CompletionItem(name, help=what) for name, what in found if name.startswith(incomplete)]


def _record(ctx: click.Context) -> str:
    """The record named so far on the command line."""
    return str(ctx.params.get("record") or ctx.find_root().params.get("record") or "")


@command.command(
    "add",
    epilog="""\b
Examples:
  remedy evidence add INC-20261120-1 web01.img screenshot.png --title "disk of web01, imaged by Li Si"
  remedy evidence add INC-20261120-1 report.pdf --tsa http://tsa.example.com/ --tsa-ca tsa-root.pem
""",
)
@click.argument("incident_id", metavar="INCIDENT", shell_complete=complete_incident)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=_FILE)
@click.option("--title", default="", help="What this is and where it comes from, in a sentence.")
@click.option("--target", "targets", multiple=True, metavar="HOST", help="The host it is of (repeatable).")
@sealing
@looking
@click.pass_context
def add(ctx: click.Context, /, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Seal files that you already have into a new bag: a disk image, a screenshot, a mail.

    Each is copied, hashed with SHA-256 and SM3 on the way, and signed for with the record's key. The originals are not
    touched. The record says so before the first byte is read and after the last is on disk. A name that not every tool
    takes as it is becomes a plain one; the bag keeps the true one too.
    """
    wish = {name: given.pop(name) for name in ("incident_id", "files", "title", "targets", "bags", "tsa", "tsa_ca")}
    with world(common(ctx, given)) as around:
        from remedy.cli.adding import add as seal  # noqa: PLC0415 -- lazily, with all below it

        return seal(around, screen_of(around.options, around), **wish)


@command.command(
    "list",
    epilog="""\b
Examples:
  remedy evidence list                    every bag here
  remedy evidence list INC-20261120-1     of one incident
""",
)
@click.argument("incident_id", required=False, default="", metavar="[INCIDENT]", shell_complete=complete_incident)
@keeping
@looking
@click.pass_context
def listing(ctx: click.Context, /, incident_id: str, bags: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """List bags, oldest first: what they say of themselves. It is not verified; `evidence verify` does that."""
    with world(common(ctx, given)) as around:
        from remedy.cli.showing import show_all  # noqa: PLC0415 -- lazily, with all below it

        return show_all(around, screen_of(around.options, around), bags, incident_id)


@command.command(
    "show",
    epilog="""\b
Examples:
  remedy evidence show bag-E7f3a9c21           what it is, and its files
  remedy evidence show /media/usb/bag-E7f3a9c21 --json
""",
)
@click.argument("name", metavar="BAG", shell_complete=complete)
@keeping
@looking
@click.pass_context
def show(ctx: click.Context, /, name: str, bags: str, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Show what a bag says of itself, its files with their hashes, and what the record says of it.

    It is not verified; `evidence verify` does that.
    """
    with world(common(ctx, given)) as around:
        from remedy.cli.showing import show_one  # noqa: PLC0415 -- lazily, with all below it

        return show_one(around, screen_of(around.options, around), bags, name)


@command.command(
    "verify",
    epilog="""\b
Examples:
  remedy evidence verify bag-E7f3a9c21                      with the keys that this record announced
  remedy evidence verify ./bag-E7f3a9c21 --key ann.pub      of somebody else
  remedy evidence verify INC-20261120-1/bag-* --revoked revoked_keys --json
""",
)
@click.argument("names", nargs=-1, required=True, metavar="BAG...", shell_complete=complete)
@believing
@looking
@click.pass_context
def verify(ctx: click.Context, /, names: tuple[str, ...], **given: Any) -> int:  # noqa: ANN401 -- click's
    """Verify bags: every byte, every name, the signature, the time stamp, and what the record says of them.

    Exit 0 when nothing is left open, 26 when something contradicts, 22 when nothing does but something is not shown: a
    key that nobody vouches for, an authority known from the bag alone. Without --key and --allowed-signers the keys
    that this record announced are believed. A bag is read as what it is, something that anybody may have made.
    """
    wish = {name: given.pop(name) for name in ("bags", "keys", "allowed_signers", "revoked", "tsa_ca")}
    with world(common(ctx, given)) as around:
        from remedy.cli.showing import verify_all  # noqa: PLC0415 -- lazily, with all below it

        return verify_all(around, screen_of(around.options, around), names, **wish)


@command.command(
    "export",
    epilog="""\b
Examples:
  remedy evidence export bag-E7f3a9c21 /media/usb/E7f3a9c21.tar
  remedy evidence export bag-E7f3a9c21 /media/usb/        the bag's own name, .tar
""",
)
@click.argument("name", metavar="BAG", shell_complete=complete)
@click.argument("destination", metavar="DEST", type=click.Path(path_type=Path))
@believing
@looking
@click.pass_context
def export(ctx: click.Context, /, name: str, destination: Path, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Write a bag to one .tar file, verified while it is written; the same bag always gives the same file.

    What does not verify is not exported (26). An existing file is never replaced.
    """
    wish = {key: given.pop(key) for key in ("bags", "keys", "allowed_signers", "revoked", "tsa_ca")}
    with world(common(ctx, given)) as around:
        from remedy.cli.handing import export as write  # noqa: PLC0415 -- lazily, with all below it

        return write(around, screen_of(around.options, around), name, destination, **wish)


@command.command(
    "handover",
    epilog="""\b
Examples:
  remedy evidence handover bag-E7f3a9c21 --place "server room A-3" --holder "Zhang San"
  remedy evidence handover bag-E7f3a9c21 --witness li-si --witness-key li.key
  remedy evidence handover bag-E7f3a9c21 --witness li-si --witness-signature li.sig
""",
)
@click.argument("name", metavar="BAG", shell_complete=complete)
@click.argument("destination", required=False, metavar="[DEST]", type=click.Path(path_type=Path))
@click.option("--place", default="", help="Where it was done.")
@click.option("--cause", default="", help="The case; else the incident's title.")
@click.option("--holder", default="", metavar="NAME", help="Who holds or provides the data.")
@click.option("--witness", default="", metavar="NAME", help="Who witnesses; with a signature, letters and digits.")
@click.option("--witness-key", "witness_key", type=_FILE, help="The witness's private key: signs the bag now.")
@click.option(
    "--witness-signature",
    "witness_signature",
    type=_FILE,
    help="The witness's signature, made with ssh-keygen -Y sign.",
)
@believing
@looking
@click.pass_context
def handover(ctx: click.Context, /, name: str, destination: Path | None, **given: Any) -> int:  # noqa: ANN401 -- click's
    """Write the papers that go with a bag, to be printed and signed by hand, and let a witness sign the bag.

    The minutes (笔录: case, object, content, time, place, method, course) and the list (清单: kind, format and hashes
    of every file), as China's rules on electronic data want them (2016, no. 22, articles 5 and 14), from the manifest
    and the record; as text and as a page to print, in a new folder beside the bag. The bag is verified first, and
    refused when something contradicts (26). A witness's signature is added to the bag; nothing else in it changes.
    """
    papers = {key: given.pop(key) for key in ("place", "cause", "holder", "witness")}
    signing = {key: given.pop(key) for key in ("witness_key", "witness_signature")}
    wish = {key: given.pop(key) for key in ("bags", "keys", "allowed_signers", "revoked", "tsa_ca")}
    with world(common(ctx, given)) as around:
        from remedy.cli.handing import hand_over  # noqa: PLC0415 -- lazily, with all below it

        return hand_over(around, screen_of(around.options, around), name, destination, papers, **signing, **wish)


command.add_command(sealing(evidence_collect.collect))
