"""What can go wrong with an update, by the numbers that update engine gives it.

Source: flatcar/update_engine:src/update_engine/action_processor.h@7382641.
"""

NAMES = {
    1: "Error",
    4: "FilesystemCopierError",
    5: "PostinstallRunnerError",
    9: "DownloadTransferError",
    10: "PayloadHashMismatchError",
    14: "DownloadWriteError",
    29: "DownloadOperationHashMismatch",
    34: "OmahaResponseInvalid",
    37: "OmahaErrorInHTTPResponse",
}
NON_DEFAULT_SERVER = 1 << 28  # a flag in what is reported to the server
OMAHA_HTTP = 2000  # plus the HTTP status; no more than that: no answer


class UpdateFailed(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code

    @property
    def shown_code(self):
        return 37 if self.code >= OMAHA_HTTP else self.code

    @property
    def name(self):
        return "kActionCode" + NAMES[self.shown_code]
