"""`fleetctl audit`: the record of what was asked and done, to read, to check, to hand out."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

import click

from actions import ledger
from actions.engine import instant
from actions.record import (
    SCHEMA,
    Broken,
    Event,
    Head,
    Row,
    clean,
    header_line,
    parse_head,
    row_line,
    verify_lines,
    verify_rows,
)
from collectors import store
from collectors.errors import ConfigError
from console.cli.completing import complete_hosts
from console.cli.context import Console, now
from console.exit_codes import ExitCode
from console.tone import Pen, Tone
from console.visible import pad, visible
from console.when import parse_when

NAMESPACE = "fleetctl.record"
"""What a signature is for, so that one made for something else is none for a record."""
LONGEST_LINE = 64 << 20
_IS_DATABASE = b"SQLite format 3\x00"
_PATH = click.Path(path_type=Path)


class HeadType(click.ParamType[Head]):
    """N:HASH, as every verb prints it."""

    name = "head"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        if isinstance(value, Head):
            return value
        try:
            return parse_head(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group("audit", help="The record of what was asked and done: append-only, a chain of hashes.")
def command() -> None:
    """Only a place for its commands."""


@command.command("log", help="What was asked and done, newest last.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", shell_complete=complete_hosts, help="Of it.")
@click.option("--order", "orders", multiple=True, metavar="ID", help="Of this order.")
@click.option("--since", metavar="TIME", help="From a moment on: 2h, 14:30, 2026-11-24, an ISO time.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The last so many.")
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.record/1.")
@click.pass_obj
def log(
    console: Console,
    hosts: tuple[str, ...],
    orders: tuple[str, ...],
    since: str | None,
    limit: int,
    as_json: bool,
) -> None:
    when = None if since is None else instant(parse_when(since, now(), place="--since"))
    loaded = console.load()
    with _reading(loaded.database_path) as conn, ledger.snapshot(conn):
        head = ledger.head(conn)
        rows = ledger.newest(conn, limit, hosts=hosts, orders=orders, since=when)
    if as_json:
        document = {
            "schema": SCHEMA,
            "generated_at": instant(now()),
            "fleet": clean(loaded.fleet.name),
            "head": head.whole,
            "record": [row.as_json() for row in rows],
        }
        click.echo(json.dumps(document, ensure_ascii=console.is_plain, separators=(",", ":")))
    else:
        click.echo(_table(rows, Pen(console.colour, console.ascii), console.width), color=True)


def _table(rows: list[Row], pen: Pen, width: int) -> str:
    if not rows:
        return "Nothing is recorded."
    digits = len(str(rows[-1].n))
    return "\n".join(_line(row, digits, pen, width) for row in rows)


_BY_ITSELF = (Event.HELD, Event.UNHELD, Event.ACKNOWLEDGED)
"""Events that say which verb it was."""


def _line(row: Row, digits: int, pen: Pen, width: int) -> str:
    told = row.outcome if row.event == Event.OUTCOME and row.outcome else row.event
    what = told if row.event in _BY_ITSELF else f"{row.verb}: {told}"
    clock = pen(Tone.HINT, pad(visible(row.at[:16].replace("T", " "), 16), 16))
    cut = ((row.actor.words, 14), (row.host or "fleet", 16), (what, 20))
    columns = [pad(pen.say(text, size, "middle"), size) for text, size in cut]
    start = "  ".join((f"{row.n:>{digits}}", clock, *columns))
    taken = digits + sum(size + 2 for size in (16, *(size for _, size in cut)))
    text = pen.say(row.text or row.code or row.command or "", max(20, width - taken - 2))
    return f"{start}  {text}".rstrip()


@command.command("verify", help="Whether a record is whole: the database's, or an export's (-: stdin).")
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option(
    "--head", "wanted", type=HeadType(), metavar="N:HASH", help="A head noted before must be in it."
)
@click.pass_obj
def verify(console: Console, file: str | None, wanted: Head | None) -> int:
    try:
        head = _verified(console, file, wanted)
    except Broken as error:
        click.echo(visible(f"the record is not whole: {error}", 400))
        return ExitCode.NOT_AS_WANTED
    known = f"; head {wanted} is in it" if wanted else ""
    click.echo(f"the record is whole: {head.n} {'row' if head.n == 1 else 'rows'}, head {head}{known}")
    return ExitCode.OK


def _verified(console: Console, file: str | None, wanted: Head | None) -> Head:
    if file is None:
        return _database_verified(console.load().database_path, wanted)
    if file == "-":
        return verify_lines(_lines(sys.stdin.buffer), wanted)
    with open(file, "rb") as opened:
        if opened.peek(len(_IS_DATABASE)).startswith(_IS_DATABASE):
            return _database_verified(Path(file), wanted)
        return verify_lines(_lines(opened), wanted)


def _database_verified(path: Path, wanted: Head | None) -> Head:
    with _reading(path) as conn:
        try:
            with ledger.snapshot(conn):
                return verify_rows(ledger.every_row(conn), wanted)
        except sqlite3.DatabaseError as error:
            raise Broken(f"the database cannot be read to its end: {error}") from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their ends; one beyond all measure comes in pieces, which no row is."""
    return iter(lambda: file.readline(LONGEST_LINE), b"")


