"""Exit codes of every command: an interface that scripts rely on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    NOT_AS_WANTED = 1
    USAGE = 2
    NO_ANSWER = 3
    REFUSED = 4
    UNKNOWN = 5
    HALTED = 6
    FAILED = 7
    BUG = 70
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """For help and docs: what a script may conclude."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "as asked",
    ExitCode.NOT_AS_WANTED: "answered, and not as wanted (--check, audit verify, diff --check)",
    ExitCode.USAGE: "usage, configuration, or a confirmation that could not be asked",
    ExitCode.NO_ANSWER: "some hosts did not answer",
    ExitCode.REFUSED: "refused by policy or state, nothing sent",
    ExitCode.UNKNOWN: "the outcome of something that was sent is unknown",
    ExitCode.HALTED: "a rollout is halted or waits for a person",
    ExitCode.FAILED: "sent, ended, and the evidence says it failed",
    ExitCode.BUG: "a bug in fleetctl",
    ExitCode.INTERRUPTED: "interrupted, state saved",
}

GRAVEST_FIRST = (
    ExitCode.BUG,
    ExitCode.INTERRUPTED,
    ExitCode.USAGE,  # ends a command before it does anything, so it meets no other in practice
    ExitCode.UNKNOWN,
    ExitCode.HALTED,
    ExitCode.FAILED,
    ExitCode.REFUSED,
    ExitCode.NO_ANSWER,
    ExitCode.NOT_AS_WANTED,
    ExitCode.OK,
)


def worst(codes: Iterable[int]) -> ExitCode:
    """The one code that stands for several outcomes; OK for none. Raises ValueError for a code not ours."""
    found = {ExitCode(code) for code in codes}
    return next((code for code in GRAVEST_FIRST if code in found), ExitCode.OK)
