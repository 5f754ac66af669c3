"""Makes a ``Model.make`` of any class with scikit-learn's conventions, given by its import path."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.contract import plugin_files
from harness.contract.parameters import evaluated, parameters_of, parse_by_look, settled
from harness.contract.selectors import Selector, parts
from harness.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from harness.contract.values import Choice, Classifier, Setting

PATH = re.compile(r"(?P<module>[^\[\]'\"|]+):(?P<name>[^\W\d]\w*(\.[^\W\d]\w*)*)")
"""An import path: a dotted module or a ``.py`` file, a colon, and a class."""

PROBA = "proba"
"""The parameter that says how a classifier without ``predict_proba`` is calibrated."""

PAIRS = "[(a,module:Class),...]"
"""How several named classifiers are written."""

FOLDS = 5
"""Folds of the training part that the calibration uses."""

_INNER = re.compile(r"(?<![\w.:/])((?:[^\W\d]\w*\.)*[^\W\d]\w*):[^\W\d]\w*")

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class estimator:  # noqa: N801  # called like a function, as functools.partial is
    """A value for ``harness.Model.make``: the import path of a class, and changed defaults.

    The class is imported when the first classifier is made or its parameters are read. It can be
    any class that follows scikit-learn's conventions::

        harness.Model(
            "lightgbm",
            harness.estimator("lightgbm:LGBMClassifier", n_estimators=200, verbose=-1),
            requires=("lightgbm",),
        )

    Its parameters are those of the constructor, except ``random_state``, which is the setting's
    seed. A text may stand for a tuple ``(20,20)``, a list ``[a,b]``, or another estimator,
    ``sklearn.tree:DecisionTreeClassifier[max_depth=3]``.

    A further parameter is ``proba``: ``sigmoid`` and ``isotonic`` wrap the classifier in
    scikit-learn's ``CalibratedClassifierCV`` (5 folds of the training part, ``ensemble=False``).
    ``auto`` does so, by ``sigmoid``, only for a class that has ``predict_proba`` with other
    parameters than these, as ``sklearn.svm.SVC`` does.

    Args:
        path: module and class, with a colon between them; or a ``.py`` file and its class.
        defaults: parameters of the constructor with defaults that replace the class's own.
    """

    def __init__(self, path: str, **defaults: Any) -> None:
        self._path = path
        self._defaults = defaults

    def __call__(self, setting: Setting, **parameters: Any) -> Classifier:
        """A new classifier; its ``random_state``, if it has one, is the setting's seed.

        Raises:
            UsageError: the class cannot be imported, needs a parameter that is not given, or has
                no ``predict_proba``.
        """
        cls = imported(self._path)
        chosen = self._defaults | parameters
        calibration = "none"
        if PROBA not in _names(cls):
            calibration = chosen.pop(PROBA, "auto")
        made = _made(cls, setting, chosen)
        if calibration in ("sigmoid", "isotonic"):
            return _calibrated(made, calibration)
        if callable(getattr(made, "predict_proba", None)) or calibration == "none":
            return typing.cast("Classifier", made)
        if hasattr(cls, "predict_proba"):
            # It may have predict_proba once it is fitted, as stacking has.
            can_be_calibrated = hasattr(made, "decision_function")
            return _calibrated(made, "sigmoid") if can_be_calibrated else made
        raise UsageError(_no_probabilities(cls, made))

    @property
    def takes_more(self) -> bool:
        """Whether the constructor passes on parameters that it does not name, by ``**kwargs``."""
        return _takes_more(imported(self._path))

    @property
    def __signature__(self) -> inspect.Signature:
        """``(setting, *, ...)`` with the constructor's parameters except ``random_state``."""
        found = _constructor(imported(self._path))
        parameters = {
            parameter.name: parameter.replace(
                default=None if parameter.default is parameter.empty else parameter.default,
                annotation=_allowed(parameter, owner),
            )
            for parameter, owner in found
        }
        parameters.pop("random_state", None)
        methods = Literal["auto", "sigmoid", "isotonic"]
        parameters.setdefault(PROBA, _keyword(PROBA).replace(default="auto", annotation=methods))
        for name, default in self._defaults.items():
            parameters[name] = parameters.get(name, _keyword(name)).replace(default=default)
        return inspect.Signature(
            [
                inspect.Parameter("setting", inspect.Parameter.POSITIONAL_OR_KEYWORD),
                *(
                    parameter.replace(kind=parameter.KEYWORD_ONLY)
                    for parameter in parameters.values()
                ),
            ]
        )

    def __repr__(self) -> str:
        arguments = [repr(self._path), *(f"{k}={v!r}" for k, v in self._defaults.items())]
        return f"estimator({', '.join(arguments)})"


