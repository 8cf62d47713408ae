"""Overrides drawn from the schema: each is accepted, or refused in one line, and writes nothing."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf, open_dict

from avrobust.cli.command_line import check_command_line
from avrobust.cli.explain import MISTAKES, explain, one_line
from avrobust.cli.job import check_values
from avrobust.experiments.build import check
from avrobust.experiments.config import experiment_from
from avrobust.experiments.schema import SCHEMAS
from avrobust.experiments.settings import Task
from tests.fuzz.rounds import Rounds
from tests.support import CONFIGS, PROJECT, options

GROUPS = (
    "dataset",
    "audio",
    "visual",
    "fusion",
    "defense",
    "trainer",
    "attack",
    "threat",
    "logger",
)
VALUES = (
    *("null", "nan", "inf", "-1", "0", "1", "1.5", "1e400", "true", "foo", "", "''", "[]", "{}"),
    *(
        "[1]",
        "[foo]",
        "[null]",
        "{a:1}",
        "99999999999999999999",
        "1000000000",
        "${nope}",
        "${seed}",
    ),
    *("${oc.env:NOPE}", "a,b", "range(0,3)", "'a", "{", "[1", "é", "\x07", "a b", "8/255", "../x"),
)
PREFIXES = ("", "", "", "+", "++", "~")
TASKS: tuple[Task, ...] = ("train", "attack", "defend")


@cache
def keys_of(group: str, option: str) -> list[str]:
    """The dotted keys of one option of a group."""
    node = OmegaConf.load(CONFIGS / group / f"{option}.yaml")
    assert isinstance(node, DictConfig)
    inner = node.get(group) if group in node else node
    return [f"{group}.{key}" for key in inner]


@st.composite
def overrides(draw: st.DrawFn) -> tuple[Task, list[str]]:
    """A script and one to three overrides, most of them wrong."""
    task = draw(st.sampled_from(TASKS))
    words = []
    for _ in range(draw(st.integers(1, 3))):
        group = draw(st.sampled_from(GROUPS))
        option = draw(st.sampled_from(options(group)))
        roots = [field.name for field in fields(SCHEMAS[task])]
        key = draw(st.sampled_from([*keys_of(group, option), *roots, group, "training.epochs"]))
        value = draw(st.one_of(st.sampled_from(VALUES), st.text(max_size=6)))
        prefix = draw(st.sampled_from(PREFIXES))
        if key.startswith(f"{group}."):
            words.append(f"{group}={option}")
        words.append(f"{prefix}{key}" if prefix == "~" else f"{prefix}{key}={value}")
    if task == "defend":
        words.append("defense=minsim")
    return task, words


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """A working folder, in which nothing may be written."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)


def check_all(task: Task, words: list[str]) -> None:
    """All checks of a command in their order, up to where the work would begin."""
    check_command_line(PROJECT / f"{task}.py", words)
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        config = compose(task, words, return_hydra_config=True)
    hydra = config.hydra
    with open_dict(config):
        del config["hydra"]
    experiment = experiment_from(task, config, hydra)
    check_values(experiment)
    check(experiment)


@pytest.mark.fuzz
def test_an_override_is_accepted_or_refused_in_one_line(rounds: Rounds) -> None:
    def case(drawn: tuple[Task, list[str]]) -> None:
        task, words = drawn
        with empty_folder() as folder:
            try:
                check_all(task, words)
            except MISTAKES as error:
                message = one_line(explain(error))
                assert message
                assert len(message) < 2000
            assert not list(folder.iterdir())

    rounds.run(case, drawn=overrides())
