"""What `--help` says. Hydra's own takes over a second, as it looks for the options of every group anew."""

import re
from pathlib import Path

EXAMPLES = {
    "train": ("fusion=gated_concat", "dataset=folder dataset.root=ROOT training.epochs=30"),
    "attack": ("fusion=concat attack=pgd eps=0.006", "sweep=table1", "-m fusion=sum,concat attack=fgsm,pgd seed=0,1,2"),
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
    lines = [primary.partition("\n")[0].removeprefix("# "), "", "Choose with group=option (* is the default):", ""]
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