def _no_probabilities(cls: type[Any], made: Any) -> str:
    """Why a classifier gives no probabilities, and the way out."""
    name = cls.__name__
    if hasattr(made, "decision_function"):
        return (
            f"{name} has no predict_proba; write {name}[{PROBA}=sigmoid] or [{PROBA}=isotonic] to "
            f"calibrate it by {FOLDS}-fold cross-validation within the training part"
        )
    return f"{name} has neither predict_proba nor decision_function; add predict_proba to it"


def imported(path: str) -> type[Any]:
    """The class that an import path names.

    Raises:
        UsageError: there is no such module, file or class, or the module's code raises an error.
    """
    module_name, _, name = path.rpartition(":")
    module = _module(path, module_name)
    value: Any = module
    for part in name.split("."):
        if not hasattr(value, part):
            known = [word for word in dir(value) if isinstance(getattr(value, word, None), type)]
            public = [
                word
                for word in known
                if not word.startswith("_") and hasattr(getattr(value, word), "fit")
            ]
            hint = nearest(part, public) if public else "name the module that has the class"
            raise UsageError(f"'{path}': {module_name} has no '{part}': {hint}")
        value = getattr(value, part)
    if not isinstance(value, type):
        raise UsageError(
            f"'{path}' is a {type(value).__name__}, not a class; name a class with fit and "
            "predict_proba"
        )
    return value


def is_importable(module: str) -> bool:
    """Whether there is a package for a dotted module; nothing is imported to find it."""
    top = module.partition(".")[0]
    try:
        return top in sys.modules or importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def inner_modules(choice: Choice) -> tuple[str, ...]:
    """The modules of classes in a choice's parameters, as in ``estimator=sklearn.svm:SVC``."""
    texts = [value for _, value in choice.parameters if isinstance(value, str)]
    return tuple(dict.fromkeys(name for text in texts for name in _INNER.findall(text)))


