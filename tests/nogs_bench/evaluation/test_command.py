from __future__ import annotations

import errno
import gc
import json
import os
import queue
import signal
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import nogs_bench.evaluation.pool
from corner_task import CORNER, Inverted, write_maps, write_sequences
from nogs_bench import HardAttentionNet
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.evaluation.logs import LOGS
from nogs_bench.executors import LocalExecutor
from nogs_bench.executors.scheduling import Lost, Ready
from nogs_bench.images import EVERY_SPLIT, shared_images
from nogs_bench.methods import METHODS, register_method
from nogs_bench.network import EMBEDDERS
from nogs_bench.results.entries import load_results
from nogs_bench.results.storage import load_result
from nogs_bench.tasks import TASKS, register_task
from nogs_bench.training import GLIMPSES
from places import SUPPORT

NAMES = [f"corner.scratch.{m}.reference.seed{s}.json" for m in ("ps-nogs", "ram") for s in (0, 1)]


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    return write_sequences(tmp_path / "sequences")


@pytest.fixture
def task_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The task as a user names it; processes find the module it is from."""
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    (tmp_path / "mine.py").write_text("from corner_task import CORNER\n")
    return f"{tmp_path}/mine.py:CORNER"


def _plain(path: Path) -> dict:
    """A result without what differs between two equal runs."""
    content = json.loads(path.read_text())
    return {key: value for key, value in content.items() if key != "wall_time_s"}


def test_processes_and_this_process_give_the_same_results(tmp_path, sequences, task_file):
    settings = {"sequences": sequences, "seeds": 2, "protocol": "pretrained", "device": "cpu"}
    inside = evaluate(task=CORNER, out=tmp_path / "a", workers=1, **settings)
    outside = evaluate(task=task_file, out=tmp_path / "b", workers=2, **settings)
    assert [(row.method, row.seeds) for row in inside.rows] == [
        ("ram", (0, 1)),
        ("ps-nogs", (0, 1)),
    ]
    assert outside == inside
    names = sorted(path.name for path in (tmp_path / "a").glob("*.json"))
    assert names == [name.replace("scratch", "pretrained") for name in NAMES]
    for name in names:
        assert _plain(tmp_path / "a" / name) == _plain(tmp_path / "b" / name)
    # Pre-training is one a seed, for both methods; nothing else is left.
    assert len(list((tmp_path / "b" / ".pretrained").iterdir())) == 2
    assert not (tmp_path / "b" / ".checkpoints").exists()

    supervised = load_result(tmp_path / "a" / names[0])
    assert supervised.dataset.supervised == 48
    assert supervised.hyperparameters.pretraining.glimpses == "uniform"
    assert supervised.test.images == 40
    assert load_result(tmp_path / "a" / names[2]).dataset is None


def test_methods_of_a_seed_start_alike_and_runs_are_made_once(tmp_path, sequences, monkeypatch):
    settings = {"task": CORNER, "sequences": sequences, "seeds": [4], "out": tmp_path / "out"}
    evaluate(methods="ram", **settings)
    first = next((tmp_path / "out").glob("*.json"))
    written = first.stat().st_mtime_ns
    evaluate(methods=["ram", "ps-nogs"], **settings)
    assert first.stat().st_mtime_ns == written
    curves = [result.curve for result in load_results(tmp_path / "out")]
    assert curves[0][0] == curves[1][0]
    assert curves[0][-1] != curves[1][-1]

    def fail(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(sys.modules[evaluate.__module__], "do_all", fail)
    scores = evaluate(methods=["ps-nogs"], **settings)
    assert [row.method for row in scores.rows] == ["ps-nogs"]


def test_a_result_of_other_settings_is_never_overwritten(tmp_path):
    settings = {"task": CORNER, "methods": ["ram"], "seeds": 1, "out": tmp_path}
    evaluate(**settings)
    with pytest.raises(
        NogsError, match=r"hyperparameters\.iterations = 20, not 30; choose another"
    ):
        evaluate(iterations=30, **settings)
    with pytest.raises(NogsError, match=r"learning_rate = 0\.005, not 0\.1"):
        evaluate(training={"learning_rate": 0.1}, **settings)


def test_an_interrupted_evaluation_resumes_to_the_same_result(tmp_path, monkeypatch):
    monkeypatch.setattr("nogs_bench.training.runstate.CHECKPOINT_SECONDS", 0.0)
    settings = {"task": CORNER, "methods": ["ram"], "seeds": 1, "protocol": "pretrained"}
    evaluate(out=tmp_path / "whole", **settings)

    do = nogs_bench.evaluation.pool.do

    def interrupted(job, report):
        def stop(done, note):
            if job.stage.name == "run" and done == 20:
                raise KeyboardInterrupt
            report(done, note)

        do(job, stop)

    with monkeypatch.context() as patch:
        patch.setattr("nogs_bench.evaluation.pool.do", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(out=tmp_path / "cut", **settings)
    assert [path.suffix for path in (tmp_path / "cut" / ".checkpoints").iterdir()] == [
        ".safetensors"
    ]
    assert not list((tmp_path / "cut").glob("*.json"))
    evaluate(out=tmp_path / "cut", **settings)
    (result,) = (tmp_path / "whole").glob("*.json")
    assert _plain(result) == _plain(tmp_path / "cut" / result.name)
    assert not (tmp_path / "cut" / ".checkpoints").exists()


def test_a_short_run_leaves_the_checkpoint_of_a_long_one(tmp_path, sequences, monkeypatch):
    monkeypatch.setattr("nogs_bench.training.runstate.CHECKPOINT_SECONDS", 0.0)
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "protocol": "scratch"}
    settings |= {"out": tmp_path, "workers": 1}

    def interrupted(job, report):
        def stop(done, note):
            if done == 20:
                raise KeyboardInterrupt
            report(done, note)

        do(job, stop)

    do = nogs_bench.evaluation.pool.do
    with monkeypatch.context() as patch:
        patch.setattr("nogs_bench.evaluation.pool.do", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate(iterations=40, **settings)
    (kept,) = (tmp_path / ".checkpoints").iterdir()
    (tmp_path / "corner.scratch.ram.reference.seed0.json").write_text("{")
    evaluate(iterations=10, **(settings | {"methods": "ps-nogs", "sequences": sequences}))
    assert kept.is_file()
    (tmp_path / "corner.scratch.ram.reference.seed0.json").unlink()
    evaluate(iterations=10, **settings)
    assert kept.is_file()


MODEL = """
from nogs_bench.methods import METHODS
from dataclasses import replace
from nogs_bench.network.model import HardAttentionNet
SCALE = 1.0
class Net(HardAttentionNet):
    def classify(self, state):
        return SCALE * super().classify(state)
