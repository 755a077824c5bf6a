"""Workers that are forked: they are what workers are that the controller has started itself, and as safe."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.execution.fork_ahead import SWITCH
from harness.execution.fork_server import ForkedWorker

HERE = Path(__file__).parent
REPO = HERE.parents[2]
PLAIN = "workers are started the plain way"

BOTH_RIGS = """
def beside(rig, what):
    Path(f"{rig.rig.id}.json").write_text(json.dumps(what))
    for _ in range(1500):
        if len(list(Path().glob("ioc-*.json"))) == 2:
            return
        time.sleep(0.02)
    raise AssertionError("the other rig never ran a test beside this one")
"""


def soon(true: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def told(bench) -> list[dict]:
    """What each rig's worker has written down."""
    return [json.loads(path.read_text()) for path in sorted(bench.folder.glob("ioc-*.json"))]


def has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_workers_are_forked_from_one_process_that_ends_with_the_run(bench) -> None:
    bench.write_tests(
        BOTH_RIGS
        + """
import json, random
@planned
def test_beside(rig):
    pid = os.getpid()
    parent = os.getppid()
    groups = [os.getpgid(pid), os.getpgid(parent)]
    beside(rig, {"pid": pid, "parent": parent, "groups": groups, "random": random.random()})
"""
    )
    process = bench.start("-n", "rigs")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    one, other = told(bench)
    assert one["parent"] == other["parent"] not in (process.pid, os.getpid(), 1)
    assert PLAIN not in output
    for each in (one, other):
        assert each["groups"] == [each["pid"], each["parent"]]  # the terminal's Ctrl-C is not for them
        assert has_ended(each["pid"])
    assert has_ended(one["parent"])
    assert one["random"] != other["random"]


STATE = """
import faulthandler, gc, json, sys, threading
def kind(number):
    target = os.readlink(f"/proc/self/fd/{number}")
    return target.partition(":")[0].partition("/tmp/")[0]
def descriptors():
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[int(number)] = kind(number)
        except FileNotFoundError:
            pass  # what has listed them
    return found
@planned
def test_what_a_worker_is(rig, request, tmp_path):
    others = ("HARNESS_FORK", "PYTEST_XDIST_TESTRUNUID", "PYTEST_CURRENT_TEST", "COLUMNS", "LINES")
    found = descriptors()
    told = {
        "argv": sys.argv,
        "cwd": os.getcwd(),
        "environ": {name: value for name, value in os.environ.items() if name not in others},
        "path": sys.path,
        "signals": {
            n: getattr(handler := signal.getsignal(n), "__qualname__", str(handler))
            for n in signal.valid_signals()
            if n != signal.SIGALRM
        },
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "standard": [found[n] for n in range(3)],
        "sockets": sorted(each for each in found.values() if each in ("socket", "anon_inode", "pipe")),
        "leads": os.getpgrp() == os.getpid(),
        "faulthandler": faulthandler.is_enabled(),
        "garbage": {"collected": gc.isenabled(), "what began is spared": gc.get_freeze_count() > 10_000},
        "worker": request.config.workerinput["workerid"],
        "keys": sorted(request.config.workerinput),
        "folder": tmp_path.parent.name,
        "stdin": type(sys.stdin).__name__,
        "name": __name__,
    }
    Path("ioc-told.json").write_text(json.dumps(told, default=str))
"""


def test_a_fork_is_what_a_worker_is_that_the_controller_has_started(bench) -> None:
    bench.edit_lab(r"  ioc-2:.*\Z", "")
    bench.write_tests(STATE)
    seen = []
    for forked in ("1", "0"):
        bench.environment[SWITCH] = forked
        code, output = bench.run("-n", "rigs", f"--run-id={forked}")
        assert code == 0, output
        seen += told(bench)
    for key, value in seen[0].items():
        assert value == seen[1][key], key
    assert seen[0]["garbage"] == {"collected": True, "what began is spared": True}


