"""Classes that users select as models: ``sklearn.svm:SVC[C=10]``, ``./mine.py:Mine``.

Each class is a plugin of its own, which is loaded in a process of its own and offers one model. The
class's tags, if it has scikit-learn's ``__sklearn_tags__``, decide how its input is prepared.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.contract.estimators import (
    FOLDS,
    PAIRS,
    PATH,
    PROBA,
    estimator,
    imported,
    is_importable,
)
from harness.contract.hookspecs import hookimpl
from harness.contract.installed import Installed
from harness.contract.selectors import Selector, quoted
from harness.contract.values import NAME as PATTERN
from harness.contract.values import Model, Needs, Setting
from harness.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAME = "name"
"""The parameter that names the model; by default it is named after the class."""


@dataclass(frozen=True, slots=True)
class ClassPath:
    """A class to make a model of.

    Args:
        module: dotted name of its module, or absolute path of its file.
        attribute: the class's name in the module.
        name: name of the model.
        obstacle: why it cannot be imported, as far as that is known without an import; else empty.
    """

    module: str
    attribute: str
    name: str
    obstacle: str = ""

    @property
    def path(self) -> str:
        """The import path, such as ``sklearn.svm:SVC``."""
        return f"{self.module}:{self.attribute}"

    @property
    def file(self) -> str:
        """Its file; empty for a module."""
        return self.module if self.module.endswith(".py") else ""

    @property
    def spec(self) -> str:
        """The same as one text, from which `class_path` makes it again."""
        head = quoted(self.path) if self.file else self.path
        return head if self.name == _name_of(self.attribute) else f"{head}[{NAME}={self.name}]"

    @property
    def tag(self) -> str:
        """The tag that selects its model: the module, or the file's name."""
        if not self.file:
            return self.module
        return re.sub(r"[^A-Za-z0-9._-]", "-", Path(self.file).stem)

    @property
    def may_be_a_tag(self) -> bool:
        """Whether ``module:Class`` can also be read as a tag and the name of a model."""
        return not self.file and "." not in self.module

    def distribution(self) -> tuple[str, str]:
        """Name and version of the distribution that it is installed by; empty texts for none."""
        top = self.module.partition(".")[0]
        installed = Installed()
        names = () if self.file else installed.providers(top)
        return next(((name, installed.version(name)) for name in names), ("", ""))

    def plugin(self) -> ModuleType:
        """A plugin that offers the model: a module with the hook.

        Raises:
            UsageError: the class cannot be imported, or is no classifier of scikit-learn's style.
        """
        if self.obstacle:
            raise UsageError(self.obstacle)
        cls = imported(self.path)
        example = _example(cls)
        _require_classifier(self.path, cls, example)
        _begin_scikit_learn()
        needs = needs_of(example)
        model = Model(
            self.name,
            estimator(self.path),
            needs=needs,
            description=_summary(cls),
            tags=(self.tag,),
            notes=(_told(cls, example, needs),),
        )
        module = ModuleType(self.name)

        def harness_models() -> Any:
            return [model]

        module.harness_models = hookimpl(harness_models)  # type: ignore[attr-defined]  # a hook
        return module


def needs_of(example: Any) -> Needs:
    """The input that a class of scikit-learn's style needs, by the tags of one of its objects.

    Numbers are scaled and categories one-hot encoded: that does not hurt classes that need neither,
    such as trees. Missing values are filled in unless the class allows NaN. Classes that need
    numbers from 0, such as naive Bayes for counts, get them scaled from 0 to 1. Classes that read
    categories off a DataFrame's types (``categorical_features="from_dtype"``) get one.

    Args:
        example: an object of the class; None if it cannot be made without arguments.
    """
    tags = getattr(_tags(example), "input_tags", None)
    finite = not getattr(tags, "allow_nan", False)
    if getattr(example, "categorical_features", None) == "from_dtype":
        return Needs(frame=True, finite=finite)
    positive = bool(getattr(tags, "positive_only", False))
    return Needs(scaled=not positive, positive=positive, finite=finite)


