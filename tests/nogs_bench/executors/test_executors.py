"""Who does shards, and what becomes of shards whose worker dies, hangs or fails."""

from __future__ import annotations

import errno
import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from builds import files
from chores import complain, die, die_once, fill_the_disk, hang_once, load, slowly, talk
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.pipeline.parts import Part, read_part
from nogs_bench.errors import NogsError
from nogs_bench.evaluation import command as evaluation
from nogs_bench.evaluation.command import evaluate
from nogs_bench.executors import scheduling
from nogs_bench.executors.executor import EXECUTORS, Crew, open_executor
from nogs_bench.executors.local import LocalExecutor
from places import SUPPORT
from tiny import corner_task

# Ray 2.40 does not wait for the processes of its own that it ends.
RAY = pytest.mark.filterwarnings("ignore:subprocess \\d+ is still running:ResourceWarning")
KINDS = ["local", pytest.param("ray", marks=RAY)]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Ray's workers import from where the driver is: not from the checkout, but what is tested."""
    monkeypatch.chdir(tmp_path)
    yield
    gc.collect()  # what a test leaves is the test's own fault


def executor(kind):
    if kind == "ray":
        pytest.importorskip("ray")
    return open_executor(kind, Crew(2))


def outcome(kind, folder, fault=None, count=8):
    return sorted(executor(kind).run(partial(load, folder, fault), range(count)))


def test_every_item_is_done_once(tmp_path):
    assert outcome("local", tmp_path) == [(n, n * n) for n in range(8)]
    done_by = [path.read_text().split() for path in tmp_path.iterdir()]
    assert all(len(who) == 1 for who in done_by)
    assert str(os.getpid()) not in {who[0] for who in done_by}


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_worker_is_replaced_and_its_item_done_again(kind, tmp_path, capsys):
    assert outcome(kind, tmp_path, die_once) == [(n, n * n) for n in range(8)]
    times = {path.name: len(path.read_text().splitlines()) for path in tmp_path.iterdir()}
    assert times == {str(n): 2 if n == 3 else 1 for n in range(8)}
    assert "a worker died" in capsys.readouterr().err


def test_an_item_that_kills_every_worker_is_given_up(tmp_path, capsys):
    with pytest.raises(NogsError, match=r"died again and again .*exit code -9"):
        outcome("local", tmp_path, die)
    assert 10 <= len((tmp_path / "3").read_text().splitlines()) <= 12


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_build_whose_workers_are_killed_every_few_seconds(kind, tmp_path, capsys):
    """One of two, whatever it is at, even getting ready; the bytes are an undisturbed one's."""
    settings = {"posterior": "bank", "device": "cpu", "images": 240, "bank_images": 100}
    undisturbed = build(corner_task(), tmp_path / "undisturbed", workers=1, **settings)
    slow = Slowly(executor(kind), tmp_path / "workers")
    slow.folder.mkdir()
    with killing(slow.folder, 3.0) as killed:
        out = build(corner_task(), tmp_path / "killed", executor=slow, **settings)
    assert files(out) == files(undisturbed)
    assert len(killed) >= 3
    assert capsys.readouterr().err.count("a worker died") >= 3


@dataclass(frozen=True)
class Slowly:
    """An executor whose workers take their time."""

    executor: object
    folder: Path
    workers: int = 2

    def run(self, load, items, watch=None):
        return self.executor.run(partial(slowly, self.folder, load), items, watch)


@contextmanager
def killing(folder, seconds):
    """Kill one of the workers that lives every few seconds; gives those killed so far."""
    killed, over, chance = [], threading.Event(), random.Random(0)

    def kill():
        while not over.wait(chance.uniform(0.5, 1.5) * seconds):
            living = [int(path.name) for path in folder.iterdir() if alive(int(path.name))]
            if living:
                killed.append(chance.choice(living))
                os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("kind", KINDS)
def test_a_straggler_is_done_by_another(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(scheduling, "STRAGGLER_SECONDS", 0.5)
    monkeypatch.setattr(scheduling, "POLL_SECONDS", 0.1)
    assert outcome(kind, tmp_path, hang_once) == [(n, n * n) for n in range(8)]
    first, second = (tmp_path / "3").read_text().split()
    assert first != second


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("fault", "kept"), [(complain, NogsError), (fill_the_disk, OSError)])
def test_what_an_item_raises_arrives(kind, tmp_path, fault, kept):
    with pytest.raises(kept) as caught:
        outcome(kind, tmp_path, fault)
    if kept is OSError:
        assert caught.value.errno == errno.ENOSPC
        assert caught.value.filename == str(tmp_path)
    else:
        assert str(caught.value) == "item 3 is bad"


def test_one_worker_is_this_process(tmp_path):
    assert list(LocalExecutor(1).run(partial(load, tmp_path), [5])) == [(0, 25)]
    assert (tmp_path / "5").read_text().split() == [str(os.getpid())]


@pytest.mark.parametrize("kind", ["here", *KINDS])
def test_what_items_tell_is_heard(kind, tmp_path):
    heard = []
    crew = LocalExecutor(1) if kind == "here" else executor(kind)
    items = [7, 8, 9]
    found = crew.run(partial(load, tmp_path, talk), items, lambda *told: heard.append(told))
    assert sorted(found) == [(place, item * item) for place, item in enumerate(items)]
    for place, item in enumerate(items):
        told = [(done, note) for at, done, note in heard if at == place]
        assert told == [(done, f"{done} of {item}") for done in range(1, 4)]


def test_unknown_executors_and_counts(tmp_path):
    with pytest.raises(NogsError, match="did you mean 'local'"):
        open_executor("locl", Crew())
    with pytest.raises(NogsError, match="at least 1"):
        open_executor("local", Crew(0))
    assert {"local", "ray"} <= set(EXECUTORS.names())


