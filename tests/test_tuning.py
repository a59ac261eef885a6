"""`benchmarks/tuning.py` on a tiny task: what is drawn, what goes on, what is counted."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys

import pytest

from corner_task import CORNER
from nogs_bench.methods import METHODS, find_method
from nogs_bench.results import load_results
from nogs_bench.tasks import register_task
from places import ROOT

SPEC = importlib.util.spec_from_file_location("tuning", ROOT / "benchmarks/tuning.py")
assert SPEC is not None
assert SPEC.loader is not None
tuning = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tuning)


def all_settings(name, space):
    usual = find_method(name).options
    every = set(itertools.product(*(map(float, values) for values in space.values())))
    return len(every | {tuple(float(usual[option]) for option in space)})


@pytest.mark.parametrize("name", METHODS.names())
def test_settings_are_drawn_once_and_are_a_method_s_own(name):
    specs = tuning.drawn(name, 10)
    assert specs[0] == name
    space = tuning.SPACES.get(name, {"rate": tuning.RATES})
    # Ten, or all there are: the method as it is, and each of the space's others.
    assert len(specs) == len(set(specs)) == min(10, all_settings(name, space))
    assert specs == tuning.drawn(name, 10)
    made = [tuple(sorted(find_method(spec).options.items())) for spec in specs]
    assert len(set(made)) == len(specs)
    rates = {dict(options)["rate"] for options in made}
    assert name in tuning.SPACES or rates == set(tuning.RATES)


def test_the_worse_settings_are_pruned_and_every_iteration_is_counted(
    tmp_path, monkeypatch, capsys
):
    register_task(CORNER)
    command = ["tuning.py", "corner", "--protocol", "scratch", "--methods", "ram-entropy,ram"]
    command += ["--trials", "4", "--iterations", "40", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    tuning.main()
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["method"] for each in said["methods"]] == ["ram", "ram-entropy"]
    for each in said["methods"]:
        sizes = [len(rung) for rung in each["rungs"]]
        assert sizes == [4, 1, 1]
        assert each["iterations"] == 10 * 4 + 20 * 1 + 40 * 2
        first = each["rungs"][0]
        assert list(each["rungs"][1]) == [max(first, key=lambda spec: first[spec]["worth"])]
        assert each["best"] in each["rungs"][2]
    folder = tmp_path / "corner" / "scratch" / "10"
    runs = {run.method: run for run in load_results(folder)}
    assert {run.seed for run in runs.values()} == {100}
    ram = said["methods"][0]["rungs"][0]["ram"]
    assert ram["worth"] == pytest.approx(runs["ram"].curve[-1].accuracy, abs=1e-4)
