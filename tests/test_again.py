"""What is common to the commands that take a finished run up again."""

import pytest

from avrobust.cli.main import main

NO_RUN = "nowhere: not the folder of a finished attack, such as runs/attack/RUN"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["surface", "nowhere"], NO_RUN),
        (["localize", "nowhere"], NO_RUN),
        (["embeddings", "nowhere"], NO_RUN),
        (["surface", "run", "--grid", "0"], "argument --grid: must be at least 1, not 0"),
        (
            ["localize", "run", "--conditions", "smell"],
            "'smell' is not one of audio, visual, audiovisual",
        ),
        (
            ["embeddings", "run", "--eps", "1,x"],
            "--eps: must be numbers of at least 0, such as 0.003,0.006, not 1,x",
        ),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status: object = main(arguments)
    except SystemExit as stopped:
        status = stopped.code
    error = capsys.readouterr().err
    assert status == 2
    assert expected in error
    assert error.count("\n") == 1
