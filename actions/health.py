"""The fleet file's own questions about a host's health: a command on it, URLs asked from here."""

from __future__ import annotations

import shlex

from collectors.errors import ConnectFailed, OutcomeUnknown
from collectors.fleet_model import FleetHost, Health
from collectors.transport import Target, Transport

TIMEOUT_S = 10.0
OUTPUT_BYTES = 64 * 1024


def health_command(text: str) -> str:
    """The command line for the SSH channel: the text by bash, as the login user."""
    argv = ("/usr/bin/env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "/bin/bash", "--norc", "--noprofile")
    return "exec " + shlex.join((*argv, "-c", text, "fleetctl-health/1"))


def health_url(url: str, host: FleetHost) -> str:
    """A URL of the fleet file, for this host."""
    filled = url.replace("{host}", host.name).replace("{address}", host.url_address)
    return filled.replace("{node}", host.node)


async def ask_health(
    transport: Transport, target: Target, host: FleetHost, health: Health
) -> dict[str, bool]:
    """Each question as the fleet file has it -> whether the answer is good."""
    answers: dict[str, bool] = {}
    if health.command is not None:
        try:
            done = await transport.run(
                target,
                health_command(health.command),
                b"",
                timeout_s=TIMEOUT_S,
                limit_bytes=OUTPUT_BYTES,
            )
            answers[health.command] = done.exit_status == 0
        except (ConnectFailed, OutcomeUnknown):
            answers[health.command] = False
    if health.http:
        from collectors.fetch import why_ill  # few fleets ask URLs, and httpx takes its time to load

        for url in health.http:
            answers[url] = await why_ill(health_url(url, host), timeout_s=TIMEOUT_S) is None
    return answers
