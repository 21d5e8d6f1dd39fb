"""Take secrets and control characters out of what hosts say.

`redact` replaces each secret by `[redacted XXXXXX]`: six hex digits of a digest keyed by a salt, so that
two secrets can be told apart and none can be guessed offline without the salt. It is total, idempotent
and takes time linear in the text's length: every repeat in its patterns is bounded or possessive.
Digests, machine ids, PARTUUIDs and verity hashes are no secrets and stay.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from functools import partial
from hashlib import blake2b

_MARK = r"\[redacted [0-9a-f]{6}\]"
_IS_MARK = re.compile(_MARK)
_QUOTED = r'"(?:[^"\\\n]|\\[^\n])*+"?|' + r"'[^'\n]*+'?"
_WORD = rf"(?:{_MARK}|\S)++"
_VALUE = rf"(?:{_QUOTED})(?:{_MARK}|\S)*+|{_WORD}"
_BETWEEN = r"""["']?(?:[ \t]*+[:+?]?[=:]=?[ \t]*+)"""
_PLAIN_WORDS = r"""(?!(?:yes|no|true|false|on|off|none|null|nil|[01]|""|'')(?:[\s"',;}\])]|$))"""

_SUSPECTS = tuple(
    "://|/v1/update/|download|config.url|pass|pwd|secret|token|key|credential|session|basic|bearer|authorization"
    "|cookie|eyj|akia|asia|aiza|gho_|ghp_|ghu_|ghs_|ghr_|github_|glpat|xox|k10|hvs".split("|")
)
"""In lower case: without one of these there is no secret of any kind below."""

_PRIVATE_KEY = re.compile(
    r"(?P<secret>-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z))",
    re.DOTALL,
)
# update_engine takes the whole rest of the line as the value, systemd continues it after a backslash.
_DOWNLOAD_LOGIN = re.compile(
    r"""download[_.-]?(?:user(?:[_-]?name)?|pass(?:word|wd|phrase)?|pwd)["']?"""
    r"(?:[ \t]*+[:+?]?[=:,]=?[ \t]*+|[ \t]++)"
    r"(?P<secret>[^\s\\](?:\\\r?\n|[^\r\n]|\r(?!\n))*+|\\(?:\\\r?\n|\r?\n|[^\r\n]|\r(?!\n))++)",
    re.IGNORECASE,
)
_CONFIG_URL = re.compile(
    rf'(?:(?<=")(?P<name>(?:ignition|coreos|flatcar)\.config\.url=)(?P<inner>[^"\n]++)'
    rf"|(?:ignition|coreos|flatcar)\.config\.url[ \t]*+=[ \t]*+(?P<secret>{_VALUE}))",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"""(?:authorization|cookie|x-[a-z-]{0,20}(?:key|token))["']?[ \t]*+[:=][ \t]*+(?P<secret>[^\r\n]++)""",
    re.IGNORECASE,
)
_PASSWORD = re.compile(
    r"(?:pass(?:word|wd|phrase)|pwd|secret|credentials?)[A-Za-z0-9_.-]{0,24}"
    rf"{_BETWEEN}{_PLAIN_WORDS}(?P<secret>{_VALUE})",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"(?<!-)--[a-z0-9-]{0,30}(?:pass(?:word|wd|phrase)?|secret|token|api-?key|credentials?)"
    rf"[a-z0-9-]{{0,16}}(?:[ \t]++|=){_PLAIN_WORDS}(?P<secret>{_VALUE})",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(?:token|session[_-]?(?:id|key)|(?:api|access|private|auth|signing|encryption|client|shared)[_-]?key)"
    rf"""[A-Za-z0-9_.-]{{0,24}}{_BETWEEN}["']?(?P<secret>[A-Za-z0-9+/=_.~:%-]{{8,}}+)""",
    re.IGNORECASE,
)
_KEY = re.compile(
    rf"""key[A-Za-z0-9_-]{{0,8}}{_BETWEEN}["']?(?P<secret>[A-Za-z0-9+/=_-]{{40,}}+)""", re.IGNORECASE
)
_BEARER = re.compile(
    r"""bearer[ \t:="']++(?:token[ \t:="']++)?(?!token\b)"""
    rf"{_PLAIN_WORDS}(?P<secret>[A-Za-z0-9+/=_.~-]++)",
    re.IGNORECASE,
)
_BASIC = re.compile(r"""basic[ \t:="']++(?P<secret>[A-Za-z0-9+/=_-]{4,}+)""", re.IGNORECASE)
_URL = re.compile(rf'://(?P<body>(?:{_MARK}|[^\s"<>])++)')
_UPDATE_PATH = re.compile(
    rf"""/v1/update/(?P<secret>(?:{_MARK}|[^\s"'<>]|'(?=[^\s"'<>]))++)""", re.IGNORECASE
)
_SHAPED = re.compile(
    r"(?P<secret>(?:AKIA|ASIA)[0-9A-Z]{16,}+|gh[opusr]_[A-Za-z0-9]{10,}+|github_pat_[A-Za-z0-9_]{10,}+"
    r"|glpat-[A-Za-z0-9_-]{10,}+|xox[abeprs]-[A-Za-z0-9-]{10,}+|AIza[A-Za-z0-9_-]{30,}+"
    r"|tskey-[A-Za-z0-9-]{10,}+|hvs\.[A-Za-z0-9_-]{10,}+|K10[0-9a-f]{40,}+(?:::\S++)?)"
)
_DOTTED = re.compile(r"[A-Za-z0-9_.-]{20,}+")


def redact(text: str, salt: bytes) -> str:
    """`text` with every secret in it replaced by `[redacted XXXXXX]`.

    Secrets: private key blocks; DOWNLOAD_USER and DOWNLOAD_PASSWORD; Ignition's config URL; passwords
    and tokens by the name before them; Authorization headers, bearer and basic tokens, JWTs; tokens
    of known shape (AWS, GitHub, GitLab, Slack, Google, Tailscale, Vault, k3s); a URL's user-info and
    query; the path after /v1/update/, where some servers carry a token.
    """
    folded = text.lower()
    if not any(word in folded for word in _SUSPECTS) and "-----begin" not in folded:
        return text
    mark = partial(cover, salt=salt)
    in_place = partial(_cover_group, mark=mark)
    for pattern in (_PRIVATE_KEY, _DOWNLOAD_LOGIN):
        text = pattern.sub(in_place, text)
    text = _CONFIG_URL.sub(partial(_cover_config_url, mark=mark), text)
    for pattern in (_HEADER, _PASSWORD, _OPTION):
        text = pattern.sub(in_place, text)
    text = _TOKEN.sub(partial(_cover_if, mark=mark, is_secret=_looks_random), text)
    for pattern in (_KEY, _BEARER):
        text = pattern.sub(in_place, text)
    text = _BASIC.sub(partial(_cover_if, mark=mark, is_secret=_looks_basic), text)
    text = _URL.sub(partial(_cover_url, mark=mark), text)
    for pattern in (_UPDATE_PATH, _SHAPED):
        text = pattern.sub(in_place, text)
    return _DOTTED.sub(partial(_cover_jwt, mark=mark), text)


def cover(secret: str, salt: bytes) -> str:
    """The mark that stands for `secret`; nothing, or a mark itself, stays what it is."""
    if not secret or _IS_MARK.fullmatch(secret):
        return secret
    key = salt if len(salt) <= blake2b.MAX_KEY_SIZE else blake2b(salt).digest()
    digest = blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=3, key=key)
    return f"[redacted {digest.hexdigest()}]"


