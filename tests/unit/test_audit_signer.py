"""A signer that ends before it has read everything is told with its own words."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from collectors.errors import ConfigError
from console.cli.audit import _signed

LARGER_THAN_A_PIPE = b"x" * (1 << 20)


def test_a_signer_that_gives_up_says_why_and_the_export_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = tmp_path / "ssh-keygen"
    signer.write_text("#!/bin/sh\necho 'no such key' >&2\nexit 1\n")
    signer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    out = io.BytesIO()
    with pytest.raises(ConfigError, match="was not used to sign: no such key"):
        _signed(iter([LARGER_THAN_A_PIPE, b"last\n"]), tmp_path / "key", out)
    assert out.getvalue() == LARGER_THAN_A_PIPE + b"last\n"
