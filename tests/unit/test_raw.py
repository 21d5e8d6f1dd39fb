"""A host's raw answer for a person: every section, no secret."""

from __future__ import annotations

from collectors.raw import raw_sections

MARK = "0123456789abcdef"
KEY = "\n".join(
    (
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "b3BlbnNzaC1rZXktdjEAAAAA",
        "AAAABG5vbmUAAAAE",
        "-----END OPENSSH PRIVATE KEY-----",
    )
)


def answer(*sections: tuple[str, str, int], ends: bool = True) -> bytes:
    parts = [f"{MARK} V 1 500\n"]
    parts += [f"{MARK} B {name}\n{text}\n{MARK} E {status}\n" for name, text, status in sections]
    return "".join([*parts, f"{MARK} Z {len(sections)}\n" if ends else ""]).encode()


def test_sections_come_in_order_with_what_ended_badly() -> None:
    output = answer(("os", "ID=flatcar", 0), ("status", "Call failed: Access denied", 1))
    assert raw_sections(output, MARK, b"salt") == (
        ("os", "ID=flatcar"),
        ("status  exit 1", "Call failed: Access denied"),
    )


def test_secrets_are_covered_also_those_of_many_lines() -> None:
    conf = "DOWNLOAD_PASSWORD=hunter2\nSERVER=https://user:pw@update.example.net/v1/update/tok3n?x=y"
    told = dict(raw_sections(answer(("conf", conf, 0), ("journal", KEY, 0)), MARK, b"salt"))
    shown = "\n".join(told.values())
    for secret in ("hunter2", "user:pw", "tok3n", "x=y", "b3BlbnNzaC1rZXktdjEAAAAA", "AAAABG5vbmUAAAAE"):
        assert secret not in shown


def test_an_answer_that_broke_off_says_so() -> None:
    heading, text = raw_sections(answer(("os", "ID=flatcar", 0), ends=False), MARK, b"salt")[-1]
    assert heading == "cut off"
    assert "not known" in text
