"""update.conf, as its two readers read it.

update_engine takes `KEY=VALUE` from column 0 and nothing more clever: no comments, no `export`, blanks and
a carriage return belong to the value, one pair of matching quotes round the whole value is stripped, the
last line of a key wins. locksmithd gets the file as a systemd EnvironmentFile, with that format's blanks,
quotes, escapes and comments. A line that its reader takes otherwise than a person would is an odd line.
Sources: flatcar/update_engine:src/update_engine/simple_key_value_store.cc@db448f9 (and measured),
flatcar/locksmith:locksmithctl/daemon.go@085ff77, systemd/systemd:src/basic/env-file.c@0002453.
"""

from __future__ import annotations

import re
from typing import Literal

from collectors.facts import UpdateConf
from collectors.parse.os_release import unquote
from collectors.redact import cover, redact, visible

ServerKind = Literal["default", "public", "disabled", "localhost", "custom", "unset"]

DEFAULT_SERVER = "https://public.update.flatcar-linux.net/v1/update/"
"""What update_engine asks when no file names a server.

Source: flatcar/update_engine:src/update_engine/omaha_request_params.cc@0777f87.
"""

_ENGINE_KEYS = ("SERVER", "GROUP", "MACHINE_ALIAS", "PCR_POLICY_SERVER", "DOWNLOAD_USER", "DOWNLOAD_PASSWORD")
_WINDOW_KEYS = ("REBOOT_WINDOW_START", "REBOOT_WINDOW_LENGTH")
_LOCKSMITH_KEYS = ("REBOOT_STRATEGY", *_WINDOW_KEYS, *(f"LOCKSMITHD_{key}" for key in _WINDOW_KEYS))
_ODD_LINES_LIMIT = 50
_VALUE_LIMIT = 300

_LOOKS_LIKE_SETTING = re.compile(
    r"""[\s\ufeff]*+(?:(?:export|set)\s++)?["']?([A-Za-z_]{3,40})["']?\s*+[=:](.*)""", re.DOTALL
)
# systemd's words: blanks and newlines, a comment, or a key up to `=` or the line's end.
_ENV_SKIP = re.compile(r"[ \t\r\n]*+")
_ENV_COMMENT = re.compile(r"[#;](?:\\.|[^\\\r\n])*+\\?", re.DOTALL)
_ENV_KEY = re.compile(r"([^=\r\n]*+)(=)?[ \t]*+")
_ENV_QUOTED = re.compile(
    r"""(?:'(?P<single>[^']*+)'?|"(?P<double>(?:\\.|[^"\\])*+)\\?"?)[ \t]*+""", re.DOTALL
)
_ENV_BARE = re.compile(r"(?:\\\r?\n|\\.|[^\\\r\n])*+\\?", re.DOTALL)
_ENV_BARE_ESCAPE = re.compile(r"\\(\r?\n|.|$)", re.DOTALL)
_ENV_DOUBLE_ESCAPE = re.compile(r'\\(["\\`$]|\n)')


def parse_update_conf(text: str, *, salt: bytes) -> UpdateConf:
    r"""What update_engine and locksmithd take from one update.conf; never fails, a file may say nothing.

    Values are redacted with `salt`; control characters in them are visible escapes (`\r`).
    """
    engine = _engine_settings(text)
    locksmith = _env_settings(text)

    def shown(settings: dict[str, str], key: str) -> str | None:
        value = settings.get(key)
        return None if value is None else visible(redact(value, salt), _VALUE_LIMIT)

    server = engine.get("SERVER")
    return UpdateConf(
        server=None if server is None else visible(_redact_server(server, salt), _VALUE_LIMIT),
        group=shown(engine, "GROUP"),
        machine_alias=shown(engine, "MACHINE_ALIAS"),
        reboot_strategy=shown(locksmith, "REBOOT_STRATEGY"),
        window_start=shown(locksmith, _window_key(locksmith, "REBOOT_WINDOW_START")),
        window_length=shown(locksmith, _window_key(locksmith, "REBOOT_WINDOW_LENGTH")),
        odd_lines=_odd_lines(text, engine, locksmith, salt),
    )


def effective_group(conf: UpdateConf | None, image_conf: UpdateConf | None) -> str | None:
    """The group that the host asks for: the host's own file, else the image's; "" is set and is sent so."""
    return next((file.group for file in (conf, image_conf) if file and file.group is not None), None)


def effective_server(conf: UpdateConf | None, image_conf: UpdateConf | None) -> str | None:
    """The server that the host asks, redacted; None where no file names one: DEFAULT_SERVER then."""
    return next((file.server for file in (conf, image_conf) if file and file.server is not None), None)


