"""Why a message of the site is not believed."""

from enum import StrEnum


class Refusal(StrEnum):
    """Stable words: in `state`, in metrics and in `ostiary site status`."""

    MALFORMED = "site_malformed"
    OVERSIZED = "site_oversized"
    FORMAT_UNKNOWN = "site_format_unknown"
    MOVED = "site_moved"
    SIGNER_UNKNOWN = "site_signer_unknown"
    SIGNER_REVOKED = "site_signer_revoked"
    ROLE_MISSING = "site_role_missing"
    SIGNATURE_WRONG = "site_signature_wrong"
    KEY_UNKNOWN = "site_key_unknown"
    SEAL_BROKEN = "site_seal_broken"
    CLOCK_AHEAD = "site_clock_ahead"
    CLEARED = "site_cleared"
    OUTDATED = "site_outdated"
    """An older version than is known. It happens without anybody's ill will, too."""


class Refused(Exception):
    """A message is not believed. Told to nobody: it is counted."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.value)
        self.why = why
