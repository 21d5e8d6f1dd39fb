"""What a test of widgets changes for all of Textual is put back."""

from __future__ import annotations

import pytest
from textual.scrollbar import ScrollBar


@pytest.fixture(autouse=True)
def _same_scroll_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ASCII dashboard has scroll bars of its own."""
    monkeypatch.setattr(ScrollBar, "renderer", ScrollBar.renderer)
