"""A method of one's own: found, checked, and trained as any other."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from corner_task import CORNER, TELLING, telling_annotations
from lone_run import train
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.methods import (
    METHODS,
    Method,
    Rows,
    check_method,
    find_method,
    recorded_method,
)
from nogs_bench.methods.losses import class_loss, partially_supervised
from nogs_bench.network.fovea import ImageTensors
from nogs_bench.network.model import load_model
from nogs_bench.results.entries import load_results
from nogs_bench.training.learner import Learner, Run, Trainee
from nogs_bench.training.objectives import Lessons
from nogs_bench.training.trainer import train_together
from places import ROOT

CPU = torch.device("cpu")
TRAIN, VALIDATION = (
    ImageTensors.of(CORNER.source.load(split), CORNER, CPU) for split in ("train", "validation")
)
EXAMPLE = re.search(
    r"```python\n# my_method.py\n(.*?)```", (ROOT / "docs/own-method.md").read_text("utf-8"), re.S
)


def _method(objective=partially_supervised, **changes) -> Method:
    return Method("mine", "of the tests", "tests", objective=objective, **changes)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    assert EXAMPLE is not None
    path = tmp_path / "my_method.py"
    path.write_text(EXAMPLE[1], encoding="utf-8")
    return path


def test_the_documented_method_is_trained_in_stacks_and_in_worker_processes(tmp_path, file):
    assert len(file.read_text().split('"""', 2)[2].split()) < 80
    common = {"task": CORNER, "methods": "ram", "seeds": 2, "iterations": 20}
    spec = f"{file}:METHOD"
    evaluate(spec, out=tmp_path / "stacked", **common)
    evaluate(spec, out=tmp_path / "alone", together=1, **common)
    found = {
        where: {(r.method, r.seed): r for r in load_results(tmp_path / where)}
        for where in ("stacked", "alone")
    }
    assert set(found["stacked"]) == {(m, s) for m in ("ram", "ram-probability") for s in (0, 1)}
    for key, result in found["stacked"].items():
        other = found["alone"][key]
        assert result.config_digest == other.config_digest
        assert result.curve[-1].cross_entropy == pytest.approx(
            other.curve[-1].cross_entropy, abs=1e-3
        )
    info = found["stacked"]["ram-probability", 0].method_info
    assert info.settings == {"power": 1.0}
    assert info.source_digest is not None
    assert found["stacked"]["ram", 0].method_info is None

    task = f"{ROOT / 'tests/support/corner_task.py'}:CORNER"
    methods = f"ram,{spec},{spec}:power=2"
    options = ["--seeds", "2", "--iterations", "20", "--workers", "2", "--out", tmp_path / "w"]
    command = ["evaluate", "--task", task, "--methods", methods, *map(str, options)]
    code = "from nogs_bench.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True)
    workers = {(r.method, r.seed): r for r in load_results(tmp_path / "w")}
    assert {m for m, _ in workers} == {"ram", "ram-probability", "ram-probability+power-2"}
    # The same bytes in any company, and in another process.
    for key, result in found["stacked"].items():
        assert workers[key].curve == result.curve
    assert workers["ram-probability+power-2", 0].curve != workers["ram-probability", 0].curve


def test_a_changed_file_is_another_run(tmp_path, file):
    common = {"task": CORNER, "methods": (), "seeds": 1, "iterations": 5, "out": tmp_path / "out"}
    evaluate(f"{file}:METHOD", **common)
    file.write_text(file.read_text() + "# changed\n")
    with pytest.raises(NogsError, match=r"method_info\.source_digest"):
        evaluate(f"{file}:METHOD", **common)


def test_settings_are_changed_by_name(file):
    method = find_method("ram:each_step=0.5:rate=2")
    assert (method.name, method.each_step, method.rate) == ("ram+each_step-0.5+rate-2", 0.5, 2)
    assert method.needs == {"beliefs"}
    assert (method.teaching, METHODS["ram"].teaching) == (("labels",), ())
    assert METHODS["ps-nogs"].teaching == ("sequences",)
    assert find_method(f"{file}:METHOD:power=2").settings == {"power": 2.0}
    with pytest.raises(NogsError, match="no setting 'warmth'; it has each_step, passes, rate"):
        find_method("ram:warmth=1")
    with pytest.raises(NogsError, match="not SETTING=NUMBER"):
        find_method("ram:rate=fast")
    for passes in ("inf", "nan", "0.5"):
        with pytest.raises(NogsError, match="passes must be at least 1"):
            find_method(f"ram:passes={passes}")
    file.write_text(file.read_text().replace("ram-probability", "ram"))
    with pytest.raises(NogsError, match="as a registered method; rename it"):
        find_method(f"{file}:METHOD")
    with pytest.raises(NogsError, match=r"is a function, not a nogs_bench\.Method"):
        find_method(f"{file}:objective")


