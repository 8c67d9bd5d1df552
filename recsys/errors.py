"""Every error of Barista, in one tree.

BaristaError
├── SettingsError          a setting is missing or makes no sense
├── ImportRefused          a source can't be read as the table it should be
├── MappingError           the TOML mapping of a source is wrong
├── SnapshotError          a snapshot is missing, damaged or of another contract version
├── BundleError            a model bundle is damaged, unsigned or of another format
│   ├── DamagedBundle      a file is missing, changed, too large or no plain file
│   ├── UnsignedBundle     not signed with the key of the settings
│   ├── UnknownFormat      written by another version of Barista
│   ├── WrongModel         another model, or one that reads other features
│   ├── UnequalScores      its golden rows give other scores here, or none that are finite
│   └── UnsupportedModel   a LightGBM model uses something the kernel does not evaluate
├── NotEnoughData          the history can't carry what was asked of it
├── ClockError             an instant lies where nothing can be answered
├── WorkspaceError         a workspace is missing or broken
│   └── WorkspaceLocked    another process is writing to it
├── StoreError             the database refused or lost something
│   └── StoreUnavailable   the database can't be reached now
├── DecisionError          a decision is unknown or can't be computed again
├── ReportError            the figures of a back-test can't be read or shown
├── RegistryError          MLflow refused, lacks or can't be reached for something
└── RequestRefused         a request asks for something that is not valid

Each says what happened, the value found, what was expected and how to cure it.
"""


class BaristaError(Exception):
    """Base of all errors a user can cure.

    `what` happened, `found` value, `expected` value, `cure`: one short phrase each; empty ones are left out.
    """

    def __init__(self, what: str, *, found: object = None, expected: str = "", cure: str = "") -> None:
        self.what, self.found, self.expected, self.cure = what, found, expected, cure
        super().__init__(self.message())

    def message(self) -> str:
        """One line: what, found, expected, cure."""
        parts = [self.what.rstrip(".")]
        if self.found is not None:
            parts.append(f"found {self.found!r}")
        if self.expected:
            parts.append(f"expected {self.expected}")
        text = "; ".join(parts) + "."
        return f"{text} {self.cure.rstrip('.')}." if self.cure else text


class SettingsError(BaristaError):
    """A setting is missing or makes no sense."""


class ImportRefused(BaristaError):
    """A source can't be read as the table it should be; the former workspace is untouched."""


class MappingError(BaristaError):
    """The TOML mapping of a source is wrong."""


class SnapshotError(BaristaError):
    """A snapshot is missing, damaged or of another contract version."""


class BundleError(BaristaError):
    """A model bundle is damaged, unsigned or of another format."""


class DamagedBundle(BundleError):
    """A file of a bundle is missing, changed, too large or no plain file."""


class UnsignedBundle(BundleError):
    """A bundle is not signed with the key of the settings."""


class UnknownFormat(BundleError):
    """A bundle was written by another version of Barista."""


class WrongModel(BundleError):
    """A bundle holds another model, or one that reads other features than this version computes."""


class UnequalScores(BundleError):
    """The golden rows of a bundle give other scores here."""


class UnsupportedModel(BundleError):
    """A LightGBM model uses something the tree kernel does not evaluate (categorical splits, linear leaves)."""


class NotEnoughData(BaristaError):
    """The history can't carry what was asked of it."""


class ClockError(BaristaError):
    """An instant lies where nothing can be answered."""


class WorkspaceError(BaristaError):
    """A workspace is missing or broken."""


class WorkspaceLocked(WorkspaceError):
    """Another process is writing to the workspace."""


class StoreError(BaristaError):
    """The database refused or lost something."""


class StoreUnavailable(StoreError):
    """The database can't be reached now."""


class StoreFull(StoreUnavailable):
    """The database has no space left to write; it may still be read."""


class RegistryError(BaristaError):
    """MLflow refused, lacks or can't be reached for something."""


class DecisionError(BaristaError):
    """A decision is unknown, or what it was computed from is gone."""


class ReportError(BaristaError):
    """The figures of a back-test can't be read or shown."""


class RequestRefused(BaristaError):
    """A request asks for something that is not valid."""
