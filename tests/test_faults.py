"""Stops and damage at any moment: the next call finishes, with the same bytes, and says so."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from safetensors import SafetensorError
from typer.testing import CliRunner

from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.search import shards
from nogs_bench.cli import app
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.files import arrays
from nogs_bench.files.lock import locked
from places import SUPPORT
from tiny import corner_task


class Victims:
    """A warm process of `victim.py`."""

    def __init__(self, folder: Path):
        script = SUPPORT / "victim.py"
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            text=True,
        )

    def __call__(self, call: str, out: Path, **moment: float) -> int:
        """The exit status of a call that dies at a moment, if it comes."""
        self.process.stdin.write(json.dumps({"call": call, "out": str(out), **moment}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture(scope="module")
def victims(tmp_path_factory):
    made = Victims(tmp_path_factory.mktemp("victims"))
    yield made
    made.process.kill()
    made.process.communicate()


def tree(out: Path) -> dict[str, bytes]:
    """All files of a folder, hidden ones too; results without their time, which is no artefact."""
    return {
        path.relative_to(out).as_posix(): b"\n".join(
            line for line in path.read_bytes().split(b"\n") if b'"wall_time_s"' not in line
        )
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def begun(out: Path) -> Counter:
    """How often each piece of work was begun. An AVP's are its epochs: its stage goes on there."""
    lines = Path(f"{out}.log").read_text().splitlines()
    return Counter(line for line in lines if not line.startswith("stage avp-"))


def killed_again_and_again(victims, call: str, kills: int) -> None:
    """At random moments of time, and at random opening, renaming and removing of files."""
    whole = victims.folder / f"{call}-whole"
    assert victims(call, whole) == 0, Path(f"{whole}.err").read_text()
    events, seconds = json.loads(Path(f"{whole}.done").read_text())
    expected, once = tree(whole), begun(whole)
    assert set(once.values()) == {1}
    chance, here, number = random.Random(0), 0, 0
    while kills:
        out = victims.folder / f"{call}-{number}"
        moment = (
            {"seconds": chance.uniform(0, seconds)}
            if kills % 2
            else {"events": chance.randint(1, events)}
        )
        status = victims(call, out, **moment)
        assert status in (0, -signal.SIGKILL), Path(f"{out}.err").read_text()
        killed = status == -signal.SIGKILL
        here, kills = here + killed, kills - killed
        if not kills:
            status = victims(call, out)
        if status == 0:
            assert tree(out) == expected
            work = begun(out)
            assert work.keys() == once.keys()
            assert work.total() - once.total() <= here
            here, number = 0, number + 1


def test_a_few_kills(victims):
    killed_again_and_again(victims, "build", 2)
    killed_again_and_again(victims, "evaluate", 2)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["build", "evaluate"])
def test_fifty_kills(victims, call):
    killed_again_and_again(victims, call, 50)


SETTINGS = {"workers": 1, "device": "cpu", "images": 50}


