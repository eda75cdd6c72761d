"""What can go wrong, by name. The message says what happened with the value, the hint is the command that cures it.

    RagError                     exit code 1
    |-- UsageError               2   the caller asked for something that cannot be
    |   |-- ConfigError              an unknown key, a value out of range
    |   `-- QuestionError            empty, or longer than the embedder can read
    |-- DocumentError            3   one document cannot be read; the others go on
    |-- IndexError_              4   the index cannot be used
    |   |-- IndexMissing             there is none here yet
    |   |-- IndexBusy                another process is writing
    |   |-- IndexMismatch            made with another embedder, or by a newer version
    |   `-- IndexDamaged             a hash or a check does not hold
    |-- ModelError               5   a model cannot be used
    |   |-- ModelMissing             not installed or fetched
    |   |-- ModelDamaged             its hash is not the catalogue's
    |   |-- TextTooLong              over the embedder's window: nothing is cut silently
    |   |-- PromptTooLong            over the LLM's window
    |   `-- ModelDied                the worker ended or fell silent; the next call starts it anew
    |-- Busy                     6   too many wait already; `retry_s` says when to ask again
    |-- ConversationError        7   a conversation on disk cannot be used
    |   |-- ConversationMissing      there is none of that name
    |   `-- ConversationDamaged      its file cannot be read; it was set aside
    |-- ClusterLost              8   the workers of ingestion cannot be reached, or are no more
    `-- Cancelled                130 stopped by the user

Not finding an answer is no error: it is an `Outcome`.
"""

from __future__ import annotations


class RagError(Exception):
    """Base of every error of this package. `hint` is what to do next, '' if there is nothing to say."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(RagError):
    """The caller asked for something that cannot be."""

    exit_code = 2


class ConfigError(UsageError):
    """An unknown key or a value out of its range."""


class QuestionError(UsageError):
    """An empty question, or one longer than the embedder can read."""


class DocumentError(RagError):
    """One document cannot be read."""

    exit_code = 3


class IndexError_(RagError):
    """The index cannot be used. (The underscore keeps Python's own IndexError reachable.)"""

    exit_code = 4


class IndexMissing(IndexError_):
    """There is no index at that place yet."""


class IndexBusy(IndexError_):
    """Another process holds the index for writing."""


class IndexMismatch(IndexError_):
    """The index was made with another embedder, or by a newer version of this package."""


class IndexDamaged(IndexError_):
    """A hash or a check of the index does not hold."""


class ModelError(RagError):
    """A model cannot be used."""

    exit_code = 5


class ModelMissing(ModelError):
    """The model is not installed and not in the models folder."""


class ModelDamaged(ModelError):
    """The file's hash is not the one in the catalogue."""


class TextTooLong(ModelError):
    """A text is over the embedder's window."""


class PromptTooLong(ModelError):
    """Prompt and answer do not fit the LLM's window."""


class ModelDied(ModelError):
    """The worker process ended or fell silent."""


class Busy(RagError):
    """Too many askers wait for the model already. `retry_s`: seconds after which a place should be free."""

    exit_code = 6

    def __init__(self, message: str, hint: str = "", retry_s: int = 1) -> None:
        super().__init__(message, hint)
        self.retry_s = retry_s


class ConversationError(RagError):
    """A conversation on disk cannot be used."""

    exit_code = 7


class ConversationMissing(ConversationError):
    """There is no conversation, or no turn of it, of that name."""


class ConversationDamaged(ConversationError):
    """The file cannot be read; it was set aside."""


class ClusterLost(RagError):
    """The workers of ingestion cannot be reached. What was stored is kept; the next `add` goes on."""

    exit_code = 8


class Cancelled(RagError):
    """Stopped by the user."""

    exit_code = 130
