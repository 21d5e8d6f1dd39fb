"""What every command starts from: the fleet file, how to print, the clock."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet


@dataclass(frozen=True, slots=True)
class Console:
    """Options of the command line that hold for all commands."""

    fleet_file: Path | None
    color: str
    ascii_only: bool

    @property
    def colour(self) -> bool:
        """Typed wish > NO_COLOR > whether stdout is a terminal that has colours."""
        if self.color != "auto":
            return self.color == "always"
        if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            return False
        return sys.stdout.isatty()

    @property
    def is_plain(self) -> bool:
        """stdout cannot take anything but ASCII for sure."""
        return (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"

    @property
    def ascii(self) -> bool:
        """Typed, or stdout cannot take anything else."""
        return self.ascii_only or self.is_plain

    @property
    def width(self) -> int:
        """Cells of stdout's terminal; 100 where it is none and COLUMNS does not say."""
        asked = os.environ.get("COLUMNS", "")
        if asked.isdigit() and len(asked) < 5:
            return max(80, int(asked))
        try:
            return max(80, os.get_terminal_size(sys.stdout.fileno()).columns)
        except (OSError, ValueError):
            return 100

    def fleet_path(self) -> Path:
        """Raises ConfigError with where it was looked for."""
        from collectors.fleet_file import find_fleet_file

        return find_fleet_file(self.fleet_file, os.environ, Path.cwd())

    def load(self) -> LoadedFleet:
        """The whole fleet file, checked. Raises ConfigError with every mistake in it."""
        from collectors.fleet_file import load_fleet

        return load_fleet(self.fleet_path())


def now() -> datetime:
    return datetime.now(UTC)