def visible(text: str, limit: int = 500) -> str:
    r"""`text`, cut after `limit` characters, as one line: what does not print is an escape (`\r`, `\x1b`)."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in cut
    )


def _cover_group(found: re.Match[str], *, mark: Callable[[str], str], group: str = "secret") -> str:
    start, end = found.span(group)
    return found.string[found.start() : start] + mark(found[group]) + found.string[end : found.end()]


def _cover_if(found: re.Match[str], *, mark: Callable[[str], str], is_secret: Callable[[str], bool]) -> str:
    return _cover_group(found, mark=mark) if is_secret(found["secret"]) else found[0]


def _cover_config_url(found: re.Match[str], *, mark: Callable[[str], str]) -> str:
    return _cover_group(found, mark=mark, group="inner" if found["inner"] else "secret")


def _looks_random(word: str) -> bool:
    """A word of prose after `token:` is none; 20 characters or a digit make a token."""
    return len(word) >= 20 or any(char.isdigit() for char in word)


def _looks_basic(word: str) -> bool:
    """Whether the word after `basic` is base64 of `user:password`, or at least no word of prose."""
    try:
        decoded = b64decode(word, validate=True)
    except NotBase64:
        decoded = b""
    return b":" in decoded or any(char.isdigit() or char == "=" for char in word) or not word[1:].islower()


def _cover_url(found: re.Match[str], *, mark: Callable[[str], str]) -> str:
    """A URL's user-info, query and `name=value` fragment, each by a mark of its own."""
    body = found["body"]
    authority = re.split("[/?#]", body, maxsplit=1)[0]
    user = ""
    if "@" in authority:
        user, _, _ = authority.rpartition("@")
    elif "@" in body and _has_odd_port(authority):
        user, _, _ = body.rpartition("@")
    rest = body[len(user) :]
    base, question, query = rest.partition("?")
    place, hash_sign, fragment = base.partition("#")
    if "=" in fragment:
        fragment = mark(fragment)
    return "://" + mark(user) + place + hash_sign + fragment + question + mark(query)


def _has_odd_port(authority: str) -> bool:
    """`user:p` of a password with a slash in it: what follows the colon is no port."""
    _, colon, port = authority.partition(":")
    return bool(colon) and not authority.startswith("[") and not port.isdigit()


def _cover_jwt(found: re.Match[str], *, mark: Callable[[str], str]) -> str:
    """From `eyJ` (the base64 of `{"`) to the word's end, if two parts or more follow from there."""
    word = found[0]
    start = word.find("eyJ")
    parts = word[start:].split(".") if start >= 0 else []
    if len(parts) < 2 or len(parts[0]) < 10 or not parts[1]:
        return word
    return word[:start] + mark(word[start:])
