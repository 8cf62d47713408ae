"""What `python attack.py --help` prints: the options of every group, on all of Hydra's search path.

Nothing is composed, so that the answer comes at once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.utils import create_config_search_path
from hydra.core.object_type import ObjectType
from omegaconf import OmegaConf

from avrobust.cli.own_options import configs_of, own_folder

EXAMPLES = {
    "train": ("fusion=gated_concat", "dataset=folder dataset.root=ROOT training.epochs=30"),
    "attack": (
        "fusion=concat attack=pgd eps=0.006",
        "sweep=table1",
        "-m fusion=sum,concat attack=fgsm,pgd seed=0,1,2",
        "--config-dir my_lab/configs fusion=low_rank",
    ),
    "defend": ("defense=minsim", "sweep=table3"),
}


def help_text(script: Path, arguments: Sequence[str]) -> str:
    """The options of every group, the default one marked.

    Args:
        script: train.py, attack.py or defend.py, beside its folder `configs`.
        arguments: The words of the command line, which may name another folder of options.

    Raises:
        UserError: That folder is not there, or hides options.
    """
    configs = configs_of(script)
    primary = configs / f"{script.stem}.yaml"
    options = _options(configs, own_folder(script, arguments), script.stem, arguments)
    lines = [_first_comment(primary), "", "Choose with group=option (* is the default):", ""]
    for group, default in groups_of(script).items():
        lines += _group_lines(group, default, options)
        for inner in options.get_group_options(group, ObjectType.GROUP):
            lines += _group_lines(f"{group}/{inner}", "", options)
    lines += [
        "",
        "Set any value with key=value; --cfg job shows all of them. Several values are a sweep: "
        "-m key=a,b.",
        "Options of your own: --config-dir FOLDER (docs/own_project.md).",
        "",
    ]
    lines += [f"  python {script.name} {example}" for example in EXAMPLES[script.stem]]
    return "\n".join(lines)


def _options(
    configs: Path, own: Path | None, primary: str, arguments: Sequence[str]
) -> CachingConfigRepository:
    """Hydra's reader of all folders with options: ours, `--config-dir` and `hydra.searchpath`."""
    search_path = create_config_search_path(str(configs))
    if own:
        search_path.append("command-line", f"file://{own}")
    overrides = [word for word in arguments if word.startswith("hydra.searchpath=")]
    loader = ConfigLoaderImpl(search_path)
    _, repository = loader._parse_overrides_and_create_caching_repo(primary, overrides)
    return repository


def _first_comment(primary: Path) -> str:
    first, _, _ = primary.read_text(encoding="utf-8").partition("\n")
    return first.removeprefix("# ")


def groups_of(script: Path) -> dict[str, str | None]:
    """The groups that a script's config lists and the option that it chooses of each.

    Args:
        script: train.py, attack.py or defend.py, beside its folder `configs`.
    """
    primary = configs_of(script) / f"{script.stem}.yaml"
    defaults: Any = OmegaConf.to_container(OmegaConf.load(primary).defaults)
    chosen = {}
    for entry in defaults:
        if isinstance(entry, dict):  # and not the name of a file
            chosen.update(entry)
    return chosen


def _group_lines(group: str, default: str | None, options: CachingConfigRepository) -> list[str]:
    """One line a group; none for a group without options."""
    names = options.get_group_options(group, ObjectType.CONFIG)
    marked = [f"{name}*" if name == default else name for name in names]
    return [f"  {group:15}{'  '.join(marked)}"] if names else []