@pytest.mark.parametrize(
    "spec",
    [
        "ram+:each_step=0.5:rate=2",
        "ram-entropy:bonus=1e-05",
        "ram-entropy:bonus=0.12345678",
        "ram-ppo:passes=3:clip=0.4",
    ],
)
def test_a_changed_method_is_found_by_what_results_call_it(spec):
    method = find_method(spec)
    again = find_method(method.name)
    assert again.name == method.name
    assert again.alike(method)
    assert again.rate == method.rate
    assert recorded_method(method.name).alike(method)
    assert recorded_method(f"{method.name}+bogus-1") is None
    assert recorded_method("somebody-s") is None


@pytest.mark.parametrize("name", METHODS.names())
def test_registered_methods_fit_stacks_and_do_not_wait(name):
    for frozen in (False, True):
        check_method(METHODS[name], 20, frozen)
        check_method(METHODS[name].changed({"each_step": 0.5}), 20, frozen)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (lambda rows: partially_supervised(rows).sum(), "must be a tensor of shape"),
        (lambda rows: 1.0, "got float"),
        (lambda rows: partially_supervised(rows) / rows.baseline.mean(), "changes beside other"),
        (lambda rows: partially_supervised(rows) * rows.baseline.sum().item(), "changes beside"),
        (lambda rows: partially_supervised(rows) * float(rows.progress), "waits for the device"),
        (lambda rows: partially_supervised(rows) + rows.needed("maps").sum(), "needs={'maps'}"),
        (lambda rows: partially_supervised(rows).log() * torch.nan, "not finite"),
        (lambda rows: rows.nothing, "objective failed"),
    ],
)
def test_an_objective_that_does_not_fit_is_refused_in_one_line(objective, message):
    with pytest.raises(NogsError, match=message) as error:
        check_method(_method(objective), 20, False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (lambda i, n: -1, "gives -1.0 at iteration 0"),
        (lambda i, n: math.nan if i == 19 else 1, "gives nan at iteration 19"),
        (lambda i, n: 1 / (19 - i), r"failed at iteration 19 of 20: ZeroDivisionError.*\.py, line"),
        (lambda i, n: "much", "failed at iteration 0 of 20: ValueError"),
        (lambda i: 1.0, "failed at iteration 0 of 20: TypeError"),
    ],
)
def test_a_schedule_that_is_none_is_refused_before_training(schedule, message):
    method = replace(_method(partially_supervised), schedule=schedule)
    with pytest.raises(NogsError, match=message) as error:
        check_method(method, 20, False)
    assert "\n" not in str(error.value)


def test_an_objective_of_classes_alone_has_nothing_to_train_after_pretraining():
    method = _method(lambda rows: class_loss(rows.class_logits, rows.labels))
    check_method(method, 20, False)
    with pytest.raises(NogsError, match="no gradient to it; give a protocol without pre-training"):
        check_method(method, 20, True)


def test_passes_are_a_whole_number():
    assert isinstance(replace(METHODS["ram"], passes=2.0).passes, int)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"needs": {"wisdom"}}, "needs 'wisdom'; there are beliefs"),
        ({"needs": {"maps"}}, "give it sequences='near-optimal'"),
        ({"settings": {"weight": 1.0}}, "its objective is called with Rows and weight"),
        ({"passes": 0}, "passes must be at least 1"),
    ],
)
def test_a_method_that_contradicts_itself_is_refused(changes, message):
    with pytest.raises(NogsError, match=message):
        _method(**changes)


def _train(method: Method, iterations: int = 2, lessons: Lessons | None = None):
    model = load_model("reference").build(CORNER, 0)
    run = Run(CORNER, method, iterations, 0, frozen=False)
    annotations = telling_annotations() if method.supervised else None
    train(run, model, TRAIN, VALIDATION, annotations, lessons=lessons or Lessons())
    return model


