"""What changed between two JSON documents, as JSON Pointers (RFC 6901) with old and new value. Pure."""

from __future__ import annotations

from collections.abc import Iterator

Json = object


def differences(old: Json, new: Json, path: str = "") -> Iterator[tuple[str, Json, Json]]:
    """Each leaf that differs: pointer, old, new; objects are entered, lists are values, absent is None."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            step = f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
            yield from differences(old.get(key), new.get(key), step)
    elif old != new:
        yield path, old, new