def test_failed_asserts_of_a_pack_are_explained_and_output_is_kept_apart(bench) -> None:
    bench.write_tests(
        BOTH_RIGS
        + """
import json
@planned
def test_beside(rig):
    beside(rig, "")
    for _ in range(100):
        print("printed at", rig.rig.id, flush=True)
        time.sleep(0.002)
    assert len(rig.rig.id) + 1 == 4
"""
    )
    code, output = bench.run("-n", "rigs")
    assert code == 1
    assert "assert (5 + 1) == 4" in output
    assert "where 5 = len('ioc-1')" in output
    parts = re.findall(r"Captured stdout call -+\n((?:printed at ioc-\d\n)+)", output)
    assert len(parts) == 2
    assert sorted(set(part.splitlines()) == {part.splitlines()[0]} for part in parts) == [True, True]
    assert [len(part.splitlines()) for part in parts] == [100, 100]


def test_a_killed_worker_is_replaced_while_the_others_work_on(bench) -> None:
    bench.environment["RIGS_DIE"] = "1"
    bench.write_tests("""
    @planned
    def test_dies_once(rig):
        Path(f"forked-by-{os.getppid()}").touch()
        if not Path("died").exists():
            Path("died").write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        Path("came-again").touch()
        died = Path("/proc", Path("died").read_text())
        for _ in range(1500):  # its pipes close, and so another comes, a moment before it is dead
            if not died.exists():
                return
            time.sleep(0.02)
        raise AssertionError("the worker that was killed is left as a zombie")
    @planned
    def test_waits_for_it(rig):
        for _ in range(1500):
            if Path("came-again").exists():
                return
            time.sleep(0.02)
        raise AssertionError("nobody noticed that the other worker had died")
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 0, output
    assert len(list(bench.folder.glob("forked-by-*"))) == 1
    assert PLAIN not in output


def test_the_loss_of_the_forking_process_harms_no_worker_and_later_ones_start_the_plain_way(bench) -> None:
    bench.environment["RIGS_DIE"] = "1"
    bench.edit_lab(r"  ioc-2:.*\Z", "")
    bench.write_tests("""
    @planned
    def test_kills_it(rig):
        parent = os.getppid()
        os.kill(parent, signal.SIGKILL)
        while os.getppid() == parent:
            time.sleep(0.02)
        Path("killed").touch()
    @planned
    def test_dies_once(rig):
        assert Path("killed").exists()
        Path(f"started-by-{os.getppid()}").touch()
        if not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    @planned
    def test_goes_on(rig):
        pass
    """)
    process = bench.start("-n", "rigs", "-k", "active")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert (bench.folder / f"started-by-{process.pid}").exists()
    assert PLAIN in output
    assert set(bench.outcomes().values()) == {"passed"}


def test_what_starts_threads_when_it_is_imported_is_not_forked(bench) -> None:
    bench.environment["PYTHONPATH"] = f"{HERE}:{bench.folder}"
    bench.edit_lab(r"plugins: \[fake_rigs\]", "plugins: [fake_rigs, eager]")
    (bench.folder / "eager.py").write_text(
        "from harness.hooks import hookimpl\n@hookimpl\ndef harness_preload(lab):\n    return ['busy']\n"
    )
    (bench.folder / "busy.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    bench.write_tests("""
    @planned
    def test_well(rig): Path(f"started-by-{os.getppid()}").touch()
    """)
    process = bench.start("-k", "active", program=("harness",))
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert (bench.folder / f"started-by-{process.pid}").exists()
    assert "threads that an import has started run there: 1" in output


def test_the_first_worker_is_not_kept_waiting_for_what_is_imported_ahead(bench) -> None:
    bench.environment["PYTHONPATH"] = f"{HERE}:{bench.folder}"
    bench.edit_lab(r"plugins: \[fake_rigs\]", "plugins: [fake_rigs, eager]")
    (bench.folder / "eager.py").write_text(
        "from harness.hooks import hookimpl\n"
        "@hookimpl\n"
        "def harness_preload(lab): return ['until_asked', 'until_begun']\n"
    )
    (bench.folder / "until_asked.py").write_text(
        "import sys\n"
        "from select import select\n"
        "select([sys.modules['__main__'].TEMPLATE._link], [], [], 60)\n"
    )
    (bench.folder / "until_begun.py").write_text(
        "import time\n"
        "from pathlib import Path\n"
        "for _ in range(3000):\n"
        "    time.sleep(0 if Path('begun').exists() else 0.02)\n"
    )
    bench.write_tests("""
    import sys
    @planned
    def test_begins(rig):
        Path(f"{len(sys.modules.keys() & {'until_asked', 'until_begun'})}-of-{rig.rig.id}").touch()
        Path("begun").touch()
        while len([*Path().glob("?-of-*")]) < 2:
            time.sleep(0.02)
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 0, output
    assert sorted(path.name[0] for path in bench.folder.glob("?-of-*")) == ["1", "2"]


def test_when_the_controller_is_killed_all_end_and_rigs_are_put_down_first(bench) -> None:
    bench.write_tests(
        BOTH_RIGS
        + """
import json
@planned
def test_beside(rig):
    beside(rig, [os.getpid(), os.getppid()])
    Path(rig.rig.id).touch()
    for _ in range(1500):
        time.sleep(0.02)
"""
    )
    process = bench.start("-n", "rigs")
    soon(lambda: len([path for path in bench.folder.glob("ioc-*") if not path.suffix]) == 2)
    assert len(list((bench.folder / "runs/run/open").iterdir())) == 2
    process.kill()
    process.communicate(timeout=60)
    for pids in told(bench):
        for pid in pids:
            soon(lambda pid=pid: has_ended(pid))
    assert not list((bench.folder / "runs/run/open").iterdir())


@pytest.fixture
def stopped():
    """A process that does nothing, not even end."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        yield process
        process.kill()


def test_a_worker_that_hangs_can_be_killed_and_its_end_waited_for(stopped) -> None:
    (ours_in, stdin), (stdout, ours_out) = os.pipe(), os.pipe()
    worker = ForkedWorker(stopped.pid, os.pidfd_open(stopped.pid), stdin, stdout)
    with worker.stdin, worker.stdout:
        worker.kill()
        worker.wait()
        assert stopped.wait(timeout=30) == -signal.SIGKILL
        worker.wait()
        worker.kill()  # whoever has its number now is somebody else
    os.close(ours_in)
    os.close(ours_out)


OPENING = """
import importlib, os, pickle, sys, tempfile
from pathlib import Path
from harness.config import load_lab
from harness.execution.rig_keeper import open_rig
from harness.hooks import RunContext, plugin_manager
from harness.records.evidence import TraceRouter

lab = load_lab(Path("lab_config/simulated.yaml"))
hooks = plugin_manager(lab.plugins)
folder = Path(tempfile.mkdtemp(dir=sys.argv[1]))
run = RunContext(run_id="run", folder=folder, seed=1)
told, tells = map(os.fdopen, os.pipe(), ("rb", "wb"))
ended, end = map(os.fdopen, os.pipe(), ("rb", "wb"))
if not os.fork():  # who starts the services is another process, here as in a run
    end.close()
    services = hooks.hook.harness_start_lab(lab=lab, run=run)
    pickle.dump(dict(services.addresses), tells)
    tells.close()
    ended.read()
    services.close()
    os._exit(0)
for names in hooks.hook.harness_preload(lab=lab):
    for name in names:
        importlib.import_module(name)
known = set(sys.modules)
opened = open_rig(hooks, lab, lab.rigs[0], pickle.load(told), run, TraceRouter())
opened.close()
end.close()
os.wait()
print(*sorted(name for name in set(sys.modules) - known if name.startswith("device_drivers")))
"""


def test_what_opens_a_simulated_rig_has_been_imported_before_workers_are_forked(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPENING, str(tmp_path)],
        cwd=REPO,
        env={**os.environ, "HARNESS_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