def _module(path: str, name: str) -> ModuleType:
    is_file = name.endswith(".py")
    if is_file and not Path(name).is_file():
        raise UsageError(f"'{path}': there is no file '{name}'; check the path")
    if not is_file and not _DOTTED.fullmatch(name):
        raise UsageError(f"'{path}' is no import path; write module:Class or ./file.py:Class")
    target = plugin_files.name_of(Path(name).resolve()) if is_file else name
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name and (target == error.name or target.startswith(f"{error.name}.")):
            raise UsageError(
                f"'{path}': there is no module '{error.name}'{_beside(error.name)}"
            ) from None
        raise UsageError(f"'{path}' does not import: {plugin_files.described(error)}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"'{path}' does not import: {plugin_files.described(error)}") from error


def _beside(module: str) -> str:
    """A hint at the modules beside one that does not exist, to follow its name."""
    package = module.rpartition(".")[0]
    if not package:
        file = Path(f"{module}.py")
        return (
            f"; for the file write ./{file}:Class" if file.is_file() else "; is it installed here?"
        )
    folders = getattr(sys.modules.get(package), "__path__", [])
    names = [
        f"{package}.{info.name}"
        for info in pkgutil.iter_modules(folders)
        if not info.name.startswith("_")
    ]
    return f": {nearest(module, names)}"


def _made(cls: type[Any], setting: Setting, given: dict[str, Any]) -> Any:
    """An object of a class, with the setting's seed and with texts turned into arguments."""
    arguments = {name: _argument(cls, name, value, setting) for name, value in given.items()}
    missing = [
        parameter.name
        for parameter, _ in _constructor(cls)
        if parameter.default is parameter.empty and parameter.name not in arguments
    ]
    if missing:
        first = missing[0]
        value = {
            "estimator": "module:Class",
            "estimators": PAIRS,
            "param_grid": "{name:[a,b]}",
        }.get(first, "...")
        raise UsageError(
            f"{cls.__name__} needs {' and '.join(missing)}; write {cls.__name__}[{first}={value}]"
        )
    if "random_state" in _names(cls):
        arguments.setdefault("random_state", setting.seed)
    if "allow_writing_files" in _names(cls):
        # CatBoost's classes would leave a folder of logs where the user is.
        arguments.setdefault("allow_writing_files", False)
    return cls(**arguments)


def _argument(owner: type[Any], name: str, value: Any, setting: Setting) -> Any:
    """A parameter's value, as the constructor takes it."""
    if not isinstance(value, str):
        return value
    try:
        return _structured(value, setting)
    except UsageError as error:
        raise UsageError(f"{owner.__name__}: {name}: {error}") from None


def _structured(text: str, setting: Setting) -> Any:
    """A text as a tuple, a list, a dictionary, an estimator, or else as it is."""
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        pairs = [parts(item, ":") for item in parts(text[1:-1], ",") if item.strip()]
        if any(len(pair) < 2 for pair in pairs):
            raise UsageError(f"'{text}' is no dictionary; write {{key:value,key:value}}")
        return {
            _item(pair[0].strip(), setting): _item(":".join(pair[1:]).strip(), setting)
            for pair in pairs
        }
    for opening, closing, build in (("(", ")", tuple), ("[", "]", list)):
        if text.startswith(opening) and text.endswith(closing):
            items = [item.strip() for item in parts(text[1:-1], ",")]
            return build(_item(item, setting) for item in items if item)
    if not PATH.fullmatch(text.partition("[")[0].strip()):
        return text
    selector = Selector.parse(text)
    module = selector.head.rpartition(":")[0]
    if not module.endswith(".py") and not _DOTTED.fullmatch(module):
        return text
    cls = imported(selector.head)
    choices = list(selector.choices())
    if len(choices) > 1:
        raise UsageError(f"'{text}' has several values; write an estimator for each, joined by |")
    make = estimator(selector.head)
    known = parameters_of(make)
    chosen = dict(settled(cls.__name__, known, choices[0]))
    if PROBA in chosen:
        return make(setting, **chosen)
    return _made(cls, setting, chosen)


def _item(text: str, setting: Setting) -> Any:
    """An item of a tuple or list."""
    value = parse_by_look(text)
    if not isinstance(value, str):
        return value
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else _structured(value, setting)


def _calibrated(classifier: Any, method: str) -> Classifier:
    try:
        from sklearn.calibration import CalibratedClassifierCV
    except ImportError as error:
        raise UsageError(
            f"{PROBA}={method} needs scikit-learn, which is not installed here"
        ) from error
    # One calibrator of out-of-fold predictions: scikit-learn 1.9 advises it in place of
    # SVC(probability=True), and the classifier itself learns from the whole training part.
    calibrated: Classifier = CalibratedClassifierCV(
        classifier, method=method, cv=FOLDS, ensemble=False
    )
    return calibrated


def _keyword(name: str) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)


def _names(cls: type[Any]) -> set[str]:
    return {parameter.name for parameter, _ in _constructor(cls)}


def _constructor(cls: type[Any]) -> Iterator[tuple[inspect.Parameter, Any]]:
    """The named parameters of a constructor, and of its bases' if it has ``**kwargs``.

    Each comes with the function that it is a parameter of. XGBoost's classifier names one parameter
    and passes fifty more on through ``**kwargs``.
    """
    names = {"self"}
    for owner in cls.__mro__:
        if "__init__" not in vars(owner) or owner is object:
            continue
        function = vars(owner)["__init__"]
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):  # a class that is written in C
            return
        for i, parameter in enumerate(parameters):
            if (
                i
                and parameter.name not in names
                and parameter.kind
                not in (
                    parameter.VAR_POSITIONAL,
                    parameter.VAR_KEYWORD,
                )
            ):
                names.add(parameter.name)
                yield parameter, function
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return


def _takes_more(cls: type[Any]) -> bool:
    owners = [owner for owner in cls.__mro__ if "__init__" in vars(owner) and owner is not object]
    try:
        found = inspect.signature(vars(owners[0])["__init__"]).parameters.values() if owners else ()
    except (TypeError, ValueError):  # a class that is written in C
        return False
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in found)


def _allowed(parameter: inspect.Parameter, function: Any) -> Any:
    """The parameter's annotation, or one derived from its default.

    Some parameters take more types than their default's: ``min_samples_leaf=1`` may be a fraction,
    ``max_leaf_nodes=31`` may be None, ``max_features="sqrt"`` a number.
    """
    if parameter.annotation is not parameter.empty:
        return evaluated(parameter.annotation, function)
    if type(parameter.default) in (int, float):
        return int | float | None
    no_type = isinstance(parameter.default, str) or parameter.default is parameter.empty
    return Any if no_type else parameter.empty
