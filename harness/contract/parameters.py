"""Parameters of datasets and models: read from signatures, parsed from text in brackets."""

from __future__ import annotations

import difflib
import functools
import inspect
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.contract.values import Dataset, Metric, folds_in, written
from harness.errors import HarnessError, PluginError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from harness.contract.values import JSONObject, Value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's name, default and allowed values.

    ``annotation`` gives the allowed values: a type annotation, or a tuple of options.
    """

    name: str
    default: Value
    annotation: Any = inspect.Parameter.empty

    @property
    def kind(self) -> str:
        """The allowed values as a phrase: ``int``, ``float or none``, ``relu or tanh``."""
        return " or ".join(_in_words(option) for option in self.options)

    @property
    def options(self) -> tuple[Any, ...]:
        """The types, and values of a Literal, that the annotation allows.

        Without an annotation, the default's type is the only option; if the default is None, any
        value is allowed.
        """
        annotation = self.annotation
        if isinstance(annotation, tuple):
            return annotation
        if annotation in (inspect.Parameter.empty, tuple, list):
            if self.default is None:
                return (Any,)
            if isinstance(self.default, tuple):
                return (_tuple_of(type(self.default[0]) if self.default else int),)
            return (type(self.default),)
        return tuple(_flat(annotation))

    def parse(self, text: str) -> Value:
        """The value of a text between brackets.

        Raises:
            ValueError: the parameter does not allow the value.

        >>> Parameter("hidden", (64,)).parse("32x16")
        (32, 16)
        >>> Parameter("l2", 0.1).parse("1e-3")
        0.001
        """
        # A str takes any text, so the more specific options are tried first, in any order of the
        # annotation.
        for option in sorted(self.options, key=_generality):
            try:
                return _parse_as(option, text)
            except ValueError:
                continue
        raise ValueError(text)

    def accept(self, value: object) -> Value:
        """A value given from Python rather than as text, checked in the same way.

        Raises:
            ValueError: the parameter does not allow the value.
        """
        if isinstance(value, list):
            value = tuple(value)
        return self.parse(written(typing.cast("Value", value)))


class Known(dict[str, Parameter]):
    """A function's parameters by name; ``more`` tells whether it takes others, too."""

    def __init__(
        self, parameters: Mapping[str, Parameter] | None = None, *, more: bool = False
    ) -> None:
        super().__init__(parameters or {})
        self.more = more


class Elsewhere:
    """Stands for a function of a plugin that is loaded in another process.

    Args:
        name: the function's name in error messages.
        ask: asks that process for the function's parameters, as `described` returns them.
    """

    def __init__(self, name: str, ask: Callable[[], JSONObject]) -> None:
        self._name, self._ask = name, ask

    def __call__(self, *_given: Any, **_named: Any) -> Any:
        """Raise an error, because the function is in another process."""
        raise HarnessError(
            f"{self._name} is not loaded in this process; "
            "harness.contract.registry.load returns a registry whose functions can be called"
        )

    @functools.cached_property
    def parameters(self) -> Known:
        """The function's parameters, by name.

        Raises:
            PluginError: the other process cannot read the parameters.
        """
        answer = self._ask()
        if "fault" in answer:
            raise PluginError(answer["fault"])
        parameters = {
            name: Parameter(name, _value(default), tuple(map(_option, kinds)))
            for name, default, kinds in answer["parameters"]
        }
        return Known(parameters, more=bool(answer.get("more")))


def described(
    function: Callable[..., Any], *, given: int = 1, without: Collection[str] = ()
) -> JSONObject:
    """A function's parameters as JSON, or the reason why they cannot be read.

    >>> described(lambda setting, hidden=(64,): None)
    {'parameters': [['hidden', ['tuple', [64]], [['tuple', 'int']]]]}
    """
    try:
        parameters = parameters_of(function, given=given, without=without)
        more: dict[str, Any] = {"more": True} if parameters.more else {}
        return {
            "parameters": [
                [parameter.name, _plain(parameter.default), _kinds(parameter)]
                for parameter in parameters.values()
            ]
        } | more
    except PluginError as error:
        return {"fault": str(error)}


REPETITION = "repetition"
"""The argument of a dataset's ``split`` that gets the number of the repetition."""


def given_to(offered: object) -> int:
    """The number of positional arguments that the harness passes to a function of a plugin.

    A dataset of several folds gets the fold as well as the generator, and then the number of the
    repetition if its function takes it.
    """
    if isinstance(offered, Metric):
        return 2
    if not isinstance(offered, Dataset):
        return 1
    n_given = 2 if folds_in(str(offered.kind)) else 1
    try:
        names = list(inspect.signature(offered.split).parameters)
    except (TypeError, ValueError):
        return n_given  # whoever reads the parameters says so
    return n_given + (names[n_given : n_given + 1] == [REPETITION])