def trained(out: Path, **more: object) -> Path:
    return build(corner_task(), out, **SETTINGS | more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tree(trained(tmp_path_factory.mktemp("whole") / "corner"))


def flip(path: Path) -> None:
    """Change one bit of the last number of a file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("which", ["sequences-*/*", "bank-*", "avp-*", "first-step-*"])
def test_a_damaged_file_is_made_again_and_said(tmp_path, whole, capsys, which, damage):
    out = trained(tmp_path / "corner")
    (path, *_) = (p for p in out.glob(f".build/{which}") if p.suffix == ".safetensors")
    damage(path)
    capsys.readouterr()
    assert tree(trained(out)) == whole
    said = f"repaired: {path}" in capsys.readouterr().err
    assert said == (damage is not Path.unlink)


def test_a_file_without_its_record_is_made_again(tmp_path, whole):
    out = trained(tmp_path / "corner")
    for path in out.glob(".build/*.json"):
        path.unlink()
    assert tree(trained(out)) == whole


def test_a_damaged_checkpoint_costs_its_own_work_alone(tmp_path, whole, capsys, monkeypatch):
    from nogs_bench.builders.posterior.training import epochs

    def stop(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            epochs,
            "validate_avp",
            lambda *a, v=epochs.validate_avp, n=[]: (
                n.append(0) or (stop() if len(n) == 2 else v(*a))
            ),
        )
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "corner")
    (checkpoint,) = (tmp_path / "corner" / ".build").glob(".avp-*.checkpoint.safetensors")
    cut(checkpoint)
    assert tree(trained(tmp_path / "corner")) == whole
    assert f"repaired: {checkpoint} was damaged" in capsys.readouterr().err


def test_clocks_and_times_of_files_say_nothing(tmp_path, whole, monkeypatch):
    """Back and forth by decades: what is made is not made again."""
    out = trained(tmp_path / "corner")
    for number, path in enumerate(sorted(out.rglob("*"))):
        os.utime(path, (number % 2 * 4e9, number % 2 * 4e9))
    years = iter(range(2100, 0, -1))
    monkeypatch.setattr(time, "time", lambda: next(years) * 3e7)
    monkeypatch.setattr(shards, "_annotate", None)
    assert tree(trained(out)) == whole


def full(*_: object, **__: object) -> None:
    raise SafetensorError("I/O error: No space left on device (os error 28)")


def test_a_full_disk_is_one_line_and_the_next_call_goes_on(tmp_path, monkeypatch):
    task = tmp_path / "task.py"
    task.write_text(
        f"import sys; sys.path.insert(0, {str(SUPPORT)!r})\n"
        "from tiny import corner_task\nMINE = corner_task()\n"
    )
    call = ["build", f"{task}:MINE", "--out", str(tmp_path / "out"), "--device", "cpu"]
    call += ["--images", "30", "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(arrays, "save_file", full)
        result = CliRunner().invoke(app, call)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    *_, line = result.stderr.strip().splitlines()
    assert "0000000.safetensors: " + os.strerror(errno.ENOSPC) in line
    assert "free some space and give the same command again" in line
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output


def test_two_builds_in_one_folder(tmp_path, whole):
    """The second one leaves at once; a file that a killed one left is no lock."""
    out = tmp_path / "corner"
    lock = out / ".build" / "lock"
    with (
        locked(lock, "busy"),
        pytest.raises(NogsError, match=rf"another build is at work in .*process {os.getpid()}"),
    ):
        trained(out)
    with pytest.raises(NogsError, match="another build"), locked(lock, "busy", shared=True):
        trained(out)
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("process 1 on elsewhere")
    assert tree(trained(out)) == whole


def test_two_parts_share_a_folder(tmp_path):
    lock = tmp_path / "lock"
    with locked(lock, "busy", shared=True), locked(lock, "busy", shared=True):
        pass
    with (
        locked(lock, "busy"),
        pytest.raises(NogsError, match="busy"),
        locked(lock, "busy", shared=True),
    ):
        pass


def alive_in(group: int) -> list[int]:
    """Processes of a group, but for those that wait to be buried."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_build_in_one_line_and_leaves_nothing_behind(tmp_path, number):
    task = tmp_path / "task.py"
    task.write_text(
        f"import sys; sys.path.insert(0, {str(SUPPORT)!r})\n"
        "from tiny import corner_task\nMINE = corner_task(name='mine')\n"
    )
    out = tmp_path / "out"
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from nogs_bench.cli import main\nmain()"
    )
    call = [sys.executable, "-c", code, "build", f"{task}:MINE", "--images", "200"]
    call += ["--samples", "2000", "--workers", "2", "--device", "cpu", "--out", str(out)]
    parent = subprocess.Popen(
        call, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not list(out.glob(".build/sequences-*/0*")):
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(number)
    _, errors = parent.communicate(timeout=60)
    assert parent.returncode == 128 + number
    assert errors.strip().splitlines()[-1].startswith("interrupted: finished stages are kept")
    assert "Traceback" not in errors
    while alive_in(parent.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not [path for path in out.rglob(".*") if path.is_file()]
    assert not (out / ".build" / "lock").exists()


def test_damage_in_an_evaluation_is_repaired_and_said(tmp_path, capsys, monkeypatch):
    from corner_task import CORNER

    monkeypatch.setattr("nogs_bench.training.runstate.CHECKPOINT_SECONDS", 0.0)
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "protocol": "pretrained"}
    evaluate(out=tmp_path / "whole", **settings)
    out = tmp_path / "cut"
    with monkeypatch.context() as patch:
        patch.setattr("nogs_bench.evaluation.work.save_result", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate(out=out, **settings)
    (checkpoint,) = (out / ".checkpoints").glob("*.safetensors")
    (weights,) = (out / ".pretrained").glob("*.safetensors")
    flip(checkpoint)
    cut(weights)
    half = out / ".corner.json.ab12cd34.json"
    half.write_text("{")
    store = out / ".checkpoints" / "images-killed"
    store.mkdir()
    evaluate(out=out, **settings)
    assert tree(out) == tree(tmp_path / "whole")
    said = capsys.readouterr().err
    assert all(f"repaired: {path}" in said for path in (checkpoint, weights, half, store))


@pytest.mark.slow
def test_workers_of_an_evaluation_end_with_a_parent_that_was_killed(tmp_path):
    task = tmp_path / "task.py"
    task.write_text(
        f"import sys; sys.path.insert(0, {str(SUPPORT)!r})\n"
        "from dataclasses import replace\nfrom corner_task import CORNER\n"
        "MINE = replace(CORNER, name='mine')\n"
    )
    call = [sys.executable, "-c", "from nogs_bench.cli import main; main()", "evaluate"]
    call += ["--task", f"{task}:MINE", "--methods", "ram", "--seeds", "2", "--workers", "2"]
    call += ["--iterations", "1000000", "--device", "cpu", "--out", str(tmp_path / "out")]
    parent = subprocess.Popen(call, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "out" / ".checkpoints").glob("*.safetensors"))) < 2:
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    while alive_in(parent.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)
