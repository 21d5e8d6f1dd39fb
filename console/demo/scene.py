"""What a scenario is: a name, the state it must be shown in, and how to build a host in it.

A scenario's evidence holds for one first look: nothing needs to have been seen before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from console.demo.healthy import Flavour, HostSpec
from console.demo.world import SimulatedHost

Build = Callable[[HostSpec], SimulatedHost]
STANDARD = Flavour()


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    state: str | None
    """`situation.state` that a console must show; None: whatever it makes of it."""
    build: Build
    flavour: Flavour = STANDARD
    hold: str | None = None
    """The fleet file's reason not to reboot the host."""


def scene(
    scenes: dict[str, Scenario], state: str, flavour: Flavour = STANDARD, *, hold: str | None = None
) -> Callable[[Build], Build]:
    """Put a builder into `scenes` under its own name; the scenario's code is the function's name."""

    def put(build: Build) -> Build:
        scenes[build.__name__] = Scenario(build.__name__, state, build, flavour, hold)
        return build

    return put