METHOD = replace(METHODS["ram"], name="mine")
"""


@pytest.mark.parametrize(
    "named",
    [{"model": "{}:Net", "methods": "ram"}, {"methods": "{}:METHOD"}],
    ids=["model", "method"],
)
def test_code_that_was_changed_during_an_evaluation_is_not_run(named, tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(MODEL)
    named = {name: text.format(file) for name, text in named.items()}
    settings = {"task": CORNER, "seeds": 1, "workers": 1, "out": tmp_path / "out"}
    settings |= {"protocol": "scratch", "device": "cpu", **named}

    def edit(*_: object) -> None:
        file.write_text(MODEL.replace("1.0", "0.5"))

    with monkeypatch.context() as patch:
        patch.setattr("nogs_bench.evaluation.command.prepare", edit)
        with pytest.raises(NogsError, match=r"mine\.py:.* was changed meanwhile"):
            evaluate(**settings)
    assert not list((tmp_path / "out").glob("*.json"))
    evaluate(**settings)


def test_a_task_that_was_changed_during_an_evaluation_is_not_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(TASKS, "_entries", dict(TASKS._entries))
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "out": tmp_path / "out"}

    def edit(*_: object) -> None:
        TASKS._entries["corner"] = replace(CORNER, T=CORNER.T + 1)

    monkeypatch.setattr("nogs_bench.evaluation.command.prepare", edit)
    with pytest.raises(NogsError, match="corner was changed meanwhile; give the same command"):
        evaluate(workers=1, protocol="scratch", **settings)
    assert not list((tmp_path / "out").glob("*.json"))


def test_weights_that_were_changed_during_an_evaluation_are_not_trained(tmp_path, monkeypatch):
    """Neither by a later job of the process that has read the earlier ones."""
    monkeypatch.setattr(EMBEDDERS, "_entries", dict(EMBEDDERS._entries))
    file = tmp_path / "weights.npy"

    def make(task, units, argument):
        embedder = EMBEDDERS["conv"](task, units, "")
        with torch.no_grad():
            embedder.features[0].weight.copy_(torch.from_numpy(np.load(argument)))
        return embedder

    def write(seed: int) -> None:
        shape = (16, CORNER.channels, 3, 3)
        np.save(file, np.random.default_rng(seed).normal(size=shape).astype(np.float32))

    EMBEDDERS.add("from-file", make)
    write(0)
    settings = {"task": CORNER, "methods": "ram", "seeds": 2, "protocol": "scratch"}
    settings |= {"workers": 1, "together": 1, "embedder": f"from-file:{file}"}
    do = nogs_bench.evaluation.pool.do

    def edit(job, report):
        do(job, report)
        write(1)

    with monkeypatch.context() as patch:
        patch.setattr("nogs_bench.evaluation.pool.do", edit)
        with pytest.raises(NogsError, match=r"embedder from-file:.* was changed meanwhile"):
            evaluate(out=tmp_path / "out", **settings)
    assert len(list((tmp_path / "out").glob("*.json"))) == 1
    evaluate(out=tmp_path / "other", **settings)


def test_two_learning_rates_are_refused(tmp_path):
    with pytest.raises(NogsError, match=r"ram\+rate-2 and training\.learning_rate both say"):
        evaluate(
            task=CORNER, methods="ram,ram:rate=2", training={"learning_rate": 1e-3}, out=tmp_path
        )


def test_bad_input_is_refused_before_anything_is_trained(tmp_path, sequences):
    settings = {"task": CORNER, "sequences": sequences, "out": tmp_path / "out"}
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "provenance.json").write_text("{}")
    (tmp_path / "net.py").write_text(f"from nogs_bench import HardAttentionNet as {'N' * 101}\n")
    for bad, message in [
        ({"methods": "ram,ps-nog"}, "unknown method 'ps-nog': did you mean 'ps-nogs'"),
        ({"methods": []}, "no method given"),
        ({"seeds": 0}, "seeds must be"),
        ({"seeds": [-1]}, "seeds must be"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"out": tmp_path / "made"}, "is a dataset's folder; give results one of their own"),
        ({"ray_address": "nowhere:1"}, "--ray-address is of --executor ray"),
        ({"keypoints": tmp_path / "no.npy"}, r"no file of keypoints .*no\.npy"),
        ({"task": f"{tmp_path}/net.py"}, r"no task '.*net\.py': of a file, write FILE\.py:NAME"),
        ({"protocol": "scrach"}, "has no protocol 'scrach'"),
        ({"model": "none.py:Net"}, "no such model"),
        ({"supervised": 49}, r"49 sequences cannot supervise: sequences has 1\.\.48"),
        ({"device": "abacus"}, "abacus"),
        ({"training": {"lr": 1}}, "training.lr: training has no such setting; it has batch_size"),
        ({"overrides": {"annotation.samples": 5}}, "evaluate cannot set annotation.samples"),
        ({"overrides": {"protocol.pretraining.iterations": 5}}, "scratch .* has no pretraining"),
        ({"training": {"rollouts": 0}}, "training: rollouts must be at least 1, not 0"),
        ({"data": tmp_path / "none"}, "is not a folder"),
        ({"methods": "ram-entropy:bonus=2e9"}, "method ram-entropy.*: settings.bonus: .*less than"),
        (
            {
                "protocol": "pretrained",
                "overrides": {"protocol.pretraining.learning_rate": 1e10},
            },
            "pre-training of corner: learning_rate: .*less than",
        ),
        ({"model": f"{tmp_path}/net.py:{'N' * 101}"}, "model N*: name: .*at most 100"),
    ]:
        with pytest.raises(NogsError, match=message):
            evaluate(**(settings | bad))
    assert not (tmp_path / "out").exists()


def test_sequences_of_other_images_are_refused(tmp_path):
    other = [1 - label for label in CORNER.source.load("train").labels[:48, 0].tolist()]
    folder = write_sequences(tmp_path / "s", label=other)
    with pytest.raises(NogsError, match="other labels than the images of corner"):
        evaluate(task=CORNER, sequences=folder, seeds=1, out=tmp_path / "out")


def test_a_class_given_as_model_is_refused_with_the_way_to_name_it(tmp_path):
    with pytest.raises(NogsError, match=r"model Mine: give its file and name.*my_model\.py:Mine"):
        evaluate(type("Mine", (HardAttentionNet,), {}), task=CORNER, out=tmp_path / "out")


def test_a_model_that_fails_in_a_worker_is_reported_with_its_log(tmp_path, task_file):
    (tmp_path / "broken.py").write_text(
        "from nogs_bench.network.model import HardAttentionNet\n"
        "class Broken(HardAttentionNet):\n"
        "    def start(self, n):\n"
        "        print('noise on standard output')\n"
        "        return super().start(n) if n <= 2 else 1 / 0\n"
    )
    with pytest.raises(NogsError, match=r"ZeroDivisionError.*worker-\S*-\d+-\d\.log") as caught:
        evaluate(
            f"{tmp_path}/broken.py:Broken",
            task=task_file,
            methods="ram",
            seeds=2,
            out=tmp_path / "out",
            workers=2,
            device="cpu",
        )
    log = Path(str(caught.value).rpartition(" ")[2])
    assert "1 / 0" in log.read_text()
    assert "noise" in log.read_text()


def test_logs_of_another_call_stay_while_it_is_at_work(tmp_path, task_file):
    settings = {"methods": "ram", "protocol": "scratch", "out": tmp_path / "out", "device": "cpu"}
    checkpoints = tmp_path / "out" / ".checkpoints"
    other = checkpoints / "worker-1-0.log"
    splits = {split: CORNER.source.load(split) for split in EVERY_SPLIT}
    with shared_images(splits, checkpoints):
        other.write_text("a traceback\n")
        evaluate(task=task_file, seeds=2, workers=2, **settings)
        assert [path.name for path in checkpoints.glob("*.log")] == [other.name]
    evaluate(task=task_file, seeds=3, **settings)
    assert not checkpoints.exists()


def test_two_calls_do_not_train_the_same_runs(tmp_path, sequences, monkeypatch):
    """Nor pre-train for the same: methods of a seed share these weights."""
    settings = {"task": CORNER, "out": tmp_path, "workers": 1, "sequences": sequences}
    ram = settings | {"methods": "ram", "protocol": "pretrained"}
    scratch = settings | {"methods": "ram", "protocol": "scratch"}
    do, stages, said = nogs_bench.evaluation.pool.do, [], []

    def refused(**given):
        with pytest.raises(NogsError) as error:
            evaluate(**given)
        said.append(str(error.value))

    def beside(job, report):
        stages.append(job.stage.name)
        if len(stages) == 1:  # pre-training
            refused(seeds=[0, 2], **ram)
            refused(seeds=[1], **ram | {"methods": "ps-nogs"})
            evaluate(seeds=[1], **scratch)
        do(job, report)

    monkeypatch.setattr("nogs_bench.evaluation.pool.do", beside)
    evaluate(seeds=[0, 1], **ram)
    assert stages == ["pretraining", "run", "run"]  # the second is from scratch
    busy = "is being trained by another call; wait for it, or choose another --out"
    first, second = said
    own = tmp_path / "corner.pretrained.ram.reference.seed0.json"
    assert first.startswith(f"{own} {busy} (process {os.getpid()} on ")
    assert second.startswith(f"{tmp_path / '.pretrained'}{os.sep}")
    assert busy in second
    found = sorted(path.name.removeprefix("corner.") for path in tmp_path.glob("corner.*.json"))
    assert found == [
        "pretrained.ram.reference.seed0.json",
        "pretrained.ram.reference.seed1.json",
        "scratch.ram.reference.seed1.json",
    ]
    assert not (tmp_path / ".checkpoints").exists()


def test_an_interrupted_again_goes_on_whatever_is_called_between(tmp_path, monkeypatch):
    monkeypatch.setattr("nogs_bench.training.runstate.CHECKPOINT_SECONDS", 0.0)
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "protocol": "scratch"}
    settings |= {"out": tmp_path, "workers": 1}
    evaluate(**settings)
    do, begun = nogs_bench.evaluation.pool.do, []

    def interrupted(job, report):
        def stop(done, note):
            begun.append(done)
            if done == 20:
                raise KeyboardInterrupt
            report(done, note)

        do(job, stop)

    with monkeypatch.context() as patch:
        patch.setattr("nogs_bench.evaluation.pool.do", interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                evaluate(again=True, **settings)
            evaluate(**settings)
    assert begun.count(20) == 2
    assert 0 not in begun[begun.index(20) :]
    evaluate(again=True, **settings)
    assert not (tmp_path / ".checkpoints").exists()


def test_a_store_gets_what_an_earlier_call_could_not_send(tmp_path, monkeypatch):
    from nogs_bench.files import Mirror

    settings = {"task": CORNER, "methods": "ram", "seeds": 2, "protocol": "pretrained"}
    url = f"memory://{tmp_path.name}"
    mirror, push, sent = Mirror(tmp_path, url), Mirror.push, []

    def out_of_reach(self, *paths):
        sent.extend(path.name for path in paths)
        if paths and paths[0].name.endswith("seed1.json"):
            raise NogsError("out of reach")
        push(self, *paths)

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "push", out_of_reach)
        with pytest.raises(NogsError, match="out of reach"):
            evaluate(out=tmp_path / "a", store=url, workers=1, **settings)
    lacking = mirror.held(tmp_path)
    assert sent[-1].endswith("seed1.json")
    assert sent[-1] not in lacking
    evaluate(out=tmp_path / "a", store=url, workers=1, **settings)
    assert mirror.held(tmp_path) == lacking | {sent[-1]}
    # Nor do runs that were made without a store stay away from it.
    evaluate(out=tmp_path / "b", workers=1, **settings)
    evaluate(out=tmp_path / "b", store=f"{url}-b", workers=1, **settings)
    assert Mirror(tmp_path, f"{url}-b").held(tmp_path) == mirror.held(tmp_path)


def test_a_dead_worker_and_the_end_of_the_others(tmp_path, task_file, monkeypatch):
    monkeypatch.setattr("nogs_bench.executors.deaths.IN_VAIN", 1)
    (tmp_path / "dying.py").write_text(
        "import os, signal\n"
        "from nogs_bench.network.model import HardAttentionNet\n"
        "class Dying(HardAttentionNet):\n"
        "    def start(self, n):\n"
        "        return super().start(n) if n <= 2 else os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with pytest.raises(NogsError, match=r"-9 while it did corner ram seed \d; see .*\.log"):
        evaluate(
            f"{tmp_path}/dying.py:Dying",
            task=task_file,
            methods="ram",
            seeds=2,
            out=tmp_path / "out",
            workers=2,
            device="cpu",
        )
    assert not list((tmp_path / "out").glob("*.json"))


def test_ctrl_c_stops_the_workers_and_leaves_nothing_half_written(tmp_path, task_file):
    code = (
        # A parent that was started in the background ignores it, and so would its children.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from nogs_bench import evaluate\n"
        f"evaluate(task={task_file!r}, methods='ram', seeds=2, iterations=1_000_000,"
        f" out={str(tmp_path / 'out')!r}, workers=2, device='cpu')"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, start_new_session=True
    )
    logs = tmp_path / "out" / ".checkpoints"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(logs.glob("*.safetensors")):
        time.sleep(0.1)
    assert list(logs.glob("*.safetensors"))
    os.killpg(parent.pid, signal.SIGINT)
    try:
        _, errors = parent.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(parent.pid, signal.SIGKILL)
        raise
    assert parent.returncode != 0
    assert b"KeyboardInterrupt" in errors
    with pytest.raises(ProcessLookupError):
        os.killpg(parent.pid, 0)  # nobody of its session is left
    left = {path.suffix for path in logs.iterdir()}
    assert left <= {".safetensors", ".log"}
    assert not list((tmp_path / "out").glob("*.json"))


def test_a_task_object_of_another_length_keeps_its_own_name(tmp_path):
    longer = replace(CORNER, name="corner-of-five", T=5)
    evaluate(task=longer, methods="ram", seeds=1, iterations=1, out=tmp_path, workers=2)
    (result,) = load_results(tmp_path)
    assert result.model.pixels_seen == 5 * 16
    assert result.task == "corner-of-five"


def test_results_know_their_images(tmp_path, capsys):
    """Of other images under the same names, another's result is not shown."""
    settings = {"methods": ["ram"], "seeds": 1, "protocol": "pretrained", "out": tmp_path / "out"}
    evaluate(task=CORNER, **settings)
    (file,) = (tmp_path / "out").glob("*.json")
    first, written = _plain(file), file.stat().st_mtime_ns
    assert len(list((tmp_path / "out" / ".pretrained").iterdir())) == 1
    capsys.readouterr()

    evaluate(task=CORNER, **settings)
    assert f"already there: {file}; --again makes them anew" in capsys.readouterr().err
    assert file.stat().st_mtime_ns == written

    from nogs_bench.tasks import TASKS

    TASKS._entries.pop("corner")
    other = replace(CORNER, source=Inverted())
    with pytest.raises(NogsError, match=r"images = [0-9a-f]{64}, not [0-9a-f]{64}"):
        evaluate(task=other, **settings)
    assert _plain(file) == first
    evaluate(task=other, again=True, **settings)
    second = _plain(file)
    assert second["images"] != first["images"]
    assert second["curve"] != first["curve"]
    # Nor are weights that other images pre-trained taken.
    assert len(list((tmp_path / "out" / ".pretrained").iterdir())) == 2

    evaluate(task=other, again=True, **settings)
    assert file.stat().st_mtime_ns > written
    assert _plain(file) == second


