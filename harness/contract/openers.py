"""Files and addresses that users select as datasets, and the plugins that open them.

A plugin opens files of a suffix, or addresses of a scheme, through an entry point of the group
`GROUP`, whose name is the suffix (``csv``) or the scheme (``openml``)::

    [project.entry-points."classification_harness.openers"]
    csv = "my_package:open_csv"

The function is called as ``open_csv(file, name=..., **options)`` in a process of the plugin's own,
and yields datasets. Its keyword parameters are the options that users write in brackets.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib.metadata
import inspect
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.contract.hookspecs import hookimpl
from harness.contract.selectors import Selector, quoted
from harness.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GROUP = "classification_harness.openers"

PACKED = (".gz", ".zst", ".xz", ".bz2")
"""Suffixes of compressed files; the suffix before them tells the format."""

NAME = "name"
"""The option that names the dataset; by default it is named after the file."""


FRAME_FOLDER = "harness-table-"
"""How the names of folders begin that hold tables from memory."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A file or an address to open as datasets, as a user asks for it.

    Args:
        head: absolute path of the file, or the address.
        name: name of the dataset.
        options: options of the opener, as the user wrote them.
        opener: the entry point's name: a suffix or a scheme.
    """

    head: str
    name: str
    options: Mapping[str, str]
    opener: str

    @property
    def is_file(self) -> bool:
        """Whether it is a file rather than an address."""
        return self.opener != self.head.partition(":")[0]

    @property
    def spec(self) -> str:
        """The same as one text, from which `opening` makes it again."""
        options = {NAME: self.name, **self.options}
        inside = ",".join(f"{name}={quoted(value)}" for name, value in sorted(options.items()))
        return f"{quoted(self.head) if self.is_file else self.head}[{inside}]"

    @property
    def files(self) -> tuple[str, ...]:
        """Further files, which the options name."""
        return tuple(value for value in self.options.values() if _names_a_file(value))

    @property
    def selector(self) -> str:
        """Selects the datasets that it yields."""
        return self.name if self.is_file else f"{self.name}:*"

    def datasets(self) -> ModuleType:
        """A plugin that offers the datasets: a module with the hook.

        Raises:
            UsageError: an option is unknown, or the opener refuses the file.
        """
        function = openers()[self.opener].load()
        parameters = [name for name in inspect.signature(function).parameters if name != NAME][1:]
        for option in self.options:
            if option not in parameters:
                raise UsageError(
                    f"{self.head}: no option '{option}': {nearest(option, parameters)}"
                )
        offered = list(function(self.head, name=self.name, **self.options))
        module = ModuleType(self.name)

        def harness_datasets() -> Any:
            return offered

        module.harness_datasets = hookimpl(harness_datasets)  # type: ignore[attr-defined]  # a hook
        return module


@cache
def openers() -> dict[str, importlib.metadata.EntryPoint]:
    """The entry points of all installed plugins' openers, by suffix or scheme."""
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUP)}


def opening(text: str, options: Mapping[str, str] | None = None) -> Opening | None:
    """The file or address that a selector names; None if it names neither.

    Args:
        text: the selector.
        options: further options, which those in the selector overrule.

    Raises:
        UsageError: the selector breaks the grammar, or looks like a file that cannot be opened.
    """
    whole = text.strip()
    if _is_file(whole) and _suffix(whole) in openers():
        selector = Selector(text, whole, quoted=True)
    else:
        selector = Selector.parse(text)
    head = selector.head
    scheme, colon, _ = head.partition(":")
    if colon and not selector.quoted and scheme in openers() and not _is_file(head):
        return _opening(selector, head, scheme, options)
    if _is_file(head):
        suffix = _suffix(head)
        if suffix in openers():
            return _opening(selector, str(Path(head).resolve()), suffix, options)
        if suffix == "py" or not (suffix or _looks_like_a_file(selector)):
            return None
        raise UsageError(
            f"'{head}': no installed plugin opens files that end in .{suffix} (they open: "
            f"{', '.join(sorted(openers())) or 'none'})"
        )
    if Path(head).parent.name.startswith(FRAME_FOLDER):
        raise UsageError(
            f"'{Path(head).name}' was a table in the memory of a Python process that has ended; "
            "save it as a file, such as table.parquet, and start a new run with the file"
        )
    if _looks_like_a_file(selector) and not _is_folder(head):
        beside = _names_beside(head)
        hint = nearest(Path(head).name, beside) if beside else "check the path"
        raise UsageError(f"there is no file '{head}': {hint}")
    return None


def opens(text: str) -> bool:
    """Whether a text is a file or an address that a plugin opens, by its suffix or scheme alone."""
    if not openers():
        return False
    try:
        head = Selector.parse(text).head
    except UsageError:
        return False
    return head.partition(":")[0] in openers() or _suffix(head) in openers()


def _is_file(head: str) -> bool:
    try:
        return Path(head).is_file()
    except (OSError, ValueError):  # a name that is too long, or holds a zero byte
        return False


def _is_folder(head: str) -> bool:
    try:
        return Path(head).is_dir()
    except (OSError, ValueError):
        return False


def _names_beside(head: str) -> list[str]:
    """The names of files in the folder of a file; none if it cannot be read."""
    try:
        return [file.name for file in Path(head).parent.iterdir()]
    except (OSError, ValueError):
        return []


