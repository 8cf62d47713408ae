"""A Slurm for one test: munged, slurmctld, slurmd on the loopback address, in a new folder."""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
SEARCH = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
)  # daemons are often not in PATH

# No cgroups, no accounting: it has to run where nothing but the packages is there.
# A job in `low` is preempted by one in `high`: it is told, has GraceTime seconds, is killed and
# queued again.
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
AuthType=auth/munge
CredType=cred/munge
# A job that is queued again waits until the credentials of its first start have expired.
# The default is two minutes.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=2
ReturnToService=2
SlurmdParameters=config_overrides
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime=2
PartitionName=high Nodes=ALL PriorityTier=2
"""


def missing() -> list[str]:
    """The programs that a Slurm needs and that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program, path=SEARCH) is None]


@contextmanager
def slurm(more: str = "") -> Iterator[dict[str, str]]:
    """A running Slurm; yields the environment variables that lead its commands to it.

    Args:
        more: further lines of slurm.conf.
    """
    # A short path of its own: the address of a Unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, ExitStack() as stack:
        folder = Path(name)
        env = {"SLURM_CONF": str(_write_config(folder, more))}
        _start(stack, folder, env, *_munged(folder))
        _wait_for((folder / "munge.socket").exists, folder)
        _start(stack, folder, env, "slurmctld", "-D")
        _start(stack, folder, env, "slurmd", "-D")
        _wait_for(
            lambda: command(env, "sinfo", "--noheader", "--partition=low", "--format=%T") == "idle",
            folder,
        )
        stack.callback(_stop_jobs, env, folder)  # before the daemons: nobody else could stop them
        yield env


def command(env: Mapping[str, str], *line: str) -> str:
    """What one of Slurm's programs prints; nothing where it fails."""
    done = subprocess.run(
        line, env={**os.environ, **env}, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _write_config(folder: Path, more: str) -> Path:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    path = folder / "slurm.conf"
    control_port, node_port = _free_ports(2)
    host = socket.gethostname().partition(".")[0]
    path.write_text(
        CONFIG.format(
            folder=folder,
            host=host,
            user=getpass.getuser(),
            control_port=control_port,
            node_port=node_port,
        )
        + more
    )
    return path


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _munged(folder: Path) -> list[str]:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    files = {
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
        "seed-file": "munged.seed",
    }
    paths = [f"--{option}={folder / name}" for option, name in files.items()]
    # --force: the folder is private to this user, which munged takes for a mistake.
    return ["munged", "--foreground", "--force", f"--key-file={key}", *paths]


def _start(
    stack: ExitStack, folder: Path, env: Mapping[str, str], program: str, *options: str
) -> None:
    """Starts a daemon in the foreground, so that the handle stops this one and no other."""
    path = shutil.which(program, path=SEARCH)
    assert path is not None
    with (folder / f"{program}.out").open("wb") as log:
        process = subprocess.Popen(
            [path, *options], env={**os.environ, **env}, stdout=log, stderr=log
        )
    stack.callback(_stop, process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _stop_jobs(env: Mapping[str, str], folder: Path) -> None:
    command(env, "scancel", f"--user={getpass.getuser()}")
    _wait_for(lambda: command(env, "squeue", "--noheader") == "", folder)


def _wait_for(true: Callable[[], bool], folder: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            logs = {
                path.name: path.read_text(errors="replace")[-1500:] for path in folder.glob("*.out")
            }
            raise TimeoutError(f"Slurm did not get there in {seconds:.0f} s: {logs}")
        time.sleep(0.2)
