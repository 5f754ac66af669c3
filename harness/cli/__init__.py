"""The command line: the only place that prints or exits; one file per command."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

import harness
from harness.cli import (
    ab,
    bench,
    check,
    compare,
    env,
    listing,
    plot,
    report,
    run,
    runs,
    show,
    track,
)
from harness.cli.console import complain
from harness.cli.stopping import Terminated, stop_status
from harness.errors import HarnessError

USAGE = 2
INTERRUPTED = 130


class InOrder(click.Group):
    """Commands in the order in which a user meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Names as they were added."""
        return list(self.commands)


@click.group(
    cls=InOrder,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 80,
        "auto_envvar_prefix": "HARNESS",
    },
    epilog="Exit status: 0 all well; 1 a trial failed; 2 usage or plugin error; 4 nothing ran.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(harness.__version__, prog_name="harness")
def harness_command(debug: bool) -> None:
    """Benchmark classifiers: every dataset with every model.

    Which one is better, by how much, how sure is that, and how fast is it?
    """


for command in (
    run.command,
    report.command,
    plot.command,
    bench.command,
    compare.command,
    ab.command,
    track.command,
    listing.command,
    show.command,
    check.command,
    runs.command,
    env.command,
):
    harness_command.add_command(command)


def _silence() -> None:
    """Python flushes standard output once more at the end, and would complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        status: Any = harness_command.main(arguments, "harness", standalone_mode=False)
        sys.stdout.flush()
    except HarnessError as error:
        if "--debug" in arguments:
            raise
        complain(str(error))
        status = USAGE
    except click.UsageError as error:
        where = f" (see '{error.ctx.command_path} --help')" if error.ctx else ""
        complain(error.format_message().rstrip(".") + where)
        status = USAGE
    except click.ClickException as error:
        complain(error.format_message())
        status = USAGE
    except (KeyboardInterrupt, click.Abort):
        status = INTERRUPTED
    except Terminated as stop:
        status = stop_status(stop)
    except BrokenPipeError:
        _silence()
        status = 0  # whoever read our output has seen enough
    except OSError as error:
        complain(f"{error.filename or 'the output'} cannot be written: {error.strerror or error}")
        _silence()
        status = USAGE
    except Exception as error:
        if "--debug" in arguments:
            raise
        # Python's own status would be 1, which means that something failed or is slower.
        what = f"{type(error).__name__}: {error}"
        complain(f"this is a fault of the harness itself: {what}; --debug shows where")
        status = USAGE
    sys.exit(status if isinstance(status, int) else 0)
