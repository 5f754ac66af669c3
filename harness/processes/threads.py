"""Sets an estimator's number of threads to the number that its trial may use."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAMES = ("n_jobs", "nthread", "thread_count", "num_threads")
"""Names that libraries use for the parameter with the number of threads."""

RETIRED = ("deprecated", "warn")
"""Default values by which scikit-learn marks a deprecated parameter."""

DEEPEST = 5
"""Deepest nesting of estimators that is searched."""


def give_threads(classifier: object, n: int) -> None:
    """Set the number of threads of an estimator and its inner ones, unless the author chose it.

    The author chose a number if it differs from the class's default. Then the other names are not
    set either, because libraries treat them as aliases of one parameter. An estimator inside
    another one that got ``n`` threads gets one thread, because each of the outer one's workers
    would start that many.

    Without this, LightGBM, for example, uses every core, and takes twenty times as long on a small
    table.

    Args:
        classifier: the model's classifier; errors that it raises here are ignored.
        n: number of threads.
    """
    _give_recursively(classifier, n, 0, set())


def _give_recursively(estimator: object, n: int, depth: int, seen: set[int]) -> None:
    if id(estimator) in seen or depth > DEEPEST:
        return
    seen.add(id(estimator))
    has_threads = False
    with contextlib.suppress(Exception, SystemExit):
        has_threads = _set_threads(estimator, n)
    inner: list[object] = []
    with contextlib.suppress(Exception, SystemExit):
        inner = list(_estimators(estimator))
    for inner_estimator in inner:
        _give_recursively(inner_estimator, 1 if has_threads else n, depth + 1, seen)


def _set_threads(estimator: object, n: int) -> bool:
    """Set the parameters that have their default; returns whether the estimator has any."""
    defaults = _defaults(type(estimator))
    parameters = _parameters(estimator)
    values = {name: _value(estimator, name, parameters, defaults) for name in NAMES}
    if any(name not in defaults or value != defaults[name] for name, value in _set(values)):
        return False
    has_threads = False
    for name, value in _set(values):
        if value in RETIRED:
            continue
        has_threads = True
        if _unthreaded(estimator, value, n):
            continue
        if callable(getattr(estimator, "set_params", None)):
            estimator.set_params(**{name: n})  # type: ignore[attr-defined]  # checked above
        else:
            setattr(estimator, name, n)
    return has_threads


def _set(values: dict[str, object]) -> list[tuple[str, object]]:
    return [(name, value) for name, value in values.items() if value is not inspect.Parameter.empty]


def _value(
    estimator: object, name: str, parameters: dict[str, object], defaults: dict[str, object]
) -> object:
    """The estimator's value of a parameter; ``Parameter.empty`` if it has no such parameter."""
    if name in parameters:
        return parameters[name]
    if name not in defaults and name not in getattr(estimator, "__dict__", {}):
        return inspect.Parameter.empty
    # CatBoost has no such attribute, and its get_params omits parameters that have their default.
    settable = callable(getattr(estimator, "set_params", None))
    return getattr(estimator, name, defaults[name] if settable else inspect.Parameter.empty)


def _unthreaded(estimator: object, value: object, n: int) -> bool:
    """Whether the estimator already uses one thread: in scikit-learn, ``None`` means 1.

    It is then left alone, because some classes no longer use the parameter, and warn if it is set.
    """
    return n == 1 and value is None and type(estimator).__module__.partition(".")[0] == "sklearn"


def _parameters(estimator: object) -> dict[str, object]:
    get = getattr(estimator, "get_params", None)
    if not callable(get):
        return {}
    try:
        return dict(get(deep=False))
    except TypeError:  # in some libraries get_params takes no argument
        return dict(get())


def _defaults(cls: type[object]) -> dict[str, object]:
    """The class's default numbers of threads: class attributes, and defaults of ``__init__``."""
    attributes = {name: inspect.getattr_static(cls, name, inspect) for name in NAMES}
    plain = {name: value for name, value in attributes.items() if value is None or _is_int(value)}
    return plain | {name: value for name, value in _arguments(cls) if name in NAMES}


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _arguments(cls: type[object]) -> Iterator[tuple[str, object]]:
    """Defaults of ``__init__``, and of the base class's if it takes ``**kwargs``."""
    seen: set[str] = set()
    for owner in cls.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        parameters = inspect.signature(vars(owner)["__init__"]).parameters.values()
        for parameter in parameters:
            if parameter.name not in seen and parameter.default is not parameter.empty:
                seen.add(parameter.name)
                yield parameter.name, parameter.default
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return


def _estimators(estimator: object) -> Iterator[object]:
    """The estimators inside: steps of a pipeline, the estimator of a search, an attribute."""
    values = [*_parameters(estimator).values(), *getattr(estimator, "__dict__", {}).values()]
    yield from (value for value in _flat(values, 0) if _is_estimator(value))


def _flat(values: Iterable[object], depth: int) -> Iterator[object]:
    """The values, including those in lists, tuples and dicts: a pipeline has a list of pairs."""
    for value in values:
        if isinstance(value, dict) and depth < 3:
            yield from _flat(value.values(), depth + 1)
        elif isinstance(value, list | tuple) and depth < 3 and len(value) < 1000:
            yield from _flat(value, depth + 1)
        else:
            yield value


def _is_estimator(value: object) -> bool:
    return not isinstance(value, type) and callable(getattr(type(value), "fit", None))
