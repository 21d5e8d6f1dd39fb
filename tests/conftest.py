"""Which tests may run beside each other: files do, but the booted hosts are one machine room."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fixtures of a module are made once; all tests of the lab share its hosts."""
    for item in items:
        group = "lab" if item.get_closest_marker("lab") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