def place_of(dataset: Dataset, repeat: int) -> tuple[int, ...]:
    """What the split of a dataset gets after the generator: the fold, and the repetition."""
    n_folds = folds_in(dataset.kind)
    repetition, fold = divmod(repeat, n_folds or 1)
    place = (fold, repetition) if n_folds else (repetition,)
    return place[: given_to(dataset) - 1]


def split_parameters(dataset: Dataset) -> dict[str, Parameter]:
    """The parameters of a dataset, by name; the number of the fold is not a parameter.

    Raises:
        PluginError: as `parameters_of`.
    """
    return parameters_of(dataset.split, given=given_to(dataset))


def parameters_of(
    function: Callable[..., Any], *, given: int = 1, without: Collection[str] = ()
) -> Known:
    """A function's parameters, by name, without those that the harness passes.

    Args:
        function: a function of a plugin.
        given: number of positional parameters that the harness passes.
        without: names of keyword parameters that it passes.

    Raises:
        PluginError: the function has no signature, or a parameter has no default.
    """
    if isinstance(function, Elsewhere):
        return Known(function.parameters, more=function.parameters.more)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{function!r} has no signature to read parameters from") from error
    parameters = Known(more=bool(getattr(function, "takes_more", False)))
    for parameter in list(signature.parameters.values())[given:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in without:
            continue
        if parameter.default is parameter.empty:
            raise PluginError(f"parameter '{parameter.name}' has no default; give it one")
        default = parameter.default
        parameters[parameter.name] = Parameter(
            parameter.name,
            tuple(default) if isinstance(default, list) else default,
            evaluated(parameter.annotation, function),
        )
    return parameters


def settled(
    owner: str, known: Mapping[str, Parameter], given: Mapping[str, object]
) -> tuple[tuple[str, Value], ...]:
    """Check and parse the given parameters; returns them by name, without those at their default.

    Raises:
        UsageError: a name is unknown, or a value has the wrong type or contains control characters.
    """
    settled: dict[str, Value] = {}
    for name, value in given.items():
        if name not in known and (fault := _unknown(owner, name, known)):
            raise UsageError(fault)
        parameter = known.get(name, Parameter(name, None, Any))
        try:
            parsed = parameter.parse(value) if isinstance(value, str) else parameter.accept(value)
        except ValueError:
            raise UsageError(
                f"'{owner}': {name}={written(typing.cast('Value', value))} is not {parameter.kind}"
                f" (default {written(parameter.default)})"
            ) from None
        if not written(parsed).isprintable():
            raise UsageError(
                f"'{owner}': {name}={written(parsed)!a} has a character that cannot be shown; "
                "leave it out, because parameters are part of a printed name"
            )
        # True equals 1, but a model that takes both may treat them differently. 1.0 is the same.
        same_kind = isinstance(parsed, bool) is isinstance(parameter.default, bool)
        if parsed != parameter.default or not same_kind:
            settled[name] = parsed
    return tuple(sorted(settled.items()))


def _unknown(owner: str, name: str, known: Mapping[str, Parameter]) -> str:
    """Why a name is no parameter; empty if it is passed on."""
    if name == "random_state":
        return f"'{owner}': random_state is the trial's seed; leave it out, and give the run a seed"
    if getattr(known, "more", False) and not difflib.get_close_matches(name, known, cutoff=CLOSE):
        return ""
    return f"'{owner}' has no parameter '{name}': {nearest(name, known)}"


CLOSE = 0.85
"""How much a name resembles a parameter's to be taken for a slip, where others are passed on."""

_PLAIN: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "str": str}


def _plain(value: object) -> Any:
    """A default as plain JSON; subclasses of int or str become int or str."""
    match value:
        case None | bool():
            return value
        case int():
            return int.__add__(value, 0)
        case float():
            return float.__add__(value, 0.0)
        case str():
            return str.__add__(value, "")
        case tuple():
            return ["tuple", [_plain(item) for item in tuple.__iter__(value)]]
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # a plugin's class may raise anything
        raise PluginError(
            f"a default cannot be converted to text: str() raised {type(error).__name__}"
        ) from None


def _value(plain: Any) -> Any:
    return tuple(map(_value, plain[1])) if isinstance(plain, list) else plain


