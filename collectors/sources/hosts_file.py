"""/etc/hosts text -> hosts: the first name of each line that is no loopback, multicast or link-local. Pure.

Source of the format: hosts(5).
"""

from __future__ import annotations

from ipaddress import ip_address

from collectors.sources.found import Finds, Found, FoundHost


def parse_hosts_file(text: str, *, file: str) -> Found:
    """Each line's address under its first name. Raises ConfigError if no host is left."""
    finds, names = Finds(file), set[str]()
    for line in text.split("\n"):
        words = line.partition("#")[0].split()
        if len(words) < 2:
            continue
        address, name = words[0], words[1]
        why = _unfit(address)
        if why is None and name in names:
            why = "stands there with another address, which is taken"
        if why:
            finds.leave_out(f"{name} {address}", why)
            continue
        names.add(name)
        finds.add(FoundHost(name, address=address))
    return finds.done()


def _unfit(address: str) -> str | None:
    """Why an address is no host's, if so."""
    try:
        found = ip_address(address)
    except ValueError:
        return "not an IP address"
    if found.is_loopback or found.is_unspecified:
        return "this machine itself"
    if found.is_multicast or address == "255.255.255.255":
        return "not one machine's address"
    if found.is_link_local:
        return "a link-local address, which means nothing on other networks"
    return None
