"""The `avrobust` program: finds the command, checks its options, ends a mistake in one line.

What a command needs is imported when it runs, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError
from cyclopts.help import DefaultFormatter, PanelSpec
from rich.box import Box

from avrobust.cli import commands
from avrobust.cli.analyses import add_analyses
from avrobust.cli.explain import one_line
from avrobust.cli.options import convert, default_text
from avrobust.errors import UserError

HEADINGS = Box("────\n" + "    \n" * 7)  # of --help: a line above each list and none around it


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and gives the exit status: 0, 2 for a user's mistake, 130 for Ctrl-C.

    Args:
        arguments: The words after `avrobust`; those of the process if not given.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _run(words)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UserError, OSError) as error:
        sys.stderr.write(f"avrobust: {one_line(str(error))}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("avrobust: interrupted; the same command goes on where this one stopped\n")
        return 130
    return 0


def _run(words: list[str]) -> None:
    app = _app()
    if not words:
        names = [name for name in app.resolved_commands() if not name.startswith("-")]
        raise UserError(f"COMMAND is missing; choices: {', '.join(names)} (see avrobust --help)")
    try:
        command, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
    except (CycloptsError, ValueError) as error:
        chain, _, _ = app.parse_commands(words)
        program = " ".join(["avrobust", *chain])
        raise UserError(f"{_explain(error)} (see {program} --help)") from None
    command(*bound.args, **bound.kwargs)


def _app() -> App:
    """The program with all its commands."""
    app = App(
        name="avrobust",
        help="Audio-visual robustness: raw videos in, tables out.",
        help_format="plaintext",  # Markdown would swallow <class>
        help_formatter=DefaultFormatter(panel_spec=PanelSpec(box=HEADINGS, padding=0)),
        default_parameter=Parameter(
            negative=(),  # no --no-mosaic
            converter=convert,
            show_default=default_text,
        ),
    )
    app.command(commands.prepare_command, name="prepare")
    app.command(commands.report_command, name="report")
    app.command(commands.status_command, name="status")
    app.command(commands.dashboard_command, name="dashboard")
    add_analyses(app)
    return app


def _explain(error: CycloptsError | ValueError) -> str:
    """What was wrong, in one sentence that names the option."""
    if isinstance(error, UnusedCliTokensError):
        return f"Unexpected: {' '.join(error.unused_tokens or ())}."
    if isinstance(error, CycloptsError):
        return str(error)
    # The settings of an analysis refused a value; their message begins with the field's name.
    field, _, rest = str(error).partition(" ")
    return f"--{field.replace('_', '-')} {rest}"
