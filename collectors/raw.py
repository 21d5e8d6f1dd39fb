"""What a host answered, section by section, as text for a person: redacted and bounded, not parsed. Pure."""

from __future__ import annotations

from collectors.probe import SECTION_LIMIT, read_frame
from collectors.redact import redact

Sections = tuple[tuple[str, str], ...]
"""Heading and text; the text may hold anything a host says, control characters too."""


def raw_sections(output: bytes, mark: str, salt: bytes) -> Sections:
    """Every section of a probe's output in the order in which it came.

    The heading names the exit status of what made it, where that is not 0. NUL, which ends the parts of some,
    is a line's end.
    """
    frame = read_frame(output, mark)
    sections = []
    for name, section in frame.sections.items():
        text = section.content[:SECTION_LIMIT].decode("utf-8", "replace").replace("\0", "\n")
        heading = f"{name}  exit {section.exit_status}" if section.exit_status else name
        sections.append((heading, redact(text, salt)))  # as a whole: a private key has many lines
    if not frame.complete:
        sections.append(("cut off", "the answer broke off here: what is missing is not known"))
    return tuple(sections)