def server_kind(server: str | None) -> ServerKind:
    """What kind of place a SERVER value is; works on redacted values.

    `disabled` is any value that is no URL: the documented way to switch updates off. `default` is the
    public server by exactly the built-in address, `public` the same host asked otherwise.
    """
    if server is None:
        return "unset"
    if server == DEFAULT_SERVER:
        return "default"
    _, scheme_end, rest = server.partition("://")
    if not scheme_end:
        return "disabled"
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    host = host.strip().rstrip(".").lower()
    if not host:
        return "disabled"
    if host in ("localhost", "::1") or re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", host):
        return "localhost"
    return "public" if host == "public.update.flatcar-linux.net" else "custom"


def _window_key(settings: dict[str, str], key: str) -> str:
    """locksmithd prefers the prefixed name and falls back where that is unset or empty."""
    prefixed = f"LOCKSMITHD_{key}"
    return prefixed if settings.get(prefixed) or key not in settings else key


_BEFORE_HOST = re.compile(r"[\"']?(?:[A-Za-z][A-Za-z0-9+.-]*:)?/{0,2}")
_AFTER_UPDATE = re.compile(r"(?i)((?:/|%2f)+v1(?:/|%2f)+update(?:/|%2f)+)([^\r]+)")


def _redact_server(server: str, salt: bytes) -> str:
    """The whole value is one address to update_engine, however odd: what stands before an `@` is who logs in,
    with or without a scheme and with blanks in it; what follows /v1/update/ may be a token."""
    begin = _BEFORE_HOST.match(server)
    head = begin[0] if begin and (":" not in begin[0] or "/" in begin[0]) else ""
    rest = server[len(head) :]
    user, at, place = rest.rpartition("@")
    if at and "/" not in user:
        rest = f"{cover(user, salt)}@{place}"
    elif at:
        first, slash, more = rest.partition("/")
        name, inner, host = first.rpartition("@")
        rest = f"{cover(name, salt)}@{host}{slash}{more}" if inner else rest
    rest = _AFTER_UPDATE.sub(lambda found: found[1] + cover(found[2], salt), rest)
    return redact(head + rest, salt)


def _engine_settings(text: str) -> dict[str, str]:
    found = {}
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if equals and key in _ENGINE_KEYS:
            found[key] = _without_quotes(value)
    return found


def _without_quotes(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'" else value


def _env_settings(text: str) -> dict[str, str]:
    """locksmithd's keys as systemd hands them over; a quote that is not closed runs on to the text's end."""
    found = {}
    at = 0
    while (at := _end(_ENV_SKIP, text, at)) < len(text):
        if comment := _ENV_COMMENT.match(text, at):
            at = comment.end()
            continue
        setting = _ENV_KEY.match(text, at)
        assert setting is not None, "the pattern matches the empty text"
        value, at = _env_value(text, setting.end()) if setting[2] else ("", setting.end())
        key = setting[1].rstrip(" \t")
        if setting[2] and key in _LOCKSMITH_KEYS:
            found[key] = value
    return found


def _env_value(text: str, at: int) -> tuple[str, int]:
    """The value from `at` on, and where it ends: quoted pieces, then bare text to the line's end."""
    pieces = []
    while quoted := _ENV_QUOTED.match(text, at):
        single, double = quoted["single"], quoted["double"]
        pieces.append(single if single is not None else _ENV_DOUBLE_ESCAPE.sub(_unescape, double))
        at = quoted.end()
    bare = _ENV_BARE.match(text, at)
    assert bare is not None, "the pattern matches the empty text"
    pieces.append(_ENV_BARE_ESCAPE.sub(_unescape, bare[0]).rstrip(" \t"))
    return "".join(pieces), bare.end()


def _unescape(found: re.Match[str]) -> str:
    return "" if found[1] in ("\n", "\r\n", "") else found[1]


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def _odd_lines(text: str, engine: dict[str, str], locksmith: dict[str, str], salt: bytes) -> tuple[str, ...]:
    """Lines that look like a known setting, whose reader has another value for that key, or none."""
    odd = []
    for line in text.split("\n"):
        setting = _LOOKS_LIKE_SETTING.fullmatch(line)
        if setting is None:
            continue
        key = setting[1].upper()
        if key in _ENGINE_KEYS:
            read = engine.get(key)
        elif key in _LOCKSMITH_KEYS:
            read = locksmith.get(key)
        else:
            continue
        if read != _meant(setting[2]):
            told = f"{key}={cover(setting[2], salt)}" if key.endswith("SERVER") else redact(line, salt)
            odd.append(visible(told, _VALUE_LIMIT))
        if len(odd) == _ODD_LINES_LIMIT:
            break
    return tuple(odd)


def _meant(raw: str) -> str:
    """What a person means by the text after `=`: without blanks, comment and quotes."""
    raw = raw.strip()
    if raw[:1] in ('"', "'"):
        word = unquote(raw)
        return word if word is not None else raw.strip("\"'")
    return re.split(r"\s+#", raw, maxsplit=1)[0]
