"""What is common to the commands that take a finished run up again."""

from dataclasses import fields

import pytest

from avrobust.analyses.discover import discover
from avrobust.cli.main import main

NO_RUN = "nowhere: not the folder of a finished attack, such as runs/attack/RUN"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["surface", "nowhere"], NO_RUN),
        (["localize", "nowhere"], NO_RUN),
        (["embeddings", "nowhere"], NO_RUN),
        (
            ["surface", "run", "--grid", "0"],
            "--grid must be an integer of at least 1, not 0 (see avrobust surface --help)",
        ),
        (
            ["embeddings", "run", "--eps", "1,x"],
            'Invalid value for --eps: unable to convert "x" into float',
        ),
        (
            ["embeddings", "run", "--eps", "0.1,-1"],
            "--eps must be a list, each a finite number of at least 0, not ",
        ),
        (["surface", "run", "other"], "Unexpected: other."),
        (["localize", "run", "--mosaics"], "Unknown option: --mosaics. Did you mean --mosaic?"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_each_analysis_brings_its_command_and_its_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    for analysis in discover().values():
        assert f" {analysis.name} " in listed
        assert main([analysis.name, "--help"]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        for option in fields(analysis.settings):
            assert f"--{option.name.replace('_', '-')}" in shown
            assert option.metadata["help"].split()[0] in shown