def class_path(text: str, *, strict: bool = True) -> tuple[ClassPath, str] | None:
    """The class that a selector names, and the selector of its model; None if it names none.

    Args:
        text: a selector of models.
        strict: whether a class without a module or file is an error; otherwise it is given with
            that as its obstacle.

    Raises:
        UsageError: the selector breaks the grammar, or nearly names a class.
    """
    selector = Selector.parse(text)
    head = selector.head
    if Path(head).suffix == ".py" and (Path(head).is_file() or "/" in head):
        raise UsageError(f"'{head}' names no class; write '{head}:Class'{_classes_in(head)}")
    if not PATH.fullmatch(head):
        return None
    module, _, attribute = head.rpartition(":")
    obstacle = ""
    if module.startswith("~"):
        module = str(Path(module).expanduser())
    if module.endswith(".py"):
        if not Path(module).is_file():
            obstacle = f"'{head}': there is no file '{module}'; check the path"
        module = str(Path(module).resolve())
    elif not re.fullmatch(r"\w+(\.\w+)*", module) or module[0].isdigit():
        return None
    elif not is_importable(module):
        is_tag = "." not in module and not Path(f"{module}.py").is_file()
        if is_tag and (strict or not re.fullmatch(r"[A-Z]\w*", attribute)):
            return None  # or a misspelt tag
        top = module.partition(".")[0]
        hint = (
            f"for the file write './{top}.py:{attribute}'"
            if Path(f"{top}.py").is_file()
            else f"is '{top}' installed in this environment?"
        )
        lacks = "neither a tag nor a module" if is_tag else "no module"
        obstacle = f"'{head}': there is {lacks} '{top}'; {hint}"
    if obstacle and strict:
        raise UsageError(obstacle)
    names = (selector.parameters or {}).get(NAME, (_name_of(attribute),))
    if len(names) > 1:
        raise UsageError(f"'{text}': {NAME} has several values; write a selector for each")
    if not re.fullmatch(PATTERN, names[0]):
        raise UsageError(f"'{text}': {NAME}={names[0]} is no name; names are words joined by '-'")
    found = ClassPath(module, attribute, names[0], obstacle)
    return found, _without_name(selector, f"{found.tag}:{found.name}")


def why_unmakeable(model: Model, parameters: Mapping[str, Any]) -> str:
    """Why a class cannot be made with these parameters, in its own or scikit-learn's words.

    Empty if it can, and also if it raises any other error: then a trial tells more.

    Args:
        model: made of a class.
        parameters: given to ``make``.
    """
    try:
        made = model.make(Setting(0, "cpu", 2, 2), **parameters)
    except UsageError as error:
        return str(error)
    except Exception:  # noqa: BLE001  # a constructor may raise anything
        return ""
    if fault := _inner_fault(made):
        return fault
    try:
        for each in (made, *made.get_params(deep=True).values()):  # type: ignore[attr-defined]
            # scikit-learn checks the values of parameters at the beginning of a fit.
            getattr(each, "_validate_params", lambda: None)()
    except ValueError as error:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001  # not of scikit-learn's style
        return ""
    return ""


