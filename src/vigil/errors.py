"""Every error that Vigil raises on purpose.

VigilError
|-- UsageError          the command or a setting is wrong           (exit code 2)
|-- ConfigError         a YAML file cannot be used; holds every problem found (exit code 2)
|-- SourceError         a video, camera or frame cannot be read
|-- DatasetError        a dataset cannot be built from, or trained on, as it is
|-- ManifestError       a model's contract is missing or contradicts the request
|-- EnvironmentMissing  an environment, a program or a file of weights is missing
|-- EndpointError       the server cannot be used at all (gone, wrong key, wrong model)
|   `-- EndpointAway    nothing answers there
|       `-- EndpointBusy  it is there, and fails for now
|-- StoreError          events or their media cannot be kept or read
|   `-- RowRefused      the database does not take this row, now or later
`-- JobError            a training, an export or a server stopped before it was done

A message says what happened, to what, and what to do next. `main` prints it on one
line and exits with `exit_code`; a traceback is for our own mistakes only.
"""

from collections.abc import Sequence


class VigilError(Exception):
    """Something went wrong that the person at the keyboard can act on."""

    exit_code = 1


class UsageError(VigilError):
    """The command line or a parameter asks for something that makes no sense."""

    exit_code = 2


class ConfigError(VigilError):
    """A configuration cannot be used; `problems` lists all that is wrong with it at once."""

    exit_code = 2

    def __init__(self, where: str, problems: Sequence[str]) -> None:
        self.where = where
        self.problems = tuple(problems)
        super().__init__(f"{where}: " + "; ".join(self.problems))


class SourceError(VigilError):
    """A video, a camera or a picture cannot be read."""


class DatasetError(VigilError):
    """A dataset would train or score wrongly as it is."""


class ManifestError(VigilError):
    """A model's manifest is missing, unreadable or contradicts what is asked."""


class EnvironmentMissing(VigilError):
    """An environment, a program or a model folder that the job needs is not there."""


class EndpointError(VigilError):
    """The endpoint cannot be used at all: it is gone, refuses the key, or lacks the model."""


class EndpointUnreachable(EndpointError):
    """Nothing answers at the endpoint, which tells nothing of what it can do: it is asked again later."""


class EndpointBusy(EndpointUnreachable):
    """The endpoint is there and fails for now: an error of its own (5xx), or a connection that broke."""


class StoreError(VigilError):
    """Events or their media cannot be kept or read: the disk is full, the database locked, damaged or too new."""


class RowRefused(StoreError):
    """The database takes other rows, but not this one, however often it is tried."""


class JobError(VigilError):
    """A training, an export or a server stopped before it had done its work."""
