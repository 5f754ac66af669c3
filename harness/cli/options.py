"""Options that several commands share."""

from __future__ import annotations

import contextlib
import math
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from harness import units
from harness.errors import HarnessError, UsageError, cannot_write
from harness.settings import choose_store, read_settings
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.analysis.changes import ChangeRow
    from harness.contract.registry import Registry
    from harness.contract.values import Frames
    from harness.store.database import Store
    from harness.trials.discovery import Described

F = TypeVar("F", bound="Callable[..., Any]")

GivenOptions: TypeAlias = dict[str, Any]
"""The values of a command's parameters by name, as click passes them to the command."""


class Command(click.Command):
    """A command that refuses a single-valued option given twice, where click takes the last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, after refusing options that are given twice."""
        _, _, order = self.make_parser(ctx).parse_args(list(args))
        seen: set[str | None] = set()
        for option in order:
            if not isinstance(option, click.Option) or option.multiple or option.is_flag:
                continue
            if option.name in seen:
                raise UsageError(f"{option.opts[-1]} is given twice; leave one out")
            seen.add(option.name)
        return super().parse_args(ctx, args)


class CommandGroup(Command, click.Group):
    """A group of such commands, which refuse repeated single-valued options as well."""

    command_class = Command
    group_class = type


class Quantity(click.ParamType[Any]):
    """A time or a size with its unit."""

    def __init__(self, name: str, parse: Callable[[str], float]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number of seconds or bytes."""
        try:
            return self._parse(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


class Finite(click.FloatRange):
    """A finite number within bounds; click itself would accept NaN."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """The number."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number", param, ctx)
        return number


class WordList(click.ParamType[Any]):
    """A comma-separated list of known words."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        self.name = name
        self._known = known

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """The words without duplicates."""
        words = tuple(dict.fromkeys(word.strip() for word in str(value).split(",")))
        for word in words:
            if word not in self._known:
                self.fail(f"'{word}' is none of {', '.join(self._known)}", param, ctx)
        return words


class Whole(click.ParamType[Any]):
    """A comma-separated list of whole numbers from 1."""

    name = "numbers"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """The numbers without duplicates."""
        words = [word.strip() for word in str(value).split(",")]
        for word in words:
            if not word.isdecimal() or len(word) > DIGITS or int(word) < 1:
                self.fail(
                    f"'{word}' is no whole number from 1; write numbers such as 50,100,200",
                    param,
                    ctx,
                )
        return tuple(dict.fromkeys(map(int, words)))


class Repeats(click.ParamType[Any]):
    """A whole number from 1, or ``auto``."""

    name = "repeats"

    def convert(self, value: Any, param: Any, ctx: Any) -> int | str:
        """The number, or the word ``auto``."""
        word = str(value).strip()
        if word == "auto":
            return word
        if not word.isdecimal() or len(word) > DIGITS or int(word) < 1:
            self.fail(f"'{word}' is neither a whole number from 1 nor auto", param, ctx)
        return int(word)


DIGITS = 12
"""Longest whole number that is accepted, in digits."""

TIME = Quantity("time", units.seconds)
PART = Quantity("part", units.part)
SIZE = Quantity("size", units.size)
WHOLE = Whole()
REPEATS = Repeats()


def plugin_option(function: F) -> F:
    """Add the option ``--plugin``, which may be repeated."""
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="FILE",
        help="A .py file or a module that offers datasets, models, metrics and so on; repeatable.",
    )(function)


def file_options(function: F) -> F:
    """Add the options for datasets that are files."""
    for name, metavar, about in reversed(FILE_OPTIONS):
        function = click.option(f"--{name}", metavar=metavar, help=about)(function)
    return function


FILE_OPTIONS = (
    ("target", "COLUMN", "For a file as dataset (-d table.csv): the column of classes."),
    ("drop", "COLUMN+...", "For a file: columns to leave out, joined by +."),
    (
        "cv",
        "K|KxR|loo",
        "For a file: cross-validation with K folds (repeated R times) instead of hold-outs.",
    ),
    ("weights", "COLUMN", "For a file: weights of the rows, in fits and scores."),
    ("groups", "COLUMN", "For a file: rows with the same value stay in the same part."),
    ("time", "COLUMN", "For a file: train on earlier rows, test on later rows."),
    ("split-column", "COLUMN", "For a file: the column that says train or test, or the fold."),
    ("test", "FILE", "For a file: another file with the test rows."),
)
"""Name, placeholder and help of each option for files."""


def open_files(
    selectors: Sequence[str], given: GivenOptions
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Open the files among some selectors, and the files that the settings declare.

    Args:
        selectors: of datasets; empty for all.
        given: the command's options, with those of `file_options` if it has them.

    Returns:
        What to open, to discover like plugins; and selectors of the datasets.

    Raises:
        UsageError: see `harness.contract.openers.opened`.
    """
    from harness.contract.openers import opened

    options = {}
    for name, _, _ in FILE_OPTIONS:
        value = given.get(name.replace("-", "_"))
        if value is not None:
            options["split" if name == "split-column" else name] = value
    specs, names = opened(selectors, options, read_settings().datasets)
    return tuple(specs), tuple(names)