def _inner_fault(made: Any) -> str:
    """What is wrong with the classifiers in a classifier; empty if nothing shows."""
    name = type(made).__name__
    try:
        parameters = made.get_params(deep=False)
    except Exception:  # noqa: BLE001  # not of scikit-learn's style
        return ""
    several = parameters.get("estimators")
    if several is not None and not _are_named(several):
        return f"{name}: estimators are named classes; write {name}[estimators={PAIRS}]"
    one = {key: value for key, value in parameters.items() if key.endswith("estimator")}
    inner = [*one.items(), *(several or ())]
    for key, value in inner:
        if isinstance(value, str) and value not in ("drop", "deprecated", "passthrough"):
            return f"{name}: {key}={value} is no class; write {key}=module:Class"
        if getattr(_tags(value), "estimator_type", None) == "regressor":
            return f"{name}: {key}: {type(value).__name__} is a regressor, not a classifier"
    if parameters.get("voting") == "hard":
        return f"{name} has no predict_proba with voting=hard; write {name}[voting=soft,...]"
    for key, value in several or ():
        if parameters.get("voting") == "soft" and not hasattr(value, "predict_proba"):
            inside = type(value).__name__
            return f"{name}: {key}: {inside} has no predict_proba; write {inside}[{PROBA}=sigmoid]"
    return ""


def _are_named(several: Any) -> bool:
    """Whether these are pairs of a name and a classifier."""
    try:
        return bool(several) and all(
            isinstance(name, str) and (hasattr(value, "fit") or isinstance(value, str))
            for name, value in several
        )
    except (TypeError, ValueError):
        return False


def nearly_a_class(head: str) -> str:
    """How to write a class, for a head that selects no model but resembles one; else empty.

    >>> nearly_a_class("sys.flags.Class")
    "for a class write 'sys.flags:Class'"
    """
    if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", head) and is_importable(head):
        module, _, name = head.rpartition(".")
        if name[0].islower():
            return f"'{head}' is a module; for one of its classes write '{head}:Class'"
        return f"for a class write '{module}:{name}'"
    if re.fullmatch(r"[A-Z]\w+", head):
        return f"a class needs its module, as in 'sklearn.svm:SVC': 'module:{head}'"
    module, colon, name = head.partition(":")
    if colon and re.fullmatch(r"[^\W\d]\w*", module) and re.fullmatch(r"[A-Z]\w*", name):
        return f"there is neither a tag nor a module '{module}'"
    return ""


def classes(selectors: Sequence[str], *, strict: bool = True) -> tuple[list[str], list[str]]:
    """The classes among selectors of models.

    Args:
        selectors: of models, as the user wrote them.
        strict: as in `class_path`.

    Returns:
        A text for each class, which `harness.contract.registry` takes like a plugin; and selectors
        that name models only.

    Raises:
        UsageError: as `class_path`; or two classes give models of the same name.
    """
    by_name: dict[str, ClassPath] = {}
    wanted: list[str] = []
    for text in selectors:
        found = class_path(text, strict=strict)
        if found is None:
            wanted.append(text)
            continue
        path, selector = found
        other = by_name.setdefault(path.name, path)
        if other != path:
            raise UsageError(
                f"'{other.path}' and '{path.path}' would both be model '{path.name}'; write "
                f"'{path.path}[{NAME}=...]'"
            )
        wanted.append(selector)
    return [path.spec for path in by_name.values()], wanted


def _name_of(attribute: str) -> str:
    """A model's name: the class's, without underscores around it."""
    return "-".join(re.findall(r"[A-Za-z0-9]+", attribute.rpartition(".")[2])) or attribute


def _without_name(selector: Selector, head: str) -> str:
    """A selector with another head, and without the parameter that names the model."""
    rest = [
        f"{name}={'|'.join(map(_as_value, values))}"
        for name, values in (selector.parameters or {}).items()
        if name != NAME
    ]
    return f"{head}[{','.join(rest)}]" if rest else head