def test_results_know_where_one_may_look(tmp_path, capsys):
    """Of a task whose places moved, though as many, another's result is not shown."""
    settings = {"methods": ["ram"], "seeds": 1, "protocol": "pretrained", "out": tmp_path / "out"}
    evaluate(task=CORNER, **settings)
    (file,) = (tmp_path / "out").glob("*.json")
    first = _plain(file)

    from nogs_bench.tasks import TASKS

    TASKS._entries.pop("corner")
    grid = CORNER.grid
    moved = replace(grid, rows=(*grid.rows[:-1], grid.rows[-1] - 1))
    other = replace(CORNER, grid=moved)
    with pytest.raises(NogsError, match=r"task_digest = [0-9a-f]{64}, not [0-9a-f]{64}"):
        evaluate(task=other, **settings)
    assert _plain(file) == first
    evaluate(task=other, again=True, **settings)
    assert _plain(file)["task_digest"] == other.digest != first["task_digest"] == CORNER.digest
    # Nor are weights that were pre-trained at other places taken.
    assert len(list((tmp_path / "out" / ".pretrained").iterdir())) == 2


OWN_GLIMPSES = """
import numpy as np
from dataclasses import replace
from nogs_bench.methods import METHODS
from nogs_bench.training import GLIMPSES
from nogs_bench.training.pretraining import GlimpseDistribution


def one_cell(task, epe):
    return np.eye(task.grid.cells)[{cell}]


GLIMPSES.add("one-cell", GlimpseDistribution(one_cell))
METHOD = replace(METHODS["ram"], name="own", pretraining_glimpses="one-cell")
"""