@command.command("export", help="The whole record as JSON lines: a header, then a row a line.")
@click.option("--evidence", "with_evidence", is_flag=True, help="With the evidence, not only its digest.")
@click.option("--sign", "key", type=_PATH, metavar="KEY", help="Sign it with an SSH key.")
@click.option("--signature", type=_PATH, metavar="FILE", help="Where the signature goes.")
@click.pass_obj
def export(console: Console, with_evidence: bool, key: Path | None, signature: Path | None) -> None:
    if (key is None) != (signature is None):
        raise click.UsageError("--sign KEY and --signature FILE go together")
    loaded = console.load()
    out = sys.stdout.buffer
    with _reading(loaded.database_path) as conn, ledger.snapshot(conn):
        head = ledger.head(conn)
        lines = _exported(conn, loaded.fleet.name, head, with_evidence=with_evidence)
        if key is None or signature is None:
            out.writelines(lines)
        else:
            signature.write_bytes(_signed(lines, key, out))
    out.flush()
    click.echo(f"record {head}", err=True)


def _exported(conn: sqlite3.Connection, fleet: str, head: Head, *, with_evidence: bool) -> Iterator[bytes]:
    yield header_line(fleet, now(), ledger.count(conn), head)
    for row, document in ledger.every_row(conn):
        yield row_line(row, document if with_evidence else None)


def _signed(lines: Iterator[bytes], key: Path, out: BinaryIO) -> bytes:
    """Write the lines, and sign them on the way. Raises ConfigError where ssh-keygen does not."""
    argv = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key.expanduser())]
    pipe = subprocess.PIPE
    try:
        signer = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError as error:
        raise ConfigError("ssh-keygen", "--sign", "is not installed; it comes with OpenSSH") from error
    with signer:
        for line in lines:
            out.write(line)
            if signer.stdin is not None and not _fed(signer.stdin, line):
                signer.stdin = None  # communicate would flush it once more
        signature, said = signer.communicate()
    if signer.returncode != 0 or not signature:
        words = said.decode("utf-8", "replace").strip().splitlines()
        raise ConfigError(str(key), "--sign", f"was not used to sign: {words[-1] if words else 'no reason'}")
    return signature


def _fed(stdin: IO[bytes], data: bytes) -> bool:
    """Whether it was taken: a signer that gave up reads no more, and how it ended tells why."""
    try:
        stdin.write(data)
        stdin.flush()
    except BrokenPipeError:
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
        return False
    return True


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    conn = store.open_reader(path)
    try:
        yield conn
    finally:
        conn.close()
