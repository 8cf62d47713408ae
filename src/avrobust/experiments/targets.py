"""From an option's target to the class that it names; builds nothing."""

from collections.abc import Callable

from hydra.utils import get_method

from avrobust.errors import UserError
from avrobust.experiments.options import Option


def locate(path: str, target: str) -> Callable[..., object]:
    """The class or function that a target names.

    Args:
        path: of the option in the config, for messages.
        target: its dotted path.

    Raises:
        UserError: it cannot be imported.
    """
    try:
        return get_method(target)
    except (ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}._target_={target}: cannot be imported ({reason})") from None


def built_class(group: str, option: Option) -> type:
    """The class of what an option builds, without building it.

    Args:
        group: the option's group, for messages.
        option: what was chosen.

    Raises:
        UserError: its target cannot be imported or is no class.
    """
    target = locate(group, option.target)
    if not isinstance(target, type):
        raise UserError(f"{group}._target_={option.target}: not a class")
    return target