@pytest.mark.parametrize("registered", [False, True])
def test_glimpses_of_ones_own_are_known_by_their_code(tmp_path, task_file, monkeypatch, registered):
    """Pre-training at the telling corner or another: weights and results are of the code now."""
    from nogs_bench.own_code import load_object

    monkeypatch.setattr(GLIMPSES, "_entries", dict(GLIMPSES._entries))
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    method = f"{tmp_path}/own.py:METHOD"
    settings = {"task": task_file, "protocol": "pretrained", "seeds": 2, "device": "cpu"}
    settings |= {"methods": "own" if registered else method}
    curves = {}
    for cell, out, again in ((0, "a", False), (8, "a", True), (8, "b", False)):
        if out == "a":
            GLIMPSES._entries.pop("one-cell", None)
        (tmp_path / "own.py").write_text(OWN_GLIMPSES.format(cell=cell))
        if registered:
            METHODS._entries["own"] = load_object(method, "method")
        if again:
            with pytest.raises(NogsError, match=r"method_info\.source_digest"):
                evaluate(out=tmp_path / out, **settings)
        # A worker of its own knows nothing that this process has loaded.
        workers = 2 if not registered and cell == 0 else 1
        evaluate(out=tmp_path / out, again=again, workers=workers, **settings)
        curves[cell, out] = [run.curve for run in load_results(tmp_path / out)]
    assert curves[8, "a"] == curves[8, "b"]
    assert curves[0, "a"] != curves[8, "a"]
    assert len(list((tmp_path / "a" / ".pretrained").iterdir())) == 4