RANKING = "Metric to show, as NAME[parameter=value]; repeatable; the first one ranks [likelihood]."


def metric_option(about: str = RANKING) -> Callable[[F], F]:
    """``--metric``, which may be repeated; the argument is its help."""
    return click.option("--metric", "metrics", multiple=True, metavar="NAME", help=about)


class Since(click.ParamType[Any]):
    """A date, a time, or how long ago."""

    name = "date"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """The time in UTC; ``30d`` is 30 days ago."""
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        ago = re.fullmatch(r"(\d{1,6})([hdw])", text)
        if ago:
            unit = {"h": "hours", "d": "days", "w": "weeks"}[ago[2]]
            with contextlib.suppress(OverflowError):
                return datetime.now(UTC) - timedelta(**{unit: int(ago[1])})
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"'{value}' is neither a date, such as 2026-11-30, nor an age, such as 30d, "
                f"2w or 12h",
                param,
                ctx,
            )
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def set_options(does: str = "Use the newest results of", default: str = "") -> Callable[[F], F]:
    """Options that name several runs: ``--since`` and ``--all-runs``.

    Args:
        does: what the command does with the runs, for the help texts.
        default: added to the help of ``--all-runs``.
    """

    def add(function: F) -> F:
        since = f"{does} all runs since a date (2026-11-30), or of the last 30d, 2w or 12h."
        all_runs = f"{does} all runs in the store{default}."
        function = click.option("--all-runs", is_flag=True, help=all_runs)(function)
        return click.option("--since", type=Since(), metavar="DATE", help=since)(function)

    return add


def with_metrics(frames: Frames, registry: Registry, metrics: Sequence[str]) -> Frames:
    """The frames with the metrics to show: the given ones, else those that the run was given.

    Raises:
        UsageError: a given metric is unknown.
    """
    from harness.runs.metrics import chosen_metrics
    from harness.runs.metrics import with_metrics as shown_with
    from harness.terminal.console import complain

    choices = chosen_metrics(registry, metrics)
    if not metrics:
        for metric in frames.run.asked.get("metrics", ()):
            try:
                choices += chosen_metrics(registry, [metric])
            except UsageError:
                given = " ".join(f"--plugin {p}" for p in frames.run.asked.get("plugins", ()))
                complain(
                    f"run {frames.run.id} was given the metric '{metric}', which no plugin here "
                    f"offers; add {given or '--plugin FILE'}"
                )
    return shown_with(frames, registry, choices)