def _kinds(parameter: Parameter) -> list[Any]:
    """The allowed values as JSON."""
    return [_kind(option) for option in parameter.options]


def _kind(option: Any) -> Any:
    if option is None or option is type(None):
        return "none"
    if option is Any:
        return "any"
    if typing.get_origin(option) is tuple:
        items = [item for item in typing.get_args(option) if item is not ...]
        repeated = ... in typing.get_args(option)
        return ["tuple" if repeated else "exactly", *map(_kind, items)]
    if isinstance(option, type):
        return option.__name__ if option in _PLAIN.values() else ["class", option.__name__]
    return ["literal", _plain(option)]


def _option(kind: Any) -> Any:
    if isinstance(kind, str):
        return {"none": None, "any": Any, **_PLAIN}[kind]
    form, *arguments = kind
    if form == "class":
        # Only its name counts: `parse_by_look` guesses the type of a value.
        return type(arguments[0], (), {})
    if form == "literal":
        return _value(arguments[0])
    items = tuple(map(_option, arguments))
    return types.GenericAlias(tuple, (*items, ...) if form == "tuple" else items)


def evaluated(annotation: Any, function: Callable[..., Any]) -> Any:
    """An annotation, evaluated if it is a text; ``Parameter.empty`` if that fails.

    Each annotation is evaluated separately, because only a type checker may be able to evaluate
    another one: ``setting: Setting``, imported under ``if TYPE_CHECKING``.
    """

    def bearer() -> None: ...

    bearer.__annotations__ = {"it": annotation}
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    try:
        names = getattr(function, "__globals__", None) or vars(sys.modules[function.__module__])
        return typing.get_type_hints(bearer, names)["it"]
    except Exception:  # noqa: BLE001  # a plugin's annotation can raise anything
        return inspect.Parameter.empty


def _flat(annotation: Any) -> list[Any]:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        return [flat for option in typing.get_args(annotation) for flat in _flat(option)]
    if origin is typing.Literal:
        return list(typing.get_args(annotation))
    if origin in (list, Sequence):
        return [_tuple_of(*typing.get_args(annotation))]
    return [annotation]


def _tuple_of(item: Any) -> types.GenericAlias:
    return types.GenericAlias(tuple, (item, ...))


def _generality(option: Any) -> int:
    """Sort key of an option: options that accept fewer texts come first."""
    if typing.get_origin(option) is tuple:
        return 3
    if not isinstance(option, type) or option in (bool, type(None)):
        return 0
    return {int: 1, float: 2}.get(option, 5 if option in (str, Any) else 4)


def _in_words(option: Any) -> str:
    if option is None or option is type(None):
        return "none"
    if option is Any:
        return "anything"
    if typing.get_origin(option) is tuple:
        return f"{_in_words(typing.get_args(option)[0])}s joined by x"
    return option.__name__ if isinstance(option, type) else written(option)


def _parse_as(option: Any, text: str) -> Value:
    """Parse the text as one option of an annotation; raises ValueError if it does not fit."""
    if option is type(None) or option is None:
        if text.lower() == "none":
            return None
    elif option is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
    elif option in (int, float, str):
        return typing.cast("Value", option(text))
    elif typing.get_origin(option) is tuple:
        return _parse_tuple(option, text)
    elif option is Any or isinstance(option, type):
        return parse_by_look(text)
    elif text == written(option):
        return typing.cast("Value", option)
    raise ValueError(text)


def _parse_tuple(option: Any, text: str) -> Value:
    """Parse a tuple, ``20x20`` or ``(20,20)``; raises ValueError if it does not fit."""
    if text.startswith("(") and text.endswith(")"):
        parts = [part.strip() for part in text[1:-1].split(",") if part.strip()]
    else:
        parts = text.split("x")
    items = typing.get_args(option)
    if items[1:] == (...,):
        items = items[:1] * len(parts)
    if len(items) != len(parts):
        raise ValueError(text)
    return typing.cast("Value", tuple(map(_parse_as, items, parts)))


def parse_by_look(text: str) -> Value:
    """Parse a text of unknown type: it is unknown which values a plugin's class allows.

    >>> parse_by_look("none"), parse_by_look("0.5"), parse_by_look("(20,20)"), parse_by_look("sqrt")
    (None, 0.5, (20, 20), 'sqrt')
    """
    options: list[Any] = [type(None), bool, int, float]
    if "x" in text or text.startswith("("):
        options += [_tuple_of(int), _tuple_of(float)]
    for option in options:
        try:
            return _parse_as(option, text)
        except ValueError:
            continue
    return text
