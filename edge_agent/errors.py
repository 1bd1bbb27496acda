"""Every error raised on purpose, by who can act on it, with its exit status.

A message is one line that says what is wrong and, where it helps, what to do. The command line prints it and
leaves with the error's exit status; the service retries what time can mend.
"""

from collections.abc import Sequence


class EdgeAgentError(Exception):
    """What went wrong, in one line."""

    exit_status = 1


# A person must act: restarting does not help (78 is EX_CONFIG of sysexits.h).


class ConfigurationError(EdgeAgentError):
    """Every problem of the configuration at once, a line each."""

    exit_status = 78

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class ModelError(EdgeAgentError):
    """A model file that is missing, altered or not what the manifest says."""

    exit_status = 78


class StateDirectoryError(EdgeAgentError):
    """The directory that holds the outbox cannot be used."""

    exit_status = 78


class ContractError(EdgeAgentError):
    """A message, or a part of one, that is not what the contract with the central store says."""


# Time can mend it: tried again with growing, jittered pauses.


class CameraError(EdgeAgentError):
    """A camera that cannot be opened or has stopped giving frames."""


class PictureError(EdgeAgentError):
    """A picture that cannot be decoded."""


class TruthError(EdgeAgentError):
    """A table of what a recording shows that cannot be used."""


class OutboxError(EdgeAgentError):
    """The outbox cannot be written or read."""


class OutboxBusy(OutboxError):
    """Another agent owns the outbox."""


class OutboxUnusable(OutboxError):
    """The outbox is not ours, or needs another key: of its kind the one that a person must mend."""

    exit_status = 78


class OutboxOutdated(OutboxError):
    """The outbox is of an earlier version of the program: the service takes it over when it starts."""


class OutboxDamaged(OutboxError):
    """The outbox's file is damaged or gone: what can be read of it is salvaged when it is opened next."""


class ExportError(EdgeAgentError):
    """Reads that cannot be written to a file, or receipts that cannot be read from one."""


class BrokerError(EdgeAgentError):
    """The broker cannot be reached, refuses, or speaks less than MQTT 5."""


class ReportError(EdgeAgentError):
    """The report of a recording cannot be written."""
