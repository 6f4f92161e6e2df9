"""The errors the engine raises on purpose.

Every message says what was expected, what came, and what to do about it, so that a caller can show it to a
person as it is.
"""


class EngineError(Exception):
    """Something the caller gave, or asked for, cannot be used. The base of all errors raised on purpose."""


class InvalidInputError(EngineError):
    """A value, an image or a setting is out of its range or of the wrong form."""


class DamagedFileError(InvalidInputError):
    """A file written by this program no longer holds what was written; its content can be computed again."""


class UnsupportedOperationError(EngineError):
    """A model contains an operation for which no path rule is defined, or cannot be traced."""


class CheckpointError(EngineError):
    """A checkpoint cannot be read, or does not fit the model."""


class DatasetError(EngineError):
    """A data set is absent, empty or damaged."""


class UnknownNameError(EngineError):
    """A registry holds no entry of that name."""


class Cancelled(EngineError):
    """Raised by a progress callback to stop long work. It is not a failure."""
