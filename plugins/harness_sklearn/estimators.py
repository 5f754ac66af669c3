"""Adapter from classes with scikit-learn's conventions to ``harness.Model.make``."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import harness


class estimator:  # noqa: N801  # called like a function, as functools.partial is
    """A value for ``harness.Model.make``: the name of a class, and changed defaults.

    The class is imported when the first classifier is made or its parameters are read. It can be
    any class that follows scikit-learn's conventions::

        harness.Model(
            "lightgbm",
            estimator("lightgbm:LGBMClassifier", n_estimators=200, verbose=-1),
            requires=("lightgbm",),
        )

    Args:
        path: module and class, with a colon between them.
        defaults: parameters of the constructor with defaults that replace the class's own.
    """

    def __init__(self, path: str, **defaults: Any) -> None:
        self._path = path
        self._defaults = defaults

    def __call__(self, setting: harness.Setting, **parameters: Any) -> harness.Classifier:
        """A new classifier; its ``random_state``, if it has one, is the setting's seed."""
        cls = self._imported()
        if "random_state" in {parameter.name for parameter in _constructor(cls)}:
            parameters["random_state"] = setting.seed
        classifier: harness.Classifier = cls(**(self._defaults | parameters))
        return classifier

    @property
    def __signature__(self) -> inspect.Signature:
        """``(setting, *, ...)`` with the constructor's parameters except ``random_state``."""
        parameters_by_name = {
            parameter.name: parameter for parameter in _constructor(self._imported())
        }
        parameters_by_name.pop("random_state", None)
        for name, default in self._defaults.items():
            blank = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
            parameters_by_name[name] = parameters_by_name.get(name, blank).replace(default=default)
        return inspect.Signature(
            [
                inspect.Parameter("setting", inspect.Parameter.POSITIONAL_OR_KEYWORD),
                *(
                    parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=_allowed(parameter))
                    for parameter in parameters_by_name.values()
                ),
            ]
        )

    def __repr__(self) -> str:
        arguments = [repr(self._path), *(f"{k}={v!r}" for k, v in self._defaults.items())]
        return f"estimator({', '.join(arguments)})"

    def _imported(self) -> Any:
        module, _, name = self._path.partition(":")
        return getattr(import_module(module), name)


def _constructor(cls: type[Any]) -> Iterator[inspect.Parameter]:
    """The named parameters of a constructor, and of its bases' if it has ``**kwargs``.

    XGBoost's classifier names one parameter and passes fifty more on through ``**kwargs``.
    """
    names = {"self"}
    for owner in cls.__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = inspect.signature(vars(owner)["__init__"]).parameters.values()
        for parameter in parameters:
            if parameter.name not in names and parameter.kind not in (
                parameter.VAR_POSITIONAL,
                parameter.VAR_KEYWORD,
            ):
                names.add(parameter.name)
                yield parameter
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return


def _allowed(parameter: inspect.Parameter) -> Any:
    """The parameter's annotation, or one derived from its default.

    Some parameters take more types than their default's: ``min_samples_leaf=1`` may be a fraction,
    ``max_features="sqrt"`` a number.
    """
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    if type(parameter.default) is int:
        return int | float
    return Any if isinstance(parameter.default, str) else parameter.empty
