"""The command line: the only place that prints or exits; one file per command."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

import harness
from harness.cli import (
    ab,
    bench,
    check,
    compare,
    env,
    exchange,
    listing,
    new,
    options,
    plot,
    publish,
    report,
    run,
    runs,
    show,
    track,
)
from harness.cli.stopping import Terminated, interruptible, stop_status
from harness.cli.streams import open_streams, silence
from harness.errors import HarnessError, UsageError
from harness.terminal.console import complain, remark

USAGE = 2
INTERRUPTED = 130

NO_FOLDER = "the current folder does not exist any more; change to another and try again"


class InOrder(options.CommandGroup):
    """Commands in the order in which a user meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Names in the order in which the commands were added."""
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 80,
        "auto_envvar_prefix": "HARNESS",
    },
    epilog="Exit status: 0 all well; 1 a trial failed, or something is worse; 2 usage or plugin "
    "error; 3 undecided (ab, compare); 4 nothing ran.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(harness.__version__, prog_name="harness")
def harness_command(debug: bool) -> None:  # noqa: ARG001  # `main` looks for it
    """Benchmark classifiers: every dataset with every model.

    Which classifier is better, by how much, how certain is that, and how fast is it?
    """
    if not _folder_is_there():
        raise UsageError(NO_FOLDER)


for command in (
    run.command,
    report.command,
    publish.command,
    plot.command,
    bench.command,
    compare.command,
    ab.command,
    track.command,
    listing.command,
    show.command,
    check.command,
    new.command,
    runs.command,
    exchange.merge,
    exchange.export,
    exchange.import_,
    env.command,
):
    harness_command.add_command(command)


def _folder_is_there() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    if arguments is not None:
        sys.exit(_status(arguments))
    # Saves a tenth of the time of a short command: importing makes objects, but hardly any garbage.
    # A million objects take about 100 MiB, so a long command still collects in time.
    gc.set_threshold(1_000_000)
    # OpenBLAS has its threads wait busily for work that a coordinator hardly has, which takes a
    # core from the plugins' processes. Those get a number of threads of their own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    statuses: list[int] = []
    atexit.register(_leave, statuses)  # the first one registered is the last one called
    open_streams()
    once = interruptible()
    statuses.append(_status(sys.argv[1:]))
    once.end()
    sys.exit(statuses[0])


def _leave(statuses: list[int]) -> None:
    """End this process at once.

    This saves 0.2 s: Python would take all of pandas' modules apart, and search their objects for
    cycles.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # it may be closed, or its reader gone
            stream.flush()
    if statuses:
        os._exit(statuses[0])


def _status(arguments: list[str]) -> int:
    """Run the command, print its error if it fails, and give the exit status."""
    try:
        status: Any = harness_command.main(arguments, "harness", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Terminated as stop:
        return stop_status(stop)
    except Exception as error:  # noqa: BLE001  # our own faults are printed in one line, too
        if "--debug" in arguments:
            remark(traceback.format_exc())
        complain(_fault(error))
        return USAGE  # Python's own status 1 would mean that a trial failed or code is slower
    return status if isinstance(status, int) else 0


def _fault(error: Exception) -> str:
    """An error's message in one line."""
    match error:
        case HarnessError():
            return str(error)
        case click.UsageError():
            where = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
            return error.format_message().rstrip(".") + where
        case click.ClickException():
            return error.format_message()
        case OSError() if not _folder_is_there():
            return NO_FOLDER
        case OSError():
            silence(sys.stdout)  # Python flushes it at exit, and would complain once more
            return f"{error.filename or 'the output'} cannot be written: {error.strerror or error}"
    what = f"{type(error).__name__}: {error}"
    return f"this is a fault of the harness itself: {what}; --debug shows the traceback"
