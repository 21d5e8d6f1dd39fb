"""The state machine of the stand-in update engine; it knows no D-Bus."""

import os
import subprocess
import threading
import time

import payload
from errors import NON_DEFAULT_SERVER, OMAHA_HTTP, UpdateFailed
from flatcar import DONE, drop_resume, note_response, pref, set_pref, setting, start_prefs, touch
from glog import log
from server import post

ZERO = "0.0.0"


class Engine:
    def __init__(self, on_status):
        """`on_status` gets the five values at each change."""
        self.on_status = on_status
        self.status = "UPDATED_NEED_REBOOT" if os.path.exists(DONE) else "IDLE"
        self.checked, self.progress, self.version, self.size = 0, 0.0, ZERO, 0
        self.lock = threading.Lock()
        self.is_marked_good = False
        start_prefs()
        log("I", "main.cc:92", "Flatcar Update Engine starting")

    def tuple(self):
        return (self.checked, self.progress, f"UPDATE_STATUS_{self.status}", self.version, self.size)

    def now(self, status):
        self.status = status
        self.on_status(self.tuple())

    def set_good(self):
        """Once per run of the service; not over an update that waits for its reboot."""
        with self.lock:
            if self.is_marked_good:
                log("I", "update_attempter.cc:499", "Already updated boot flags. Skipping.")
                return
            self.is_marked_good = True
        if not os.path.exists(DONE):
            log("I", "update_attempter.cc:509", "Updating boot flags...")
            subprocess.run(["/usr/sbin/flatcar-setgoodroot"])

    # --- what callers ask for

    def attempt(self):
        log("I", "dbus_service.cc:57", "Attempting interactive update")
        with self.lock:
            if self.status == "UPDATED_NEED_REBOOT":
                log(
                    "I",
                    "update_attempter.cc:131",
                    "Not updating b/c we already updated and we're waiting "
                    "for reboot, we'll ping Omaha instead",
                )
                return
            log("I", "update_attempter.cc:279", "New update check requested")
            if self.status != "IDLE":
                log(
                    "I",
                    "update_attempter.cc:282",
                    f"Skipping update check because current status is UPDATE_STATUS_{self.status}",
                )
                return
            self.now("CHECKING_FOR_UPDATE")
        threading.Thread(target=self.update, daemon=True).start()

    def reset(self):
        """Forget a staged update; the boot flags stay as they are."""
        log(
            "I",
            "update_attempter.cc:460",
            f"Attempting to reset state from UPDATE_STATUS_{self.status} to UPDATE_STATUS_IDLE",
        )
        with self.lock:
            if self.status == "IDLE":
                return True
            if self.status != "UPDATED_NEED_REBOOT":
                log("E", "update_attempter.cc:484", "Reset not allowed in this state.")
                return False
            self.size, self.version = 0, ZERO
            if os.path.exists(DONE):
                os.unlink(DONE)
            self.now("IDLE")
        log("I", "update_attempter.cc:472", "Reset Successful")
        return True

    # --- one update

    def update(self):
        log("I", "omaha_request_params.cc:62", f"Current group set to {setting('GROUP', 'stable')}")
        try:
            self.set_good()
            inner = '<ping active="1"></ping><updatecheck></updatecheck>' + self.last_boot_event()
            text, answer = post(inner)
            self.checked = int(time.time())
            check = answer.find("app/updatecheck")
            if check is None or check.get("status") != "ok":
                log("I", "omaha_request_action.cc:412", "No update.")
                log("I", "omaha_response_handler_action.cc:33", "There are no updates. Aborting.")
                log("I", "update_attempter.cc:342", "No update.")
                return self.now("IDLE")
            self.install(text, check)
        except UpdateFailed as error:
            self.fail(error)

    def last_boot_event(self):
        """What the first check after a reboot reports: the release came up, or did not."""
        before = pref("previous-version")
        set_pref("previous-version", "")
        if before and before == setting("FLATCAR_RELEASE_VERSION"):
            log("E", "update_attempter.cc:588", f"Rollback detected, still running {before} after update.")
            return f'<event eventtype="3" eventresult="0" errorcode="{NON_DEFAULT_SERVER | 44}"></event>'
        return f'<event eventtype="3" eventresult="2" previousversion="{before}"></event>'

    def install(self, text, check):
        manifest = check.find("manifest")
        package = manifest.find("packages/package")
        version, url = manifest.get("version"), check.find("urls/url").get("codebase") + package.get("name")
        log("I", "omaha_request_action.cc:450", f"Omaha Response manifest version = {version}")
        log("I", "omaha_request_action.cc:532", f"Url0: {url}")
        log("I", "omaha_request_action.cc:544", f"Payload size = {package.get('size')} bytes")
        note_response(text, is_new=pref("full-response") != text)
        self.version, self.size = version, int(package.get("size"))
        running, other = payload.slots()
        log(
            "I",
            "install_plan.cc:53",
            f"InstallPlan: , new_update, url: {url}, payload size: {self.size}, "
            f"partition_path: {other}, kernel_path: {payload.kernel_of(other)}",
        )
        self.now("UPDATE_AVAILABLE")
        payload.copy_running(running, other)
        self.event(13, 1)
        payload.download(url, other, self.size, package.get("hash_sha256"), self.on_progress)
        self.event(14, 1)
        self.progress = 0.0
        self.now("FINALIZING")
        payload.finish(other)
        touch("/run/reboot-required")
        self.event(3, 1)
        drop_resume()
        set_pref("previous-version", setting("FLATCAR_RELEASE_VERSION"))
        touch(DONE)
        log("I", "update_attempter.cc:332", "Update successfully applied, waiting to reboot.")
        self.now("UPDATED_NEED_REBOOT")

    def on_progress(self, share):
        self.progress = share
        self.now("DOWNLOADING")

    def fail(self, error):
        log("E", "update_attempter.cc:619", "Update failed.")
        if error.code >= OMAHA_HTTP:
            log("I", "utils.cc:600", f"Converting error code {error.code} to {error.name}")
        log(
            "I",
            "payload_state.cc:97",
            f"Updating payload state for error code: {error.shown_code} ({error.name})",
        )
        if error.code < OMAHA_HTTP:
            drop_resume()
            set_pref("delta-update-failures", str(int(pref("delta-update-failures") or 0) + 1))
            if error.code in (10, 29):
                set_pref("payload-attempt-number", str(int(pref("payload-attempt-number") or 0) + 1))
        self.progress = 0.0
        self.now("REPORTING_ERROR_EVENT")
        self.event(3, 0, NON_DEFAULT_SERVER | error.code)
        self.size, self.version = 0, ZERO
        self.now("IDLE")

    def event(self, kind, result, code=0):
        extra = f' errorcode="{code}"' if code else ""
        try:
            post(f'<event eventtype="{kind}" eventresult="{result}"{extra}></event>')
            if code:
                log("E", "omaha_request_action.cc:629", "HTTP reported success but Omaha reports an error.")
                log("I", "update_attempter.cc:310", "Error event sent.")
        except UpdateFailed as error:
            log("E", "omaha_request_action.cc:700", str(error))
