"""Everything that Vidette raises on purpose.

::

    VidetteError            the message says what, where and what to do next, in one line
    ├── ConfigError         the configuration or command line is wrong: fix it and start again
    ├── SourceError         one video, picture or camera cannot be read (further); has a stable `code`
    ├── ModelError          a model file cannot be used, or a runtime or device for it is missing
    │   └── UnfinishedError loading it was broken off: that says nothing of the model
    ├── DecodeError         the model's outputs for one picture make no sense; has a stable `code`
    └── SinkError           one receiver cannot take results
"""


class VidetteError(Exception):
    """The root; `str()` is one line for a person, without secrets."""


class ConfigError(VidetteError):
    """The configuration is wrong; the process ends with exit code 2."""


class SourceError(VidetteError):
    """A source failed. `code` is a stable reason for counters: `missing`, `not-a-video`, `truncated`, ..."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ModelError(VidetteError):
    """A model cannot be loaded or run as asked."""


class UnfinishedError(ModelError):
    """Loading was broken off for a reason that is not the model's: the process stops, or memory is short."""


class DecodeError(VidetteError):
    """The outputs for one picture are unusable (`nan`, `shape`); only this picture fails."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SinkError(VidetteError):
    """A sink failed: its own records are lost and counted, nobody else's."""
