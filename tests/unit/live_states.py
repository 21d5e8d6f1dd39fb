"""Live hosts in each of the states in which the updater was recorded."""

from __future__ import annotations

from collections.abc import Callable

from collectors.facts import Operation
from tests.unit.live_lab import CONF, NEWEST, Lab, fresh

Setup = Callable[[], Lab]
CLIENT = "update_engine_client"


def never_checked() -> Lab:
    return Lab()


def started() -> Lab:
    lab = Lab()
    lab.start(CLIENT, "-update")
    return lab


def in_operation(operation: Operation, progress: float = 0.0) -> Setup:
    def build() -> Lab:
        lab = started()
        lab.until_operation(operation, progress)
        return lab

    return build


def staged() -> Lab:
    lab = Lab()
    lab.update()
    return lab


def staged_restarted() -> Lab:
    lab = staged()
    lab.run("systemctl", "restart", "update-engine")
    return lab


def reset() -> Lab:
    lab = staged()
    lab.run(CLIENT, "-reset_status")
    return lab


def reset_after_next() -> Lab:
    """The laboratory's `cgpt next` had taken the staged slot's try."""
    lab = staged()
    lab.run("cgpt", "next")
    lab.run(CLIENT, "-reset_status")
    lab.server.offers.clear()
    return lab


def reset_with_backoff() -> Lab:
    lab = Lab()
    lab.server.disables_backoff = False
    lab.update()
    lab.run(CLIENT, "-reset_status")
    return lab


def reset_restarted() -> Lab:
    lab = reset()
    lab.run("systemctl", "restart", "update-engine")
    return lab


def booted_b() -> Lab:
    lab = staged()
    lab.reboot()
    return lab


def b_good() -> Lab:
    lab = booted_b()
    lab.wait(60)
    return lab


def rolled_back() -> Lab:
    lab = b_good()
    lab.run("cgpt", "prioritize", "/dev/disk/by-partlabel/USR-A")
    lab.reboot()
    return lab


def fell_back() -> Lab:
    lab = staged()
    lab.run("cgpt", "next")
    lab.reboot()
    return lab


def with_server(**values: object) -> Setup:
    def build() -> Lab:
        lab = Lab()
        for key, value in values.items():
            setattr(lab.server, key, value)
        return lab

    return build


def postinst_fails() -> Lab:
    lab = Lab()
    lab.host.faults = type(lab.host.faults)(postinst_fails=True)
    return lab


def server_line(value: str) -> Setup:
    """Changed after a check that was answered."""

    def build() -> Lab:
        lab = Lab()
        lab.server.offers.clear()
        lab.update()
        lab.host.files.write("/etc/flatcar/update.conf", f"GROUP=stable\nSERVER={value}\n".encode())
        return lab

    return build


def no_daemon() -> Lab:
    lab = Lab()
    lab.run("systemctl", "mask", "--now", "update-engine")
    return lab


def overwriting(payload: str = "good") -> Setup:
    """B runs, A is a good way back, and the server offers another release."""

    def build() -> Lab:
        lab = b_good()
        lab.server.offers["stable"] = NEWEST
        lab.server.payload = payload
        return lab

    return build


def overwriting_available() -> Lab:
    lab = overwriting()()
    lab.start(CLIENT, "-update")
    lab.until_operation(Operation.AVAILABLE)
    return lab


def killed_daemon() -> Lab:
    lab = started()
    lab.until_operation(Operation.DOWNLOADING, 0.5)
    lab.run("systemctl", "kill", "update-engine")
    return lab


def killed_and_back() -> Lab:
    lab = killed_daemon()
    lab.until(lambda: lab.host.has_updater)
    return lab


def alive_checked() -> Lab:
    lab = Lab(alive=True)
    lab.server.offers.clear()
    lab.until(lambda: bool(lab.host.log), 4000)
    return lab


def alive_pinged() -> Lab:
    lab = Lab(alive=True)
    lab.update()
    lab.run("systemctl", "restart", "update-engine")
    lab.until(lambda: any("ping Omaha" in line.text for line in lab.host.state.journal), 4000)
    return lab


def serving_locally() -> Lab:
    lab = Lab(fresh(CONF.replace("REBOOT_STRATEGY=off\n", "")))
    lab.host.files.write("/var/tmp/flatcar_production_update.gz", b"payload")
    return lab


def no_network() -> Lab:
    lab = serving_locally()
    lab.server.is_unreachable = True
    return lab


def residue() -> Lab:
    lab = no_network()
    lab.run("flatcar-update", "-V", NEWEST)
    return lab


def ended_badly() -> Lab:
    lab = serving_locally()
    lab.server.payload = "bad-signature"
    lab.run("flatcar-update", "-V", NEWEST, "-P", "/var/tmp/flatcar_production_update.gz")
    return lab


ERRORS: dict[str, Setup] = {
    "badsig": with_server(payload="bad-signature"),
    "close": with_server(is_unreachable=True),
    "corrupt_header": with_server(payload="bad-magic"),
    "hash_mismatch": with_server(payload="bad-hash"),
    "http404": with_server(http_status=404),
    "http503": with_server(http_status=503),
    "noupdate": with_server(offers={}),
    "payload_404": with_server(payload="missing"),
    "postinst_fail": postinst_fails,
    "server_disabled": server_line("disabled"),
    "size_too_big": with_server(payload="wrong-size"),
    "truncated": with_server(payload="wrong-size"),
    "unsigned": with_server(payload="unsigned"),
}


def updated(lab: Lab) -> Lab:
    lab.update()
    return lab


def restarted(lab: Lab) -> Lab:
    lab.run("systemctl", "restart", "update-engine")
    return lab


def without_offer(lab: Lab) -> Lab:
    lab.server.offers.clear()
    return lab


def reporting() -> Lab:
    lab = ERRORS["hash_mismatch"]()
    lab.start(CLIENT, "-update")
    lab.until_operation(Operation.REPORTING_ERROR)
    return lab