def test_what_a_script_alone_registers_is_trained_by_one_worker(
    tmp_path, task_file, monkeypatch, capfd
):
    """Worker processes do not run the script."""
    for registry in (METHODS, TASKS, LOGS):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        monkeypatch.setattr(registry, "_only_here", set())
    settings = {"protocol": "scratch", "seeds": 2, "device": "cpu", "workers": 2, "together": 1}
    register_method(replace(METHODS["ram"], name="ram-of-a-script"))
    names = "ram-of-a-script:rate=2"
    given = {"task": "cluttered-digits", "iterations": 2}
    scores = evaluate(methods=names, out=tmp_path / "a", **settings, **given)
    assert [row.seeds for row in scores.rows] == [(0, 1)]
    told = capfd.readouterr().err
    assert "method 'ram-of-a-script' is known to this process alone, so one worker trains" in told
    register_task(replace(CORNER, name="corner-of-a-script"))
    evaluate(task="corner-of-a-script", methods="ram", out=tmp_path / "b", **settings)
    assert "task 'corner-of-a-script' is known to this process alone" in capfd.readouterr().err
    LOGS.add("log-of-a-script", LOGS["csv"])
    given = settings | {"task": f"{task_file}", "methods": "ram", "iterations": 2}
    evaluate(out=tmp_path / "c", log="log-of-a-script", **given)
    assert "log 'log-of-a-script' is known to this process alone" in capfd.readouterr().err
    again = given | {"task": "corner-of-a-script"}
    evaluate(out=tmp_path / "d", executor=LocalExecutor(1), **again)
    assert "if workers are other processes, put it into a file" in capfd.readouterr().err
    evaluate(out=tmp_path / "d", **again)  # nothing is left to train
    assert "known to this process" not in capfd.readouterr().err
    monkeypatch.setattr(EMBEDDERS, "_entries", dict(EMBEDDERS._entries))
    monkeypatch.setattr(EMBEDDERS, "_only_here", set())
    EMBEDDERS.add("embedder-of-a-script", EMBEDDERS["conv"])
    given = settings | {"task": "cluttered-digits", "iterations": 2, "methods": "ram:rate=2"}
    evaluate(out=tmp_path / "e", training={"embedder": "embedder-of-a-script"}, **given)
    assert "embedder 'embedder-of-a-script' is known to this" in capfd.readouterr().err
    for wrong in (METHODS["ram-of-a-script"], [METHODS["ram-of-a-script"]]):
        with pytest.raises(NogsError, match="method ram-of-a-script: give its file and name"):
            evaluate(task=CORNER, methods=wrong, out=tmp_path / "c")
    for wrong in ([CORNER], [5]):
        with pytest.raises(NogsError, match="a task is named by a text here, not"):
            evaluate(tasks=wrong, out=tmp_path / "c")
    evaluate(
        task=replace(CORNER, name="handed-over"), methods="ram", out=tmp_path / "f", **settings
    )
    assert "task 'handed-over' is known to this process alone" in capfd.readouterr().err
    assert not any(METHODS.only_here(name) for name in ("ram", "ps-nogs"))
    assert not TASKS.only_here("fashion-mnist")