def _looks_like_a_file(selector: Selector) -> bool:
    """Whether a text that names no dataset is rather a misspelt file than a misspelt name."""
    head = selector.head
    if any(letter in head for letter in "*?"):
        return False
    return selector.quoted or "/" in head or _suffix(head) in openers()


def _opening(
    selector: Selector, head: str, opener: str, given: Mapping[str, str] | None
) -> Opening:
    options = {**(given or {}), **_one_value_each(selector)}
    # A later command may be given in another folder.
    options = {
        name: str(Path(value).resolve()) if _names_a_file(value) else value
        for name, value in options.items()
    }
    name = options.pop(NAME, "") or _name_of(head)
    return Opening(head, name, options, opener)


def _one_value_each(selector: Selector) -> dict[str, str]:
    """The options in a selector's brackets."""
    options = {}
    for name, alternatives in (selector.parameters or {}).items():
        if len(alternatives) > 1:
            raise UsageError(
                f"'{selector.text}': {name} has several values; write a selector for each, and "
                "tell them apart by name=..."
            )
        options[name] = alternatives[0]
    return options


def _names_a_file(value: str) -> bool:
    """Whether an option's value is a file that a plugin opens, such as one with test rows."""
    return _suffix(value) in openers() and _is_file(value)


def _name_of(head: str) -> str:
    """A dataset's name: the file's name without suffixes, or the address."""
    path = Path(head)
    stem = path.name
    if path.suffix.lower() in PACKED:
        stem = path.with_suffix("").name
    if _is_file(head):
        stem = Path(stem).stem
    # Names are ASCII words: é becomes e.
    letters = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9._]+", "-", letters)
    return re.sub(r"[._-]{2,}", "-", words).strip("._-") or "table"


def _suffix(head: str) -> str:
    path = Path(head)
    if path.suffix.lower() in PACKED:
        path = path.with_suffix("")
    return path.suffix.lower().removeprefix(".")


def opened(
    selectors: Sequence[str],
    options: Mapping[str, str] | None = None,
    declared: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[list[str], list[str]]:
    """What to open for some selectors, and selectors of the datasets that come of it.

    Args:
        selectors: of datasets, as the user wrote them; empty for all.
        options: options for each file, which those in a selector overrule.
        declared: options of datasets that the project's settings declare, by name; ``options``
            overrule them, and so does a selector that names one, as in ``boat[drop=fare]``.

    Returns:
        A text for each file or address, which `harness.contract.registry` takes like a plugin; and
        selectors that name datasets only.

    Raises:
        UsageError: as `opening`; or two files give datasets of the same name; or there are options,
            but no file.
    """
    found: list[Opening] = []
    names: list[str] = []
    wanted: list[str] = []
    for text in selectors:
        file = opening(text, options)
        if file is None and (declaration := _declaration(text, declared or {}, options)):
            file = declaration
        if file is None:
            wanted.append(text)
        else:
            _add(found, file)
        names.append(file.selector if file else text)
    for name, given in (declared or {}).items():
        if not selectors or any(_selects(text, name) for text in wanted):
            _add(found, _declared(name, {**given, **(options or {})}))
    if options and (not found or not selectors):
        for text in wanted:
            _refuse_misspelt(text)
        raise UsageError(f"{next(iter(options))}= is an option of files; name one with -d FILE")
    return list({file.spec: None for file in found}), names


def _declaration(
    text: str, declared: Mapping[str, Mapping[str, str]], options: Mapping[str, str] | None
) -> Opening | None:
    """The declared dataset that a selector names with options of its own; else None."""
    selector = Selector.parse(text)
    if selector.parameters is None or selector.head not in declared:
        return None
    own = _one_value_each(selector)
    name = own.pop(NAME, selector.head)
    return _declared(name, {**declared[selector.head], **(options or {}), **own})


def _declared(name: str, given: Mapping[str, str]) -> Opening:
    file = opening(quoted(given["file"]), {**given, NAME: name})
    if file is None:
        raise UsageError(f"[tool.harness.datasets.{name}]: no plugin opens {given['file']}")
    rest = {option: text for option, text in file.options.items() if option != "file"}
    return replace(file, name=name, options=rest)


def _refuse_misspelt(text: str) -> None:
    """Refuse a selector that is nearly a file's name, such as ``churn.cvs``."""
    head = Selector.parse(text).head
    near = difflib.get_close_matches(Path(head).name, _names_beside(head), 3, 0.7)
    alike = [name for name in near if _suffix(name) in openers()]
    if alike and "." in head and not _is_file(head):
        raise UsageError(f"there is no file '{head}': did you mean '{alike[0]}'?")


def _selects(text: str, name: str) -> bool:
    """Whether a selector selects a declared file, by its name or by the tag that files have."""
    head = Selector.parse(text).head
    return fnmatch.fnmatchcase(name, head) or (
        head.startswith("file:") and fnmatch.fnmatchcase(name, head.removeprefix("file:"))
    )


def _add(found: list[Opening], file: Opening) -> None:
    if file.is_file and not re.fullmatch(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*", file.name):
        raise UsageError(
            f"{file.head}: '{file.name}' cannot be the name of a dataset; write letters and "
            "digits, joined by '-', such as my-table"
        )
    for other in found:
        if other.name == file.name and other.spec != file.spec:
            raise UsageError(
                f"'{other.head}' and '{file.head}' would both be dataset '{file.name}'; "
                f"write '{file.head}[name=...]'"
            )
    found.append(file)
