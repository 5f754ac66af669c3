"""The options that reports declare, as options of the command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from harness.cli import options
from harness.errors import UsageError
from harness.terminal.console import complain, out
from harness.words import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.contract.registry import Registry
    from harness.contract.values import Frames, Option, Report


NAMED = 5
"""The most metrics that an error names."""

OptionValues: TypeAlias = dict[str, Any]
"""The values of a report's options by name; the report declares their types."""


class Number(click.ParamType[Any]):
    """A number, or a percentage."""

    name = "number"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number; ``2%`` is 0.02."""
        text = str(value).strip()
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"'{value}' is no number; write it like 3% or 0.03", param, ctx)
        return number


def after_runs(registry: Registry) -> Report:
    """The report that is printed at the end of a run.

    Raises:
        UsageError: no such report is installed.
    """
    for report in registry.reports.values():
        if report.after_runs:
            return report
    raise UsageError(
        "no installed report is printed after runs; `harness list reports` lists the reports, "
        "and `harness report NAME` prints one of them"
    )


def parsed(
    registry: Registry, report: Report, words: Sequence[str]
) -> tuple[tuple[str, ...], OptionValues]:
    """Parse the remaining command line into runs and the values of a report's options.

    Args:
        registry: all reports, to suggest the one that has an unknown option.
        report: the report whose options are parsed.
        words: the command line without the options that every report has.

    Returns:
        The texts that name runs; and the values by option.

    Raises:
        UsageError: an option is unknown, or its value is not valid.
    """
    run_argument = click.Argument(["runs"], nargs=-1)
    command = options.Command(
        f"report {report.name}", params=[run_argument, *map(_option, report.options)]
    )
    try:
        with command.make_context(None, list(words)) as context:
            values = dict(context.params)
    except click.NoSuchOption as error:
        others = [
            other.name
            for other in registry.reports.values()
            if any(error.option_name in _spelled(option) for option in other.options)
        ]
        hint = f"'{others[0]}' has it" if others else "see 'harness report --help'"
        raise UsageError(
            f"report '{report.name}' has no option {error.option_name}; {hint}"
        ) from None
    except click.UsageError as error:
        raise UsageError(error.format_message().rstrip(".")) from None
    return tuple(values.pop("runs")), values


def named_metrics(registry: Registry, report: Report, values: OptionValues) -> OptionValues:
    """The metrics that options name, as the frames call them, by option.

    Raises:
        UsageError: a metric is unknown, or a name matches several.
    """
    from harness.runs.metrics import chosen_metrics

    metrics: OptionValues = {}
    for option in report.options:
        keyword = option.name.replace("-", "_")
        if option.metric and values[keyword] is not None:
            names = [str(choice) for choice in chosen_metrics(registry, [values[keyword]])]
            if len(names) > 1:
                raise UsageError(
                    f"--{option.name} {values[keyword]} matches {len(names)} metrics: "
                    f"{listed(names, NAMED)}; name one"
                )
            metrics[keyword] = names[0]
    return metrics


def in_help(option: Option) -> tuple[str, str]:
    """An option as two columns of a help text: its spelling, and its description and default."""
    if isinstance(option.default, bool):
        metavar = ""
    elif option.choices:
        metavar = f" [{'|'.join(option.choices)}]"
    elif option.metric:
        metavar = " METRIC"
    else:
        metavar = " NUMBER" if isinstance(option.default, int | float) else " TEXT"
    default = "" if option.default in (None, False, ()) else f" [{option.default}]"
    return ", ".join(_spelled(option)) + metavar, option.description + default


def _spelled(option: Option) -> list[str]:
    return [*([f"-{option.short}"] if option.short else []), f"--{option.name}"]


def _option(option: Option) -> click.Option:
    declarations = [*_spelled(option), option.name.replace("-", "_")]
    if isinstance(option.default, bool):
        return click.Option(declarations, is_flag=True, default=option.default)
    kind: Any = str
    if option.choices:
        kind = click.Choice(option.choices)
    elif isinstance(option.default, int | float):
        kind = Number()
    repeatable = isinstance(option.default, tuple)
    return click.Option(declarations, type=kind, multiple=repeatable, default=option.default)


def show_after_run(registry: Registry, frames: Frames, *, verbose: bool = False) -> None:
    """Print the report that ends a run; if there is none, complain only: the results are stored.

    Args:
        registry: all reports.
        frames: the run.
        verbose: the value of the report's option ``verbose``, if it has one.
    """
    try:
        report = after_runs(registry)
    except UsageError as error:
        complain(str(error))
        return
    values = {
        name: verbose if name == "verbose" else default for name, default in report.defaults.items()
    }
    out().print(report.render(frames, "rich", **values))