def _in_quotes(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _as_value(text: str) -> str:
    """A value as it is, such as a selector in brackets, or in quotes if it may not read back."""
    is_even = all(text.count(pair[0]) == text.count(pair[1]) for pair in ("()", "{}", "[]"))
    if not is_even or "'" in text or '"' in text:
        return _in_quotes(text)
    try:
        plain = Selector.parse(f"a[p={text}]").parameters == {"p": (text,)}
    except UsageError:
        plain = False
    return text if plain else _in_quotes(text)


def _classes_in(file: str) -> str:
    """The classes of a file that have a method ``fit``, as the end of a message."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ""
    names = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and any(isinstance(part, ast.FunctionDef) and part.name == "fit" for part in node.body)
    ]
    return f"; its classes with fit: {', '.join(names)}" if names else ""


def _example(cls: type[Any]) -> Any:
    """An object of the class with default arguments; None if it cannot be made."""
    if inspect.isabstract(cls):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return cls()
        except Exception:  # noqa: BLE001  # a constructor may raise anything; trials report it
            return None


def _tags(example: Any) -> Any:
    try:
        return example.__sklearn_tags__()
    except Exception:  # noqa: BLE001  # a class without tags, or whose tags need arguments
        return None


def _require_classifier(path: str, cls: type[Any], example: Any) -> None:
    if inspect.isabstract(cls):
        lacks = ", ".join(sorted(cls.__abstractmethods__))
        raise UsageError(
            f"'{path}' is an abstract class, which lacks {lacks}; name a class that derives from it"
        )
    kind = getattr(_tags(example), "estimator_type", None)
    bases = {base.__name__ for base in cls.__mro__}
    if kind == "regressor" or (kind is None and "RegressorMixin" in bases):
        raise UsageError(f"'{path}' is a regressor, not a classifier{_classifiers_beside(path)}")
    predicts = any(hasattr(cls, name) for name in ("predict_proba", "predict"))
    if not hasattr(cls, "fit") or not predicts or kind not in ("classifier", None):
        raise UsageError(
            f"'{path}' is no classifier of scikit-learn's style, with fit and predict_proba"
            f"{_classifiers_beside(path)}"
        )
    tags = getattr(_tags(example), "input_tags", None)
    if getattr(tags, "categorical", False) and getattr(tags, "positive_only", False):
        raise UsageError(
            f"'{path}' takes codes of categories only, which no table of numbers has; make a "
            "plugin that prepares them"
        )


def _classifiers_beside(path: str) -> str:
    """The classifiers in the module of a class, as the end of a message."""
    module, _, name = path.rpartition(":")
    values = vars(sys.modules[module]) if module in sys.modules else {}
    names = [
        word
        for word, value in values.items()
        if isinstance(value, type)
        and "ClassifierMixin" in {base.__name__ for base in value.__mro__}
    ]
    public = [word for word in names if not word.startswith("_") and word != "ClassifierMixin"]
    return f": {nearest(name, public)}" if public else ""


def _begin_scikit_learn() -> None:
    """Let scikit-learn do the work that it does once per process, if it is loaded.

    At the first fit it searches all installed packages for data frame libraries. Trials are forked
    from this process, so their fit times do not contain that work.
    """
    validation = sys.modules.get("sklearn.utils.validation")
    if validation is not None:
        validation.check_array([[0.0]])


def _summary(cls: type[Any]) -> str:
    """The first sentence of a class's documentation."""
    text = inspect.getdoc(cls) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    return paragraph if len(paragraph) <= 200 else f"{paragraph[:199]}…"


def _told(cls: type[Any], example: Any, needs: Needs) -> str:
    """A sentence on what the class gets, and where its probabilities come from."""
    if needs.frame:
        told = ["DataFrames, with categories as they are"]
    elif needs.positive:
        told = ["numbers from 0 to 1, categories one-hot encoded"]
    else:
        told = ["scaled numbers, categories one-hot encoded"]
    told.append("missing values filled in" if needs.finite else "missing values as they are")
    sentence = f"gets {', '.join(told)}"
    lacks_it = hasattr(cls, "predict_proba") and not hasattr(example, "predict_proba")
    if lacks_it and hasattr(example, "decision_function"):
        sentence += (
            f"; has no predict_proba by default, so it is calibrated ({PROBA}=sigmoid, {FOLDS} "
            "folds of the training part)"
        )
    return sentence
