"""Settings and state files of a Flatcar host, as its own programs read and write them."""

import os

PREFS = "/var/lib/update_engine/prefs"
DONE = "/run/update_engine_autoupdate_completed"
_CONF = ("/etc/flatcar/update.conf", "/usr/share/flatcar/update.conf", "/usr/share/flatcar/release")
_NO_RESUME = {
    "update-state-next-operation": "-1",
    "update-state-next-data-offset": "-1",
    "manifest-metadata-size": "-1",
    "update-check-response-hash": "",
    "update-state-sha-256-context": "",
    "update-state-signed-sha-256-context": "",
    "update-state-signature-blob": "",
    "resumed-update-failures": "0",
}


def read(path):
    """A file's text without its end of line; empty if there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as handle:
            return handle.read().strip()
    except OSError:
        return ""


def touch(path):
    with open(path, "w"):
        pass


def setting(key, default=""):
    """The first file that names a key wins, in it the last line; read anew each time: no restart is needed."""
    for path in _CONF:
        lines = (line.partition("=") for line in read(path).split("\n"))
        values = [value for name, equals, value in lines if equals and name == key]
        if values:
            return values[-1].strip().strip('"')
    return default


def pref(key):
    return read(f"{PREFS}/{key}")


def set_pref(key, value):
    """One file per key, no newline, nobody but root reads them."""
    path = f"{PREFS}/{key}"
    with open(path + ".part", "w") as handle:
        handle.write(value)
    os.chmod(path + ".part", 0o600)
    os.replace(path + ".part", path)


def start_prefs():
    os.makedirs(PREFS, exist_ok=True)
    os.chmod(PREFS, 0o600)
    if not os.path.exists(f"{PREFS}/aleph-version"):
        set_pref("aleph-version", setting("FLATCAR_RELEASE_VERSION"))


def note_response(text, is_new):
    """State of a download that begins."""
    set_pref("full-response", text)
    if is_new:
        for key in ("payload-attempt-number", "current-url-index", "current-url-failure-count"):
            set_pref(key, "0")
        set_pref("backoff-expiry-time", "0")
    set_pref("update-state-next-operation", "0")
    set_pref("update-state-next-data-offset", "0")


def drop_resume():
    for key, value in _NO_RESUME.items():
        set_pref(key, value)
