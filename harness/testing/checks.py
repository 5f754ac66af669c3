"""The value `Check`, and what the checks of models, datasets, kernels and reports share."""

from __future__ import annotations

import functools
import re
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.contract.parameters import parameters_of
from harness.errors import HarnessError, describe
from harness.processes import state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.contract.values import Dataset, Kernel, Model, Report


@dataclass(frozen=True, slots=True)
class Check:
    """One promise that the harness relies on, and the function that checks it.

    Args:
        name: kebab-case; ``str`` gives it, too, so that pytest's ``ids=str`` shows it.
        about: the promise, as the rest of a sentence that begins with the name of the subject.
        run: takes the subject (and, for a model, the name of a device). Raises AssertionError with
            a reason of one line, or whatever the subject raised; may return a remark.
    """

    name: str
    about: str
    run: Callable[..., str | None]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, function: Callable[..., str | None]) -> Check:
        """A check named after its function; ``about`` is the first line of the docstring."""
        about = (function.__doc__ or "").partition("\n")[0].rstrip(".")
        name = function.__name__.replace("_", "-")
        return cls(name, about[:1].lower() + about[1:], _tidy(function))


def _tidy(function: Callable[..., str | None]) -> Callable[..., str | None]:
    """Make a check restore the state of the process, so that it cannot affect the next check."""

    @functools.wraps(function)
    def run(subject: Any, *where: str, **keywords: str) -> str | None:
        before = state.read()
        try:
            # On sixty rows a solver may well warn that it did not converge.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return function(subject, *where, **keywords)
        finally:
            state.restore(before)

    return run


def require(kept: object, reason: str) -> None:
    """Raise AssertionError unless a promise was kept; ``python -O`` would remove ``assert``."""
    if not kept:
        raise AssertionError(reason)


def reason_of(error: BaseException) -> str:
    """Why a check failed, in one line: our own message, or a stranger's exception described."""
    ours = isinstance(error, AssertionError | HarnessError)
    message = " ".join(str(error).split()) if ours else ""
    return message or describe(error)


def run_all(noun: str, subject: Any, checks: Sequence[Check], *where: str) -> None:
    """Run all checks, and raise one AssertionError that lists all failures, one per line."""
    failed = []
    for check in checks:
        try:
            check.run(subject, *where)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # strangers' code may raise it
            failed.append(f"  {check}: {reason_of(error)}")
    summary = f"{noun} '{subject.name}' fails {len(failed)} of {len(checks)} checks:"
    require(not failed, "\n".join([summary, *failed]))


@contextmanager
def other_luck(salt: int) -> Iterator[None]:
    """Seed the global random generators differently, and restore their states afterwards."""
    import random

    import numpy as np

    torch = sys.modules.get("torch")
    before = random.getstate(), np.random.get_state(), torch and torch.get_rng_state()  # noqa: NPY002  # this is about the legacy generator
    random.seed(salt)
    np.random.seed(salt)  # noqa: NPY002
    if torch:
        torch.manual_seed(salt)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        if torch:
            torch.set_rng_state(before[2])


def kebab_case_name(subject: Model | Dataset | Kernel | Report, _device: str = "cpu") -> None:
    """Has a name in kebab-case."""
    kept = isinstance(subject.name, str) and re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", subject.name)
    require(kept, f"{subject.name!r} is not kebab-case: small letters and digits, joined by '-'")


def require_defaults(function: Callable[..., Any], given: int = 1) -> None:
    """Raise unless each parameter has a default that can be written in brackets.

    The first ``given`` parameters need none, because the harness passes them.
    """
    for parameter in parameters_of(function, given=given).values():
        default = parameter.default
        values = default if isinstance(default, tuple) else (default,)
        plain = all(
            value is None or isinstance(value, bool | int | float | str) for value in values
        )
        require(
            plain,
            f"the default of '{parameter.name}' is a {type(default).__name__}; "
            "make it a number, text, bool, None or a tuple of numbers",
        )
