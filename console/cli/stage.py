"""`fleetctl stage`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from actions.orders import Asked, Verb
from console.cli.context import Console
from console.cli.terms import Terms, order_options, split_word

_VERSION = re.compile(r"\d{1,5}\.\d{1,4}\.\d{1,4}", flags=re.ASCII)


def is_version_word(text: str) -> bool:
    """Whether a word of a command line is a release, and so no host."""
    return _VERSION.fullmatch(text) is not None


@click.command("stage", help="Write a release to the other slot: VERSION, or what the server offers.")
@click.option("--to", "version", metavar="VERSION", help="As VERSION before the hosts.")
@click.option(
    "--payload",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A payload file of this machine, brought to the hosts. Needs the version.",
)
@click.option(
    "--extension-payload",
    "extensions",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A payload of an extension of that version. May be repeated.",
)
@click.option("--accept-drop", multiple=True, metavar="NAME", help="An extension that may be lost by it.")
@order_options
@click.pass_obj
def command(
    console: Console,
    version: str | None,
    payload: Path | None,
    extensions: tuple[Path, ...],
    accept_drop: tuple[str, ...],
    terms: Terms,
) -> int:
    from console.cli.ordering import give

    word, terms = split_word(terms, is_version_word)
    if word is not None and version is not None:
        raise click.UsageError("the version is named twice")
    asked = Asked(
        Verb.STAGE,
        version=word or version,
        payload=str(payload.resolve()) if payload else None,
        extension_payloads=tuple(str(path.resolve()) for path in extensions),
        accept_drop=accept_drop,
    )
    return give(console, asked, terms)
