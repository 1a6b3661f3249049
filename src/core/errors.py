"""The error classes of the whole system. What to do about an error is decided by its class.

* ``ConfigError``: the user can mend it; the command line prints one line and exits with 2.
* ``WireError``: a message from outside breaks its contract; the message names the field.
* ``RetryableError`` / ``DefiniteError`` / ``UnknownOutcomeError`` / ``FatalError``: the four
  answers of a venue call. For a call that creates an order only ``DefiniteError`` means "no".
* ``StoreUnavailableError``: the durable store does not answer; trying again later may help.
"""

from __future__ import annotations


class TradingSystemError(Exception):
    """Base of every error this system raises on purpose."""


class ConfigError(TradingSystemError):
    """Bad input by the user: the text names what is wrong and how to mend it."""


class WireError(TradingSystemError):
    """A field of an outside message is missing or malformed."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        shown = repr(value)
        if len(shown) > 120:
            shown = shown[:117] + "..."
        super().__init__(f"{field}: expected {expected}, got {shown}")
        self.field = field
        self.value = value


class StoreUnavailableError(TradingSystemError):
    """The durable store did not answer in time; a write under way may have happened."""


class IntentTakenError(TradingSystemError):
    """Another instance of this program has stored an order under the id. It must not be sent again."""


class VenueError(TradingSystemError):
    """A call to the exchange did not succeed. ``code`` is the venue's own code where it gave one."""

    def __init__(self, message: str, *, code: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class RetryableError(VenueError):
    """Did not happen, may be tried again later (429, connection refused before sending)."""


class DefiniteError(VenueError):
    """The venue said no; asking again will not help."""


class UnknownOutcomeError(VenueError):
    """No answer, or one that does not say: it may have happened. Only the venue's records tell."""


class FatalError(VenueError):
    """Nothing will work until a person acts (key revoked, wrong environment, endpoint gone)."""
