"""Where a feed comes from: the one packed with the program, or a file that the fleet file names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from collectors.errors import ConfigError, ParseError

if TYPE_CHECKING:
    from collectors.releases import Feed

PACKED = Path(__file__).parent / "data" / "releases.json.xz"
PACKED_AT = datetime(2026, 8, 13, 15, 48, 35, tzinfo=UTC)
"""Date of the newest release in the packed feed: flatcar/flatcar-website:static/releases-json@2075ef37."""
LIMIT_BYTES = 64 * 1024 * 1024


def file_stamp(file: Path) -> str:
    """What tells one state of a file from another without reading it. Raises OSError."""
    stat = file.stat()
    return f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}"


def feed_digest(file: Path | None) -> str:
    """What tells one feed from another without reading it: cheap enough for every start.

    Raises ConfigError when the named file cannot be read.
    """
    if file is None:
        return f"packed-{PACKED_AT:%Y-%m-%d}"
    try:
        return f"{file}-{file_stamp(file)}"
    except OSError as error:
        raise ConfigError(str(file), "feeds.file", f"cannot be read: {error.strerror}") from error


def feed_taken_at(file: Path | None) -> datetime:
    """When the feed was current: a file's time, or the packed one's date."""
    if file is None:
        return PACKED_AT
    return datetime.fromtimestamp(file.stat().st_mtime, UTC)


def load_feed(file: Path | None) -> Feed:
    """The packed feed, or `file` (releases.json, plain or .xz). Raises ConfigError with the remedy."""
    import lzma

    from collectors.releases import parse_feed

    path = file or PACKED
    digest = feed_digest(file)
    try:
        data = path.read_bytes()
        if path.suffix == ".xz":
            data = lzma.LZMADecompressor(memlimit=LIMIT_BYTES * 4).decompress(data, LIMIT_BYTES)
        source = "packed" if file is None else file.name
        return parse_feed(data, taken_at=feed_taken_at(file), source=source, digest=digest)
    except (OSError, lzma.LZMAError, ParseError) as error:
        raise ConfigError(
            str(path), "feeds.file", f"{error}; take https://www.flatcar.org/releases-json/releases.json"
        ) from error
