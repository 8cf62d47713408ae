"""The tests' fork server: a program in a fork has to look like one in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests import forking

ROOT = Path(__file__).parents[1]

STATUSES = {
    "pass": 0,
    "import sys; sys.exit()": 0,
    "import sys; sys.exit(3)": 3,
    "import sys; sys.exit('no luck')": 1,
    "1 / 0": 1,
    "import os, signal; os.kill(os.getpid(), signal.SIGTERM)": -15,
}


@pytest.mark.parametrize("code", STATUSES)
def test_the_exit_status_is_that_of_a_real_process(code: str) -> None:
    assert forking.run("-c", code).returncode == STATUSES[code]


def test_output_and_traceback_are_captured() -> None:
    done = forking.run("-c", "print('before'); import sys; sys.stderr.write('x\\n'); 1 / 0")
    assert done.stdout == "before\n"
    assert done.stderr.startswith("x\nTraceback (most recent call last):\n")
    assert done.stderr.endswith("\nZeroDivisionError: division by zero\n")


def test_exit_handlers_and_threads_are_waited_for() -> None:
    code = (
        "import atexit, threading, time; atexit.register(print, 'last');"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()"
    )
    assert forking.run("-c", code).stdout == "thread\nlast\n"


def test_folder_environment_and_modules_stay_in_their_fork(tmp_path: Path) -> None:
    code = (
        "import os, sys;"
        "print(os.getcwd(), os.environ.get('COLOR'), 'this' in sys.modules, sys.argv);"
        "os.chdir('/'); os.environ['COLOR'] = 'red'; sys.modules['this'] = sys"
    )
    first = forking.run("-c", code, "a", "b c", cwd=tmp_path, env={"COLOR": "blue"})
    assert first.stdout == f"{tmp_path} blue False ['-c', 'a', 'b c']\n"
    second = forking.run("-c", code, cwd=tmp_path, env={})
    assert second.stdout == f"{tmp_path} None False ['-c']\n"
    assert "COLOR" not in os.environ


def test_a_script_finds_its_neighbors_and_its_name(tmp_path: Path) -> None:
    (tmp_path / "neighbor.py").write_text("VALUE = 7")
    script = tmp_path / "script.py"
    script.write_text("import sys, neighbor; print(__name__, sys.argv, neighbor.VALUE)")
    assert forking.run(str(script), "x").stdout == f"__main__ ['{script}', 'x'] 7\n"


def test_a_fork_has_the_libraries_but_none_of_our_modules_and_one_thread() -> None:
    code = (
        "import sys, threading, torch; loaded = set(sys.modules);"
        "print({'avrobust', 'tests'} & loaded,"
        "'pytorch_lightning' in loaded, torch.get_num_threads(), threading.active_count())"
    )
    assert forking.run("-c", code).stdout == "set() True 1 1\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_can_be_killed_while_others_run(number: signal.Signals) -> None:
    sleep = "import time; time.sleep(60)"
    with forking.start("-c", sleep) as other, forking.start("-c", sleep) as process:
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(timeout=10) == -number
        assert other.poll() is None
    assert other.returncode == -signal.SIGKILL


def test_ctrl_c_reaches_the_program() -> None:
    code = (
        "import sys, time\nprint('up', flush=True)\n"
        "try: time.sleep(60)\nexcept KeyboardInterrupt: sys.exit(130)"
    )
    with forking.start("-c", code) as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("up\n", "")
        assert process.returncode == 130


def test_a_program_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
    )
    with pytest.raises(subprocess.TimeoutExpired):
        forking.run("-c", code, cwd=tmp_path, timeout=1)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_the_server_ends_with_its_client() -> None:
    program = (
        "import psutil; server = psutil.Process().parents()[1];"
        "print(server.cmdline()[1:2], server.pid)"
    )
    code = (
        "import os, sys; from tests import forking; forking.LIBRARIES = ();"
        f"print(forking.run('-c', {program!r}).stdout, flush=True); os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    file, server = done.stdout.split()
    assert file == repr([forking.__file__])
    _, alive = psutil.wait_procs([p for p in psutil.process_iter() if p.pid == int(server)], 10)
    assert not alive


def test_modules_are_found_where_pythonpath_says(tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("VALUE = 7")
    code = "import elsewhere; print(elsewhere.VALUE)"
    assert forking.run("-c", code, env={"PYTHONPATH": str(tmp_path)}).stdout == "7\n"
    assert "ModuleNotFoundError" in forking.run("-c", code, env={}).stderr
