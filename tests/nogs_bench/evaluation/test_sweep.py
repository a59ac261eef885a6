"""Many tasks in one evaluation, and the figures of many runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from corner_task import CORNER, TELLING, write_sequences
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.evaluation.packing import _divide
from nogs_bench.figures.bars import plot_bars
from nogs_bench.figures.maps import observed, plot_locations
from nogs_bench.results.entries import load_results
from nogs_bench.results.storage import save_result
from nogs_bench.tasks import task_names
from nogs_bench.tasks.task import register_task
from places import ROOT
from results import run_result

TWINS = [
    register_task(replace(CORNER, name=f"corner-{name}", family="twins")) for name in ("a", "b")
]


def test_patterns_name_tasks_in_order_and_once():
    names = task_names("fashion-mnist,celeba-hq-b*,celeba-hq-bald")
    assert names[0] == "fashion-mnist"
    assert names[1:4] == ["celeba-hq-bags-under-eyes", "celeba-hq-bald", "celeba-hq-bangs"]
    assert len(names) == len(set(names))
    assert len(task_names(["celeba-hq-*"])) == 40
    with pytest.raises(NogsError, match="no task matches 'celebb-"):
        task_names("celebb-*")
    with pytest.raises(NogsError, match="no task given"):
        task_names(" , ")


def test_runs_are_divided_evenly():
    sizes = [len(group) for group in _divide(range(10), 2, 16)]
    assert sizes == [5, 5]
    assert [len(group) for group in _divide(range(40), 2, 16)] == [10, 10, 10, 10]
    assert [len(group) for group in _divide(range(3), 8, 16)] == [1, 1, 1]
    assert _divide([], 2, 16) == []


@pytest.fixture
def sequences(tmp_path: Path) -> Path:
    for task in TWINS:
        write_sequences(tmp_path / "sequences" / task.name)
    return tmp_path / "sequences"


def _plain(path: Path) -> dict:
    content = json.loads(path.read_text())
    return {key: value for key, value in content.items() if key != "wall_time_s"}


def test_tasks_of_a_family_are_trained_together_as_they_are_apart(tmp_path, sequences, capfd):
    settings = {"seeds": 2, "device": "cpu", "workers": 1}
    scores = evaluate(tasks="corner-?", sequences=sequences, out=tmp_path / "all", **settings)
    assert "corner-a, corner-b ram, ps-nogs seeds 0-1" in " ".join(capfd.readouterr().err.split())
    assert [row.task for row in scores.rows] == ["corner-a", "corner-a", "corner-b", "corner-b"]
    apart = tmp_path / "apart"
    for name in ("corner-a", "corner-b"):
        evaluate(task=name, sequences=f"{sequences}/{{task}}", out=apart, **settings)
    names = sorted(path.name for path in apart.glob("*.json"))
    assert len(names) == 8
    for name in names:
        assert _plain(apart / name) == _plain(tmp_path / "all" / name)


def test_an_interrupted_sweep_goes_on_to_the_same_results(tmp_path, sequences, monkeypatch):
    import nogs_bench.evaluation.pool

    monkeypatch.setattr("nogs_bench.training.runstate.CHECKPOINT_SECONDS", 0.0)
    settings = {"tasks": "corner-?", "sequences": sequences, "seeds": 2, "workers": 1}
    settings |= {"protocol": "pretrained", "device": "cpu"}
    evaluate(out=tmp_path / "whole", **settings)
    do = nogs_bench.evaluation.pool.do
    for stage, at in (("pretraining", 20), ("run", 20)):

        def interrupted(job, report, stage=stage, at=at):
            def stop(done, note):
                if job.stage.name == stage and done == at:
                    raise KeyboardInterrupt
                report(done, note)

            do(job, stop)

        with monkeypatch.context() as patch:
            patch.setattr("nogs_bench.evaluation.pool.do", interrupted)
            with pytest.raises(KeyboardInterrupt):
                evaluate(out=tmp_path / "cut", **settings)
    # Fewer runs go on from the checkpoint of all; the rest goes on from it later.
    evaluate(out=tmp_path / "cut", **settings | {"methods": "ram"})
    assert len(list((tmp_path / "cut").glob("*.json"))) == 4
    evaluate(out=tmp_path / "cut", **settings)
    for path in (tmp_path / "whole").glob("*.json"):
        assert _plain(path) == _plain(tmp_path / "cut" / path.name)
    assert not (tmp_path / "cut" / ".checkpoints").exists()
    assert len(list((tmp_path / "cut" / ".pretrained").iterdir())) == 4


def test_a_model_that_cannot_be_stacked_is_trained_alone_with_a_line(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "from torch.nn import functional\n"
        "from nogs_bench.network.model import HardAttentionNet\n"
        "class Mine(HardAttentionNet):\n"
        "    def classify(self, state):\n"
        "        return self.classifier(functional.dropout(state, 0.5, self.training))\n"
    )
    settings = {"task": CORNER, "methods": "ram", "seeds": 2}
    evaluate(f"{tmp_path}/mine.py:Mine", out=tmp_path / "a", **settings)
    lines = [line for line in capsys.readouterr().err.splitlines() if "one run at a time" in line]
    assert len(lines) == 1
    assert "Mine is trained one run at a time: " in lines[0]
    evaluate(f"{tmp_path}/mine.py:Mine", out=tmp_path / "b", together=1, **settings)
    for path in (tmp_path / "a").glob("*.json"):
        assert _plain(path) == _plain(tmp_path / "b" / path.name)


def test_locations_count_every_glimpse_of_the_test(tmp_path):
    evaluate(task=CORNER, methods="ram", seeds=2, out=tmp_path, workers=1)
    runs = load_results(tmp_path)
    for run in runs:
        glimpses = run.test.images * run.test.rollouts
        assert [sum(step.counts) for step in run.locations] == [glimpses] * CORNER.T
    assert plot_locations(tmp_path, tmp_path / "a.png", CORNER).is_file()
    words = plot_locations(tmp_path, tmp_path / "a.svg", CORNER).read_text()
    assert re.findall(r"<!-- (t = \d) -->", words) == ["t = 1", "t = 2"]
    save_result(runs[0].model_copy(update={"locations": None}), tmp_path)
    with pytest.raises(NogsError, match="does not say where it looked"):
        plot_locations(tmp_path, tmp_path / "b.png", CORNER)


def test_observed_pixels_by_hand():
    counts = np.zeros((1, 9), int)
    counts[0, TELLING], counts[0, 0] = 3, 1
    seen = observed(CORNER.grid, counts)[0]
    assert seen[9, 9] == 0.75
    assert seen[0, 3] == 0.25
    assert seen[5, 5] == 0


def test_bars_have_every_task_and_method(tmp_path):
    for task in ("cluttered-digits", "celeba-hq-male"):
        for method in ("ram", "ps-nogs"):
            for seed in range(2):
                save_result(run_result(method=method, seed=seed, task=task), tmp_path)
    words = plot_bars(tmp_path, tmp_path / "b.svg").read_text()
    drawn = re.findall(r"<!-- (.*?) -->", words)
    assert {"cluttered-digits", "celeba-hq-male", "ram", "ps-nogs"} <= set(drawn)
    assert plot_bars(tmp_path, tmp_path / "b.png").is_file()


@pytest.mark.slow
def test_the_benchmark_measures_everything():
    script = ROOT / "benchmarks" / "training.py"
    done = subprocess.run(
        [sys.executable, str(script), "--quick"], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout.splitlines()[-1])
    wanted = ("speedup_in_memory", "speedup_with_data", "seeds_speedup", "ram_speedup")
    assert all(report[name] > 0 for name in (*wanted, "two_cores_speedup", "rss_gib"))