def open_classes(
    selectors: Sequence[str], *, strict: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes among selectors of models.

    Args:
        selectors: of models.
        strict: whether a class that cannot be found is an error; otherwise it is one at discovery.

    Returns:
        What to discover like plugins; and selectors of the models.

    Raises:
        UsageError: see `harness.contract.classes.classes`.
    """
    from harness.contract.classes import classes

    specs, names = classes(selectors, strict=strict)
    return tuple(specs), tuple(names)


def open_named(
    names: Sequence[str], given: GivenOptions, *, strict: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Open the classes and files among names of any kind of thing.

    Args:
        names: of datasets, models and so on; empty for all.
        given: as in `open_files`.
        strict: as in `open_classes`.

    Returns:
        What to discover like plugins; and the names, in their order.

    Raises:
        UsageError: as `open_files` and `open_classes`; or a class has parameters in brackets.
    """
    from harness.contract.classes import class_path

    specs: list[str] = []
    plain: list[str] = []
    for text in names:
        found = class_path(text, strict=strict)
        if found is None:
            files, (name,) = open_files((text,), given)
            specs += files
        else:
            path, selector = found
            if "[" in selector:
                raise UsageError(f"'{text}': name the class without parameters here")
            specs, name = [*specs, path.spec], path.name
        plain.append(name)
    if not names:
        specs += open_files((), given)[0]
    return tuple(dict.fromkeys(specs)), tuple(plain)


def threads_option(function: F) -> F:
    """Add the option ``--threads``, limited to the number of cores."""
    return click.option(
        "--threads", type=click.IntRange(1), default=1, callback=_threads, help="Threads [1]."
    )(function)


def _threads(_ctx: click.Context, _option: click.Parameter, value: int) -> int:
    from harness.trials.executors.local import cores

    if value > cores():
        raise UsageError(f"--threads {value}: this machine has only {plural(cores(), 'core')}")
    return value


def require_writable(file: Path) -> None:
    """Check that a file can be written, so that a command fails before it measures.

    Raises:
        UsageError: the folder does not exist, or the file cannot be written.
    """
    folder = file.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"'{file}': its folder does not exist; create it first")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise UsageError(f"'{file}' cannot be written to; name another file")


def store_option(function: F) -> F:
    """Add the option ``--store``, which defaults to HARNESS_STORE, the settings or harness.db."""
    return click.option(
        "--store",
        envvar="HARNESS_STORE",
        metavar="URL",
        help="SQLite file or database URL [harness.db].",
    )(function)


def store_of(ctx: click.Context) -> str | None:
    """The value of ``--store``, given to a subcommand or to its group (``track --store X record``).

    Raises:
        UsageError: ``--store`` was given to both.
    """
    typed = click.core.ParameterSource.COMMANDLINE
    group = ctx.parent
    own_value: str | None = ctx.params["store"]
    if group is None or group.get_parameter_source("store") is not typed:
        return own_value
    if ctx.get_parameter_source("store") is typed:
        raise UsageError("--store is given twice; leave one out")
    return str(group.params["store"])


def store_url(given: str | None) -> str:
    """The URL of the store: the given one, or the one from the settings, or the default."""
    return choose_store(given, read_settings())


def open_store(given: str | None) -> Store:
    """Open the store that a command reads; it must exist."""
    from harness.store.database import Store

    return Store(store_url(given))


def all_plugins(given: tuple[str, ...]) -> tuple[str, ...]:
    """The plugins of the settings, followed by those of the command line."""
    return (*read_settings().plugins, *given)


def discover(
    given: tuple[str, ...],
    *,
    meanwhile: Sequence[str] = (),
    strict: bool = True,
) -> Described:
    """A registry of what the plugins offer; plugins that cannot be used are complained about.

    Args:
        given: plugins from the command line.
        meanwhile: modules to import while the plugins' processes start.
        strict: as in `harness.trials.discovery.discover`.
    """
    from harness.terminal.console import complain_of, remark
    from harness.trials import discovery

    registry = discovery.discover(all_plugins(given), meanwhile=meanwhile, strict=strict)
    close_with_command(registry)
    if registry.printed:
        remark(registry.printed)
    complain_of(registry.faults)
    return registry


def close_with_command(registry: Registry) -> None:
    """End the processes of a registry when the present command ends, not only with this process."""
    from harness.trials.discovery import Described

    context = click.get_current_context(silent=True)
    if context is not None and isinstance(registry, Described):
        context.call_on_close(registry.processes.close)