def test_a_method_gets_what_it_needs_and_nothing_else():
    seen: list[Rows] = []

    def objective(rows: Rows) -> torch.Tensor:
        seen.append(rows)
        return partially_supervised(rows)

    class Asked:
        """Says which images it was asked about, and where."""

        def log_posterior_along(self, images, cells):
            total = images.double().sum((1, 2, 3))
            return torch.stack([total.float()[:, None].expand_as(cells), cells.float()], dim=-1)

    index = np.arange(5, 25)
    numbers = index[:, None, None] + np.zeros((1, CORNER.T, 9))
    lessons = Lessons(Asked(), index, numbers[..., :2], numbers + 100)
    _train(_method(objective, sequences="near-optimal"), 1)
    assert {seen[0].beliefs, seen[0].posterior, seen[0].maps, seen[0].sequence_posterior} == {None}

    needs = {"beliefs", "posterior", "maps", "sequence_posterior"}
    _train(_method(objective, needs=needs, sequences="near-optimal"), 1, lessons)
    rows = seen[1]
    n = len(rows.labels)
    assert rows.beliefs.shape == (CORNER.T, n, 2)
    assert torch.equal(rows.beliefs[-1], rows.class_logits)
    # As the model says after one glimpse.
    model = load_model("reference").build(CORNER, 0)
    totals = {float(image.double().sum()): k for k, image in enumerate(TRAIN.images)}
    numbers_of = torch.tensor([totals[float(v)] for v in rows.posterior[0, :, 0].double()])
    assert torch.equal(rows.posterior[..., 1], rows.cells.float())
    row, col = torch.from_numpy(CORNER.grid.pixels[rows.cells[0]]).T
    patches = torch.stack(
        [
            TRAIN.images[k, :, r : r + 4, c : c + 4]
            for k, r, c in zip(numbers_of, row, col, strict=True)
        ]
    )
    where = torch.from_numpy(CORNER.grid.pixel_to_normalised(CORNER.grid.pixels[rows.cells[0]]))
    with torch.no_grad():
        state = model.look(model.start(n), patches.float() / 255, where.float())
        assert torch.allclose(model.classify(state), rows.beliefs[0], atol=1e-5)
    known = (numbers_of >= 5) & (numbers_of < 25)
    assert known.any()
    assert torch.equal(rows.sequence_posterior[0, :, 0], torch.where(known, numbers_of, 0).float())
    assert torch.equal(rows.maps[1, :, 3], torch.where(known, numbers_of + 100, 0).float())
    assert set(rows.cells[:, rows.supervised].flatten().tolist()) == {TELLING}


@pytest.mark.parametrize("together", [False, True])
def test_mirrored_beliefs_are_those_of_images_reversed_by_hand(together):
    seen: list[Rows] = []

    def objective(rows: Rows) -> torch.Tensor:
        seen.append(rows)
        return partially_supervised(rows)

    method = _method(objective, needs={"mirrored"})
    runs = [Run(CORNER, method, 1, seed, False) for seed in range(2 if together else 1)]
    models = [load_model("reference").build(CORNER, run.seed) for run in runs]
    trainees = [Trainee(r, m, TRAIN, VALIDATION) for r, m in zip(runs, models, strict=True)]
    learner = Learner(trainees, together)
    learner.begin(0)
    learner.learn(0, 1)
    drawn, rows, side = learner.draws.rows[0], seen[-1], TRAIN.images.shape[-1]
    reversed_images = torch.from_numpy(np.ascontiguousarray(TRAIN.images.numpy()[..., ::-1]))
    for run in runs:
        numbers = drawn[run.seed] if together else drawn
        found = rows.mirrored[run.seed] if together else rows.mirrored
        glimpses = rows.cells[run.seed] if together else rows.cells
        model = load_model("reference").build(CORNER, run.seed)
        state = model.start(len(numbers))
        for pixels in CORNER.grid.pixels[glimpses]:
            pixels = np.stack([pixels[:, 0], side - 4 - pixels[:, 1]], axis=1)
            patch = [
                reversed_images[number, :, row : row + 4, col : col + 4]
                for number, (row, col) in zip(numbers, pixels, strict=True)
            ]
            where = torch.from_numpy(CORNER.grid.pixel_to_normalised(pixels)).float()
            state = model.look(state, torch.stack(patch).float() / 255, where)
        assert torch.allclose(model.classify(state), found, atol=1e-5)


def test_a_second_pass_learns_from_the_glimpses_of_the_first():
    seen: list[Rows] = []

    def objective(rows: Rows) -> torch.Tensor:
        seen.append(rows.detached())
        return partially_supervised(rows)

    _train(_method(objective, passes=2), 2)
    assert [rows.first is None for rows in seen] == [True, False, True, False]
    for begun, again in (seen[:2], seen[2:]):
        assert torch.equal(begun.cells, again.cells)
        assert torch.equal(begun.class_logits, again.first.class_logits)
        assert not torch.equal(begun.class_logits, again.class_logits)
    assert not torch.equal(seen[0].cells, seen[2].cells)


def test_runs_of_several_methods_in_one_stack_are_each_what_it_is_alone():
    mine = replace(find_method("ram:each_step=1"), name="mine")
    methods = [METHODS["ram"], mine, mine, METHODS["ps-nogs"]]

    def weights(which: list[int]) -> dict[int, dict[str, torch.Tensor]]:
        trainees = [
            Trainee(
                Run(CORNER, methods[k], 5, k, frozen=False),
                load_model("reference").build(CORNER, k),
                TRAIN,
                VALIDATION,
                telling_annotations() if methods[k].supervised else None,
            )
            for k in which
        ]
        train_together(trainees)
        return {k: t.model.state_dict() for k, t in zip(which, trainees, strict=True)}

    together = weights([0, 1, 2, 3])
    for k in range(4):
        for name, value in weights([k])[k].items():
            assert torch.equal(value, together[k][name]), (k, name)
