"""The errors of all floors that a person sees; each message names the thing, the place and the next action.

MoltingError                      anything a command reports in one line and an exit code
├── UsageError                    exit 2   the command or its input is wrong
│   └── ResumeError               exit 2   the end of a log cannot be understood without what stands before it
├── HomeError                     exit 1   the home's files cannot be read or written
├── MemoryStoreError              exit 1   SQLite or the vector index
├── ModelError                    exit 3   no usable model file
├── EngineError                   exit 4   the inference process failed
├── MoltError                     exit 1   a molt is damaged, missing or of another base
└── TrainingError                 exit 1   a retraining cannot start or go on
"""


class MoltingError(Exception):
    """Root of every error that is shown to a person as one line."""

    exit_code = 1


class UsageError(MoltingError):
    """The command or its input is wrong."""

    exit_code = 2


class ResumeError(UsageError):
    """The end of a log cannot be understood without what stands before it: read the whole file."""


class HomeError(MoltingError):
    """A file of the home cannot be read or written."""


class MemoryStoreError(MoltingError):
    """SQLite or the vector index failed."""


class ModelError(MoltingError):
    """No usable model file: missing, truncated, corrupt or of an unknown kind."""

    exit_code = 3


class EngineError(MoltingError):
    """The inference process failed or cannot start."""

    exit_code = 4


class MoltError(MoltingError):
    """A molt is damaged, missing, or was trained for another base."""


class TrainingError(MoltingError):
    """A retraining cannot start or go on."""
