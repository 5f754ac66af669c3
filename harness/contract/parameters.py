"""Parameters of datasets and models: read off a signature, written between brackets."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.contract.values import folds_in, written
from harness.errors import HarnessError, PluginError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.contract.values import Dataset, Value


@dataclass(frozen=True, slots=True)
class Parameter:
    """A name, a default and what values may be: an annotation, or a tuple of options."""

    name: str
    default: Value
    annotation: Any = inspect.Parameter.empty

    @property
    def kind(self) -> str:
        """What values may be, in words: ``int``, ``float or none``, ``relu or tanh``."""
        return " or ".join(_in_words(option) for option in self.options)

    @property
    def options(self) -> tuple[Any, ...]:
        """The types, and values of a Literal, that the annotation allows; from the default if bare.

        A bare parameter whose default is None may be anything.
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
        """The value that a text between brackets stands for.

        Raises:
            ValueError: the text is none of what this parameter takes.

        >>> Parameter("hidden", (64,)).parse("32x16")
        (32, 16)
        >>> Parameter("l2", 0.1).parse("1e-3")
        0.001
        """
        # A str takes any text, so what is more particular goes first, wherever it was written.
        for option in sorted(self.options, key=_generality):
            try:
                return _parse_as(option, text)
            except ValueError:
                continue
        raise ValueError(text)

    def accept(self, value: object) -> Value:
        """A value given from Python rather than as text, checked in the same way.

        Raises:
            ValueError: it is none of what this parameter takes.
        """
        if isinstance(value, list):
            value = tuple(value)
        return self.parse(written(typing.cast("Value", value)))


