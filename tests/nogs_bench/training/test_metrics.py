from __future__ import annotations

import math

import pytest
import torch

import nogs_bench
from nogs_bench.errors import NogsError
from nogs_bench.network.fovea import Fovea
from nogs_bench.network.model import HardAttentionNet
from nogs_bench.randomness import torch_generator
from nogs_bench.results.entries import load_results
from nogs_bench.training.metrics import measure, policy_classifier, quality
from nogs_bench.training.runstate import Member, RunState
from tiny import corner_task


def test_balanced_accuracy_and_each_class_s_own_by_hand():
    # Class 0 has four images, three right; class 1 two, none right; class 2 has none.
    answers = torch.tensor([0, 0, 0, 1, 0, 2])
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    found = quality(torch.eye(3)[answers].mul(5).log_softmax(-1), labels)
    assert found.accuracy == pytest.approx(3 / 6)
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 0) / 2)
    first, second, third = found.by_class()
    assert (first.images, first.accuracy) == (4, pytest.approx(3 / 4))
    assert (second.images, second.accuracy) == (2, 0)
    assert third is None


def test_a_rollout_that_is_wrong_by_more_than_a_float_holds_is_measured():
    # exp(-300) is 0 in single precision; its logarithm is not.
    log_p = torch.tensor([[[-300.0, 0.0]], [[0.0, -300.0]]])

    def classify(rows, uniform):
        return log_p

    (metrics,) = measure(torch.nn.Identity(), classify, torch.tensor([[0, 0]]), T=1, rollouts=2)
    assert metrics.cross_entropy == pytest.approx(150)
    assert metrics.averaged_cross_entropy == pytest.approx(150)


@pytest.mark.parametrize("worst", [-math.inf, -2e9, math.nan])
def test_predictions_that_no_result_holds_are_refused(worst):
    """`max(0.0, nan)` is 0: a cross-entropy that would win."""

    def classify(rows, uniform):
        return torch.tensor([[[worst, 0.0]]])

    with pytest.raises(NogsError, match="test split are not finite"):
        measure(torch.nn.Identity(), classify, torch.tensor([[0]]), T=1, rollouts=1)
    run = RunState([Member("r", torch.Generator(), "r")], 0, {}, None)
    with pytest.raises(NogsError, match="r diverged before iteration 10"):
        run.record(10, torch.tensor([[worst, 0.0]]), torch.tensor([0]))


@pytest.mark.parametrize("stacked", [False, True])
def test_weights_that_are_not_finite_are_said_though_predictions_are(stacked):
    """A location network of NaN always looks at the last place, and may do well there."""
    model = torch.nn.Linear(2, 3)
    model.mask = torch.nn.Parameter(torch.full((3,), -math.inf), requires_grad=False)
    members = [Member("a", torch.Generator(), "the first")]
    if stacked:
        members.append(Member("b", torch.Generator(), "the second"))
        for name, value in list(model.named_parameters()):
            both = torch.nn.Parameter(torch.stack([value, value]), value.requires_grad)
            setattr(model, name, both)
    run = RunState(members, 0, {"model": model}, None, stacked=stacked)
    log_p = torch.zeros(len(members), 4, 2).log_softmax(-1)
    labels = torch.zeros(len(members), 4, dtype=torch.long)
    run.record(0, log_p, labels)
    with torch.no_grad():
        model.bias.view(len(members), -1)[-1, 1] = math.nan
    with pytest.raises(NogsError, match=f"{members[-1].name} diverged .*: bias is not finite"):
        run.record(10, log_p, labels)


def test_accuracy_after_each_glimpse_is_of_the_same_rollouts():
    """By a network that says what it would after t glimpses, against one that takes only t."""
    task = corner_task()
    torch.manual_seed(0)
    model = HardAttentionNet(task)
    images = task.source.load("validation")
    pixels, labels = torch.from_numpy(images.images), torch.from_numpy(images.labels[:, 0])
    fovea = Fovea(task.grid, pixels)
    classify = policy_classifier(model, fovea, every=True)
    (metrics,) = measure(model, classify, labels[None], task.T, 1)
    assert len(metrics.after) == task.T
    assert metrics.after[-1].accuracy == metrics.accuracy
    assert metrics.after[-1].cross_entropy == metrics.cross_entropy
    generator = torch_generator(torch.device("cpu"), "test", 0)
    uniform = torch.rand((task.T, len(labels)), generator=generator)
    with torch.no_grad():
        for t in range(1, task.T + 1):
            part = policy_classifier(model.eval(), fovea)(torch.arange(len(labels)), uniform[:t])
            right = (part.argmax(-1) == labels).double().mean()
            assert metrics.after[t - 1].accuracy == pytest.approx(float(right))


def test_results_record_images_teaching_and_classes(tmp_path):
    task = corner_task(name="corner-metrics")
    nogs_bench.evaluate(task=task, methods="ram", seeds=2, iterations=4, out=tmp_path)
    first, second = load_results(tmp_path)
    assert first.images == second.images
    assert first.teaching == ()
    for run in (first, second):
        known = [each for each in run.test.classes if each]
        assert sum(each.images for each in known) == run.test.images
        mean = math.fsum(each.accuracy for each in known) / len(known)
        assert run.test.balanced_accuracy == pytest.approx(mean)
        assert len(run.test.after) == task.T
        assert [point.classes is None for point in run.curve] == [True, False]
        assert all(0 <= point.balanced_accuracy <= 1 for point in run.curve)
