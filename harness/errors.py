"""Kinds of errors outside a trial; each message names the culprit, the fault and a way out."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class HarnessError(Exception):
    """An error that the user or a plugin's author can fix; they see only its one-line message."""


class UsageError(HarnessError):
    """The user's request cannot be met: an unknown name, a wrong type, nothing left to run."""


def cannot_write(path: object, error: OSError, hint: str = "") -> UsageError:
    """The error for a file or folder that cannot be written to, with a hint at a way out."""
    way_out = f"; {hint}" if hint else ""
    return UsageError(f"cannot write to '{path}': {error.strerror or error}{way_out}")


class UnknownNameError(UsageError, KeyError):
    """An unknown name; also a KeyError, because it is a mapping's missing key."""

    __str__ = Exception.__str__  # KeyError's would put the message in quotes


class PluginError(HarnessError):
    """A plugin breaks the contract: it does not import, offers nothing, or clashes with another."""


class StoreError(HarnessError):
    """The database cannot be opened, read or written, or does not belong to the harness."""


class StoreGoneError(StoreError):
    """The database has been deleted or replaced since it was opened."""


class RefusedResultError(StoreError):
    """The database refuses one result, but may accept others."""


class DatasetError(HarnessError):
    """A dataset's split breaks the contract: no rows, only one class, missing labels."""


class ProbabilityError(HarnessError):
    """A classifier's ``predict_proba`` did not return probabilities."""


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


def describe(error: BaseException) -> str:
    """An exception as one line that any terminal can print, even if its ``__str__`` raises."""
    try:
        text = " ".join(str(error).split()).encode(errors="backslashreplace").decode()
    except Exception:  # noqa: BLE001  # a plugin's __str__ can raise anything
        text = "(its text cannot be read)"
    name = type(error).__name__
    # Without the addresses of objects, errors of one cause read the same and are counted as one.
    text = re.sub(r" at 0x[0-9a-f]+(?=>)", "", text)
    return f"{name}: {text}"[:500] if text else name