def names_of(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Completes the names of what the plugins offer, for shells; see docs/running.md.

    Args:
        kind: such as ``models``.
    """

    def complete(context: click.Context, _: click.Parameter, begun: str) -> list[str]:
        from harness.cli.streams import aside
        from harness.contract.registry import load

        plugins = all_plugins(tuple(context.params.get("plugins") or ()))
        try:
            registry, _printed = aside(lambda: load(plugins))
        except HarnessError:  # a shell has no place for messages
            return []
        return [name for name in getattr(registry, kind) if name.startswith(begun)]

    return complete


def dataset_option(
    about: str = "Datasets to fit on, selected as in `run`; repeatable.",
) -> Callable[[F], F]:
    """``-d``, with completion; the argument is its help."""
    return _selectors("datasets", about)


def model_option(
    about: str = "Models to time, selected as in `run`; repeatable.",
) -> Callable[[F], F]:
    """``-m``, with completion; the argument is its help."""
    return _selectors("models", about)


def _selectors(kind: str, about: str) -> Callable[[F], F]:
    return click.option(
        f"-{kind[0]}",
        f"--{kind.removesuffix('s')}",
        kind,
        multiple=True,
        metavar="SELECTOR",
        help=about,
        shell_complete=names_of(kind),
    )


def load_here(given: tuple[str, ...]) -> Registry:
    """The registry that `discover` gives, but with the plugins loaded into this process."""
    from harness.cli.streams import aside
    from harness.contract.registry import load
    from harness.terminal.console import complain_of, remark

    registry, printed = aside(lambda: load(all_plugins(given)))
    if printed:
        remark(printed)
    complain_of(registry.faults)
    return registry


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The options that all comparing commands share: how to judge changes and where to write them.

    Args:
        budget: largest slowdown that still counts as "same", as a fraction.
        alpha: probability of a false "slower" or "worse".
        style: output format, one of `harness.cli.changes.FORMATS`.
        output: file for the comparison; standard output then shows a table.
        junit: file for a JUnit test suite, written in addition.
        undecided_passes: whether the verdict "undecided" gives exit status 0.
    """

    budget: float
    alpha: float
    style: str
    output: Path | None
    junit: Path | None
    undecided_passes: bool

    @classmethod
    def of(cls, given: GivenOptions) -> Verdicts:
        """Read the parsed options, check that the files can be written, and delete old ones.

        Raises:
            UsageError: a file cannot be written.
        """
        files = [file for file in (given["output"], given["junit"]) if file]
        for file in files:
            require_writable(file)
        # If this call fails, a file of an earlier call must not be mistaken for its result.
        for file in files:
            if file.is_file():  # spares devices such as /dev/stdout
                file.unlink()
        return cls(
            given["budget"],
            given["alpha"],
            given["style"] or ("markdown" if given["output"] else "rich"),
            given["output"],
            given["junit"],
            given["undecided"] == "pass",
        )

    def show(
        self,
        rows: Sequence[ChangeRow],
        title: str,
        remarks: Sequence[str],
        extra: Mapping[str, object],
        how: str = "",
        nothing: str = "",
    ) -> None:
        """Print the changes and write the requested files; see `harness.cli.changes.show`."""
        from harness.cli import changes

        style = "rich" if self.output else self.style
        nothing = nothing or changes.NOTHING
        try:
            # Printed first, so that the user sees the results even if writing a file fails.
            changes.show(rows, title, style, remarks, extra, how, nothing)
        finally:
            if self.junit:
                changes.write_junit(rows, title, self.junit)
            if self.output:
                style = "markdown" if self.style == "rich" else self.style
                text = changes.rendered(rows, title, style, remarks, extra, how, nothing)
                self._write(text, self.output)

    @staticmethod
    def _write(text: str, file: Path) -> None:
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise cannot_write(file, error) from error


def verdict_options(budget: str, meaning: str) -> Callable[[F], F]:
    """The options that all comparing commands share.

    Args:
        budget: default of ``--budget``, such as ``3%``.
        meaning: help text of ``--budget``.
    """
    file = click.Path(path_type=Path, dir_okay=False)
    options = (
        click.option(
            "--budget",
            type=PART,
            default=budget,
            help=f"{meaning} [{budget}].",
        ),
        click.option(
            "--alpha",
            type=Finite(0, 0.5, min_open=True),
            default=0.01,
            help="Probability of any false alarm if nothing changed [0.01].",
        ),
        click.option(
            "--undecided",
            type=click.Choice(("pass", "fail")),
            default="fail",
            help="Exit status if a comparison is undecided: pass is 0, fail is 3 [fail].",
        ),
        click.option(
            "--format",
            "style",
            type=click.Choice(("rich", "markdown", "csv", "json")),
            help="Format of the terminal and the file [rich; markdown in a file].",
        ),
        click.option(
            "-o",
            "--output",
            type=file,
            metavar="FILE",
            help="File to write; the terminal still shows a table.",
        ),
        click.option("--junit", type=file, metavar="FILE", help="Also write a JUnit test suite."),
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add
