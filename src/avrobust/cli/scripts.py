"""What the scripts share: starting Hydra, and an exit status for everything that can happen."""

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from avrobust.cli.help import hasten_completion, help_text
from avrobust.cli.mistakes import complain, explain
from avrobust.errors import UserError
from avrobust.experiments.schema import register

register()
# Wanted: our Slurm profile has the name of the plugin's, whose types check it. Here and not in
# `run`, which a job on the cluster does not pass.
warnings.filterwarnings(
    "ignore", r"\s*'hydra/launcher/submitit_slurm' is validated against ConfigStore schema"
)


def run(main: Callable[[], Any]) -> None:
    """Runs a Hydra main; a user's mistake ends in one line on standard error and exit status 2.

    A sweep ends with its table and the list of what failed, and with status 1 if anything did.
    """
    if not {"-h", "--help"}.isdisjoint(sys.argv[1:]):
        script = Path(sys.argv[0])
        sys.stdout.write(help_text(script.stem, script.with_name("configs")) + "\n")
        return
    if not {"-sc", "--shell-completion"}.isdisjoint(sys.argv[1:]):
        hasten_completion()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises what it would print over many lines
    status = 0
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        sys.exit(complain(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command goes on from the last finished epoch\n")
        status = 130
    except Exception as error:  # for example a worker that was killed for its memory
        if not _sweeping():
            raise
        sys.stderr.write(f"the sweep broke off: {type(error).__name__}: {explain(error)}\n")
        status = 1
    if _sweeping():
        from avrobust.report.sweep import conclude

        status = conclude() or status
    sys.exit(status)


def _sweeping() -> bool:
    """Whether this process has begun a multirun."""
    sweeps = sys.modules.get("avrobust.experiments.sweeps")
    return sweeps is not None and sweeps.current is not None
