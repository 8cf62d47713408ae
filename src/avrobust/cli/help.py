"""What `--help` says, and completion without its delays: Hydra looks for the options of every group anew."""

import re
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl

EXAMPLES = {
    "train": ("fusion=gated_concat", "dataset=folder dataset.root=ROOT training.epochs=30"),
    "attack": (
        "fusion=concat attack=pgd eps=0.006",
        "sweep=table1",
        "-m fusion=sum,concat attack=fgsm,pgd seed=0,1,2",
    ),
    "defend": ("defense=minsim", "sweep=table3"),
}


def help_text(script: str, configs: Path) -> str:
    """The options of every group, the default one marked, read off the folder of configs.

    Args:
        script: "train", "attack" or "defend".
        configs: the folder.
    """
    primary = (configs / f"{script}.yaml").read_text(encoding="utf-8")
    chosen = dict(re.findall(r"^ +- (\w+): (\S+)", primary, re.MULTILINE))
    lines = [
        primary.partition("\n")[0].removeprefix("# "),
        "",
        "Choose with group=option (* is the default):",
        "",
    ]
    for group in [*chosen, "defense/solver"] if "defense" in chosen else chosen:
        options = sorted(path.stem for path in (configs / group).glob("*.yaml"))
        marked = (f"{name}*" if name == chosen.get(group) else name for name in options)
        if options:
            lines.append(f"  {group:15}{'  '.join(marked)}")
    lines += [
        "",
        "Set any value with key=value; --cfg job shows all of them. Several values are a sweep: -m key=a,b.",
        "",
    ]
    lines += [f"  python {script}.py {example}" for example in EXAMPLES[script]]
    return "\n".join(lines)


def hasten_completion() -> None:
    """Lets one set of overrides be parsed, and the primary config be read, once in this process.

    Hydra's completion does both twice for every group that it lists.
    """
    create = ConfigLoaderImpl._parse_overrides_and_create_caching_repo
    kept: dict[tuple[str | None, tuple[str, ...]], Any] = {}

    def once(loader: ConfigLoaderImpl, config_name: str | None, overrides: list[str]) -> Any:
        key = config_name, tuple(overrides)
        if key not in kept:
            kept[key] = create(loader, config_name, overrides)
        return kept[key]

    ConfigLoaderImpl._parse_overrides_and_create_caching_repo = once  # type: ignore[method-assign, assignment]