def test_workers_end_with_a_parent_that_was_killed(tmp_path):
    """Those of `build`, and those of `evaluate` in the middle of a job."""
    code = (
        f"import sys, signal; sys.path[:0] = {[str(SUPPORT)]!r}\n"
        "from functools import partial\n"
        "from pathlib import Path\n"
        "from nogs_bench.executors.local import LocalExecutor\n"
        "import chores\n"
        "if __name__ == '__main__':\n"
        f"    load = partial(chores.load, Path({str(tmp_path)!r}), chores.hang)\n"
        "    list(LocalExecutor(2).run(load, range(2)))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, script], cwd=tmp_path, start_new_session=True)
    try:
        waited = time.monotonic() + 60
        while not all((tmp_path / str(n)).exists() for n in range(2)):
            assert time.monotonic() < waited
            time.sleep(0.1)
    finally:
        parent.kill()
        parent.wait()
    pids = [int((tmp_path / str(n)).read_text()) for n in range(2)]
    waited = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < waited
        time.sleep(0.1)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "corner"
    return build(corner_task(), folder, posterior="bank", workers=1, device="cpu", images=50)


@pytest.mark.slow
def test_a_build_on_a_cluster_has_the_same_bytes(built, tmp_path):
    pytest.importorskip("ray")
    settings = {"posterior": "bank", "workers": 2, "device": "cpu", "images": 50}
    out = build(corner_task(), tmp_path / "corner", executor="ray", **settings)
    assert files(out) == files(built)


def test_parts_make_all_shards_and_a_last_call_the_dataset(built, tmp_path, monkeypatch):
    settings = {"posterior": "bank", "workers": 1, "device": "cpu", "images": 50}
    for part in ("2/3", "0/3", "1/3"):
        build(corner_task(), tmp_path / "corner", part=part, **settings)
        assert not (tmp_path / "corner" / "README.md").exists()
    monkeypatch.setattr("nogs_bench.builders.search.shards._annotate", None)  # all are made
    assert files(build(corner_task(), tmp_path / "corner", **settings)) == files(built)


def test_parts_are_disjoint_and_complete():
    shards = list(range(11))
    parts = [Part(number, 3).of(shards) for number in range(3)]
    assert sorted(shard for part in parts for shard in part) == shards
    assert read_part("2/3") == Part(2, 3)
    for text in ("3/3", "-1/3", "1", "1/0", "a/b", "1/3/5"):
        with pytest.raises(NogsError, match=f"--part {text}"):
            read_part(text)


@pytest.mark.slow
def test_a_bank_and_folds_by_two_processes_have_the_same_bytes(tmp_path):
    """Shards of a generated bank, and each fold's AVP in a worker of its own."""
    settings = {"bank": "gan,steps=2", "bank_images": 1100, "images": 12, "folds": 2}
    for workers in (1, 2):
        build(corner_task(), tmp_path / f"{workers}", workers=workers, device="cpu", **settings)
    assert files(tmp_path / "1") == files(tmp_path / "2")


@pytest.mark.slow
def test_runs_on_a_cluster_are_those_of_this_machine(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    heard = []
    watching = evaluation.shown_in

    def watch(bars, jobs):
        shown = watching(bars, jobs)
        return lambda job, at, note: (heard.append((job.stage.name, at)), shown(job, at, note))

    monkeypatch.setattr(evaluation, "shown_in", watch)
    file = tmp_path / "task.py"
    file.write_text(
        f"import sys; sys.path.insert(0, {str(SUPPORT)!r})\n"
        "from dataclasses import replace\nfrom corner_task import CORNER\n"
        "MINE = replace(CORNER, name='mine')\n"
    )
    settings = {"methods": "ram", "seeds": 2, "device": "cpu", "task": f"{file}:MINE"}
    settings |= {"protocol": "pretrained"}
    evaluate(out=tmp_path / "here", workers=2, **settings)
    heard.clear()
    evaluate(out=tmp_path / "there", workers=2, executor="ray", **settings)
    for stage in ("pretraining", "run"):
        assert {0 < at < 20 for where, at in heard if where == stage} == {True, False}
    names = sorted(path.name for path in (tmp_path / "here").glob("*.json"))
    assert len(names) == 2
    for name in names:
        a, b = ((tmp_path / place / name).read_text().splitlines() for place in ("here", "there"))
        assert [x for x in a if "wall_time" not in x] == [x for x in b if "wall_time" not in x]
    assert not (tmp_path / "there" / ".checkpoints").exists()


SCRIPT = """
from functools import partial
from pathlib import Path
from chores import load
from nogs_bench.executors import LocalExecutor

print("the script runs")
print(sorted(LocalExecutor(2).run(partial(load, Path({folder!r}), None), range(4))))
"""


GUARDED = """
from dataclasses import dataclass
from nogs_bench.executors import LocalExecutor

@dataclass
class Adding:
    more: int
    def __call__(self):
        return lambda item: item + self.more

if __name__ == "__main__":
    print(sorted(LocalExecutor(2).run(Adding(7), range(3))))
"""


def test_workers_know_what_a_script_defines_that_asks_for_its_name(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(GUARDED, encoding="utf-8")
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert (run.stdout.strip(), run.stderr) == ("[(0, 7), (1, 8), (2, 9)]", "")


def test_workers_do_not_run_the_callers_script_again(tmp_path):
    script, folder = tmp_path / "script.py", tmp_path / "done"
    folder.mkdir()
    script.write_text(SCRIPT.format(folder=str(folder)), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(SUPPORT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == ["the script runs", str([(n, n * n) for n in range(4)])]