class Elsewhere:
    """A function of a plugin that is not loaded in this process.

    Args:
        name: what it is, for a message.
        ask: asks the process that has it for its parameters, as `described` gives them.
    """

    def __init__(self, name: str, ask: Callable[[], Mapping[str, Any]]) -> None:
        self._name, self._ask = name, ask

    def __call__(self, *_given: Any, **_named: Any) -> Any:
        """It cannot be called here."""
        raise HarnessError(
            f"{self._name} is not loaded in this process; "
            "harness.contract.registry.load gives a registry of what is"
        )

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that it has.

        Raises:
            PluginError: they cannot be told.
        """
        told = self._ask()
        if "fault" in told:
            raise PluginError(told["fault"])
        return {
            name: Parameter(name, _value(default), tuple(map(_option, kinds)))
            for name, default, kinds in told["parameters"]
        }


def described(function: Callable[..., Any], *, given: int = 1) -> dict[str, Any]:
    """A function's parameters as plain JSON values, or why they cannot be told.

    >>> described(lambda setting, hidden=(64,): None)
    {'parameters': [['hidden', ['tuple', [64]], [['tuple', 'int']]]]}
    """
    try:
        known = parameters_of(function, given=given).values()
        return {"parameters": [[one.name, _plain(one.default), _kinds(one)] for one in known]}
    except PluginError as error:
        return {"fault": str(error)}


def given_to(offered: object) -> int:
    """How many arguments the harness itself gives to a function that a plugin offers.

    A dataset of several folds is told which fold, besides the generator.
    """
    return 2 if folds_in(str(getattr(offered, "kind", ""))) else 1


def split_parameters(dataset: Dataset) -> dict[str, Parameter]:
    """The parameters of a dataset, by name; its number of the fold is none of them.

    Raises:
        PluginError: as `parameters_of`.
    """
    return parameters_of(dataset.split, given=given_to(dataset))


def parameters_of(function: Callable[..., Any], *, given: int = 1) -> dict[str, Parameter]:
    """The parameters after those that the harness gives, by name.

    Raises:
        PluginError: the function has no signature, or a parameter without a default.
    """
    if isinstance(function, Elsewhere):
        return dict(function.parameters)
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{function!r} has no signature to read parameters from") from error
    found = {}
    for parameter in list(signature.parameters.values())[given:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty:
            raise PluginError(f"parameter '{parameter.name}' has no default; give it one")
        default = parameter.default
        found[parameter.name] = Parameter(
            parameter.name,
            tuple(default) if isinstance(default, list) else default,
            _evaluated(parameter.annotation, function),
        )
    return found


def settle(
    owner: str, known: Mapping[str, Parameter], given: Mapping[str, object]
) -> tuple[tuple[str, Value], ...]:
    """Given parameters checked, parsed, in order of name, without those that equal the default.

    Raises:
        UsageError: a name is unknown, a value has the wrong type, or holds control characters.
    """
    settled: dict[str, Value] = {}
    for name, value in given.items():
        if name not in known:
            raise UsageError(f"'{owner}' has no parameter '{name}': {nearest(name, known)}")
        parameter = known[name]
        try:
            parsed = parameter.parse(value) if isinstance(value, str) else parameter.accept(value)
        except ValueError:
            raise UsageError(
                f"'{owner}': {name}={written(typing.cast('Value', value))} is not {parameter.kind}"
                f" (default {written(parameter.default)})"
            ) from None
        if not written(parsed).isprintable():
            raise UsageError(
                f"'{owner}': {name}={written(parsed)!a} has a character that cannot be shown, "
                "and parameters are part of a name; leave it out"
            )
        # True equals 1, but is not the same to a model that takes either; 1.0 is.
        same_kind = isinstance(parsed, bool) is isinstance(parameter.default, bool)
        if parsed != parameter.default or not same_kind:
            settled[name] = parsed
    return tuple(sorted(settled.items()))


_PLAIN: Mapping[str, type] = {"bool": bool, "int": int, "float": float, "str": str}


def _plain(value: object) -> Any:
    """A default as JSON, whatever class a stranger has made of it."""
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
    except Exception as error:  # noqa: BLE001  # a stranger's class
        raise PluginError(f"a default that cannot be written: {type(error).__name__}") from None


def _value(plain: Any) -> Any:
    return tuple(map(_value, plain[1])) if isinstance(plain, list) else plain


def _kinds(parameter: Parameter) -> list[Any]:
    """What values may be, as JSON."""
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
    word, *rest = kind
    if word == "class":
        return type(rest[0], (), {})  # its values are read as they look, here as there
    if word == "literal":
        return _value(rest[0])
    items = tuple(map(_option, rest))
    return types.GenericAlias(tuple, (*items, ...) if word == "tuple" else items)


def _evaluated(annotation: Any, function: Callable[..., Any]) -> Any:
    """An annotation, evaluated apart from the others if it is a text; empty where it cannot be.

    Beside it may stand one that only a type checker can evaluate: ``setting: Setting``, imported
    under ``if TYPE_CHECKING``.
    """

    def bearer() -> None: ...

    bearer.__annotations__ = {"it": annotation}
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    try:
        names = getattr(function, "__globals__", None) or vars(sys.modules[function.__module__])
        return typing.get_type_hints(bearer, names)["it"]
    except Exception:  # noqa: BLE001  # a stranger's annotation can raise anything
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
    """Place of an option among others, those that take the least text first."""
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
    """The text as one option of an annotation; ValueError where it is not."""
    if option is type(None) or option is None:
        if text.lower() == "none":
            return None
    elif option is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
    elif option in (int, float, str):
        return typing.cast("Value", option(text))
    elif typing.get_origin(option) is tuple:
        parts = text.split("x") if text != "()" else []
        items = typing.get_args(option)
        if items[1:] == (...,):
            items = items[:1] * len(parts)
        if len(items) == len(parts):
            return typing.cast("Value", tuple(map(_parse_as, items, parts)))
    elif option is Any or isinstance(option, type):
        # What a stranger's class takes here is not known, so the text is read as it looks.
        for looks in (type(None), bool, int, float, str):
            try:
                return _parse_as(looks, text)
            except ValueError:
                continue
    elif text == written(option):
        return typing.cast("Value", option)
    raise ValueError(text)
