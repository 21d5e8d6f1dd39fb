"""Talk to the update server: one POST in Omaha's form."""

import re
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree
from xml.sax.saxutils import quoteattr

from errors import OMAHA_HTTP, UpdateFailed
from flatcar import pref, read, setting
from glog import log

DEFAULT = "https://public.update.flatcar-linux.net/v1/update/"


def request_text(inner):
    app = {
        "appid": setting("FLATCAR_RELEASE_APPID"),
        "version": setting("FLATCAR_RELEASE_VERSION"),
        "track": setting("GROUP", "stable"),
        "bootid": "{" + read("/proc/sys/kernel/random/boot_id") + "}",
        "oem": "lab",
        "oemversion": "1",
        "alephversion": pref("aleph-version"),
        "machineid": read("/etc/machine-id"),
        "machinealias": setting("MACHINE_ALIAS"),
        "lang": "en-US",
        "board": setting("FLATCAR_RELEASE_BOARD"),
        "delta_okay": "false",
    }
    attributes = " ".join(f"{key}={quoteattr(value)}" for key, value in app.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<request protocol="3.0" version="update_engine-0.4.10" updaterversion="update_engine-0.4.10" '
        'installsource="ondemandupdate" ismachine="1">\n'
        '    <os version="Chateau" platform="CoreOS" sp="lab"></os>\n'
        f"    <app {attributes}>{inner}</app>\n</request>"
    )


def post(inner):
    """The answer as text and as an element. Raises UpdateFailed."""
    url = setting("SERVER", DEFAULT)
    body = request_text(inner)
    log("I", "omaha_request_action.cc:271", f"Posting an Omaha request to {url}")
    log("I", "omaha_request_action.cc:272", f"Request: {body}")
    address = url if re.match("https?://", url) else f"http://{url}"
    try:
        request = urllib.request.Request(address, body.encode(), {"Content-Type": "text/xml"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            text = reply.read().decode("utf-8", "replace")
            status = reply.status
    except urllib.error.HTTPError as error:
        raise no_answer(error.code, len(error.read()))
    except (OSError, ValueError) as error:
        host = address.split("/")[2].split(":")[0]
        if "resolve" in str(error) or "not known" in str(error) or "resolution" in str(error):
            log("E", "libcurl_http_fetcher.cc:208", f"Could not resolve host: {host}")
        raise no_answer(0, 0)
    log("I", "libcurl_http_fetcher.cc:263", f"HTTP response code: {status}")
    log("I", "omaha_request_action.cc:617", f"Omaha request response: {text}")
    try:
        return text, ElementTree.fromstring(text)
    except ElementTree.ParseError:
        raise UpdateFailed(34, "Omaha response is not valid XML")


def no_answer(status, size):
    log(
        "I",
        "libcurl_http_fetcher.cc:297",
        f"Transfer resulted in an error ({status}), {size} bytes downloaded",
    )
    return UpdateFailed(OMAHA_HTTP + status, f"Omaha request network transfer failed ({status}).")