def test_a_worker_that_died_while_idle_is_said_to_be_lost(tmp_path):
    events = queue.Queue()
    worker = nogs_bench.evaluation.pool._Worker(tmp_path / "worker.log", {}, events)
    assert isinstance(events.get(timeout=60)[1], Ready)
    worker.process.kill()
    assert isinstance(events.get(timeout=60)[1], Lost)  # nobody is told: it had no job
    worker.give(SimpleNamespace(label="corner ram seed 0"))
    assert "exit code -9 while it did corner ram seed 0" in events.get(timeout=60)[1].why
    worker.dismiss()


def test_calls_in_several_threads_take_turns(tmp_path, capfd):
    """What counts a model's work, and torch's threads, are the whole process's."""
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "device": "cpu", "workers": 1}
    with ThreadPoolExecutor(2) as threads:
        made = [threads.submit(evaluate, out=tmp_path / name, **settings) for name in "ab"]
        rows = [each.result().rows for each in made]
    assert rows[0] == rows[1]
    assert "evaluate waits for another thread's call" in capfd.readouterr().err


def test_a_map_built_anew_during_an_evaluation_is_not_taken(tmp_path, monkeypatch):
    maps = write_maps(write_sequences(tmp_path / "s"), np.arange(9.0))
    settings = {"task": CORNER, "maps": maps, "methods": "ram+", "seeds": 1, "device": "cpu"}
    settings |= {"protocol": "pretrained", "workers": 1, "out": tmp_path / "out"}

    def rebuild(*_: object) -> None:
        write_maps(maps, np.arange(9.0)[::-1])

    with monkeypatch.context() as patch:
        patch.setattr("nogs_bench.evaluation.command.prepare", rebuild)
        with pytest.raises(NogsError, match="was built anew meanwhile"):
            evaluate(**settings)
    assert not list((tmp_path / "out").rglob("*.safetensors"))
    evaluate(**settings)


