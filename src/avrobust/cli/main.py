"""The `avrobust` program: finds the command, checks its options, ends a mistake in one line.

What a command needs is imported when it runs, so that `--help` answers at once.
"""

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError, ValidationError
from cyclopts.help import DefaultFormatter, PanelSpec
from rich.box import Box

from avrobust.cli import commands
from avrobust.cli.analyses import add_analyses
from avrobust.cli.explain import one_line
from avrobust.cli.interrupts import end_interrupted, interrupted
from avrobust.cli.options import convert, default_text
from avrobust.errors import UserError
from avrobust.ranges import describe_type
from avrobust.utils.arguments import violation

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
        if interrupted():
            return end_interrupted()
        sys.stderr.write(f"avrobust: {one_line(str(error))}\n")
        return 2
    except KeyboardInterrupt:
        return end_interrupted()
    return 0


def _run(words: list[str]) -> None:
    app = _app()
    if not words:
        names = [name for name in app.resolved_commands() if not name.startswith("-")]
        raise UserError(f"COMMAND is missing; choices: {', '.join(names)} (see avrobust --help)")
    try:
        command, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
        if wrong := violation(command, bound.arguments, plain=True):
            raise ValueError(wrong.sentence())
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
    if isinstance(error, ValidationError) and (option := error.argument):
        # cyclopts checks ranges itself, in several lines, if pydantic is loaded already.
        typed = ",".join(token.value for token in option.tokens)
        rule = describe_type(option.field_info.annotation)
        return f"{option.name} must be {rule}, not {typed}"
    if isinstance(error, CycloptsError):
        return str(error)
    # A number is out of range; the message begins with the name of its parameter.
    field, _, rest = str(error).partition(" ")
    return f"--{field.replace('_', '-')} {rest}"
