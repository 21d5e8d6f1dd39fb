"""The fixture `lab`: three hosts for the whole session, taken down at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.lab import control
from tests.lab.client import Lab
from tests.lab.fitness import unfit_reason

HOST_COUNT = 3


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Hosts h1 (disk sda), h2 (nvme0n1), h3 (vda), freshly installed with 4459.2.0, REBOOT_STRATEGY=off.

    A lab that is up already is taken down first. Tests that use it bear `pytest.mark.lab` and, because the
    first of them waits for the start, `pytest.mark.timeout(300)`. Where the machine is unfit they are
    skipped, but never in CI.
    """
    if reason := unfit_reason():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    control.down()
    try:
        control.up(HOST_COUNT)
        yield Lab()
    finally:
        control.down()