def test_an_evaluation_lets_go_of_the_images(tmp_path, monkeypatch):
    """However it ends."""
    work = sys.modules["nogs_bench.evaluation.work"]
    opened, inner = [], work.open_split

    def noted(folder, split):
        rows = inner(folder, split)
        opened.append(weakref.ref(rows.images))
        return rows

    monkeypatch.setattr(work, "open_split", noted)
    settings = {"task": CORNER, "methods": "ram", "seeds": 1, "workers": 1}
    evaluate(out=tmp_path / "a", **settings)
    with monkeypatch.context() as patch:
        patch.setattr(work, "save_result", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            evaluate(out=tmp_path / "b", **settings)
    gc.collect()
    assert len(opened) == 6
    assert [split() for split in opened] == [None] * 6


@pytest.mark.parametrize("seeds", [-1, 0, [-2], [], "3", 1.5, None])
def test_seeds_that_cannot_be_are_refused(seeds, tmp_path):
    with pytest.raises(NogsError, match="seeds must be"):
        evaluate(task=CORNER, methods="ram", seeds=seeds, out=tmp_path)


def test_numpy_s_integers_are_seeds():
    from nogs_bench.evaluation.study import _seeds

    assert _seeds(np.int64(2)) == [0, 1]
    assert [type(seed) for seed in _seeds(np.arange(2))] == [int, int]


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    """numpy's error has no errno."""

    def full(*_: object, **__: object) -> None:
        raise OSError("1000 requested and 400 written")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left") as caught:
        evaluate(task=CORNER, methods="ram", seeds=1, out=tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert "images-" in str(caught.value.filename)


PRINTS = """
from nogs_bench import HardAttentionNet
from corner_task import CORNER

class Net(HardAttentionNet):
    def __init__(self, task):
        print("hello from the model")
        super().__init__(task)
"""


def test_what_a_model_prints_leaves_json_alone(tmp_path, task_file):
    from typer.testing import CliRunner

    from nogs_bench.cli import app

    (tmp_path / "net.py").write_text(PRINTS)
    call = ["evaluate", f"{tmp_path}/net.py:Net", "--task", task_file, "--methods", "ram"]
    call += ["--seeds", "1", "--workers", "1", "--out", f"{tmp_path}/out", "--json"]
    sys.path.insert(0, str(SUPPORT))
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)
    assert "hello from the model" in done.stderr


def test_score_of_a_task_that_nobody_knows_says_how_to_name_it(tmp_path):
    from nogs_bench.results import score
    from nogs_bench.tasks import TASKS

    evaluate(task=CORNER, methods="ram", seeds=1, out=tmp_path)
    del TASKS._entries["corner"]
    with pytest.raises(NogsError, match=r"--task FILE\.py:NAME"):
        score(tmp_path)
