"""What can go wrong outside a trial, each with a line of culprit, fault and way out."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HarnessError(Exception):
    """A fault that the user or a plugin's author can mend; its text is the one line they see."""


class UsageError(HarnessError):
    """What was asked for cannot be had: an unknown name, a wrong type, nothing left to run."""


def cannot_write(path: object, error: OSError) -> UsageError:
    """The error that says why a file or folder cannot be written to."""
    return UsageError(f"cannot write to '{path}': {error.strerror or error}")


class UnknownNameError(UsageError, KeyError):
    """A name that nothing has; a mapping's missing key, too."""

    __str__ = Exception.__str__  # a KeyError would quote it


class PluginError(HarnessError):
    """A plugin breaks the contract: it does not import, offers nothing, or clashes with another."""


class StoreError(HarnessError):
    """The database cannot be opened, read or written, or is not one of ours."""


class StoreGoneError(StoreError):
    """The database is not there any more, or is another than the one that was opened."""


class RefusedResultError(StoreError):
    """The database takes this one result for none of its rows; others it may take."""


class DatasetError(HarnessError):
    """A dataset's split breaks the contract: no rows, one class, labels that are missing."""


class ProbabilityError(HarnessError):
    """What a classifier returned are not probabilities."""


def nearest(wrong: str, known: Iterable[str]) -> str:
    """The known names nearest to a wrong one, as the end of a sentence.

    >>> nearest("irsi", ["iris", "wine"])
    "did you mean 'iris'?"
    >>> nearest("zebra", ["iris", "wine"])
    'there are iris, wine'
    """
    known = sorted(known)
    likeness = {
        name: difflib.SequenceMatcher(None, wrong.lower(), name.lower()).ratio() for name in known
    }
    best = max(likeness.values(), default=0.0)
    close = [name for name in known if likeness[name] >= max(0.5, best - 0.1)][:3]
    if close:
        return "did you mean " + " or ".join(repr(name) for name in close) + "?"
    return "there are " + ", ".join(known) if known else "there are none"
