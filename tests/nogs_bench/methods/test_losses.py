from __future__ import annotations

import pytest
import torch

from nogs_bench.methods.losses import partially_supervised
from nogs_bench.network.policy import log_probability, sample
from rows import hand_rows

# -log softmax of the label: log(1 + e^-2) and log(1 + e^1), their mean.
CROSS_ENTROPY = (0.126928 + 1.313262) / 2


def test_ram_by_hand():
    rows, leaves = hand_rows([False, False])
    class_logits, log_p = leaves["class_logits"], leaves["location_log_probability"]
    baseline = leaves["baseline"]
    loss = partially_supervised(rows)
    # Rewards 1 and 0. REINFORCE: -1/2 sum (r - b) log p.
    reinforce = -0.5 * (0.75 * -1.0 + 0.25 * -3.0 + -0.5 * -2.0 + -0.5 * -0.5)
    squares = (0.75**2 + 0.25**2 + 0.5**2 + 0.5**2) / 4
    assert loss.item() == pytest.approx(CROSS_ENTROPY + reinforce + squares, abs=1e-5)
    loss.backward()
    # The reward's error pushes the log-probability, and is no path to baseline or classifier.
    assert torch.allclose(log_p.grad, -0.5 * torch.tensor([[0.75, -0.5], [0.25, -0.5]]))
    assert torch.allclose(baseline.grad, -0.5 * torch.tensor([[0.75, -0.5], [0.25, -0.5]]))
    expected = torch.tensor([[0.880797 - 1, 0.119203], [0.268941 - 1, 0.731059]]) / 2
    assert torch.allclose(class_logits.grad, expected, atol=1e-5)


@pytest.mark.parametrize(("reduction", "factor"), [("mean", 0.5), ("sum", 1.0)])
def test_a_supervised_row_maximises_its_sequence_and_leaves_the_baseline(reduction, factor):
    rows, leaves = hand_rows([False, True], weight=3.0, reduction=reduction)
    log_p, baseline = leaves["location_log_probability"], leaves["baseline"]
    partially_supervised(rows).backward()
    assert torch.allclose(log_p.grad[:, 1], torch.full((2,), -3.0 * factor))
    assert torch.allclose(log_p.grad[:, 0], -0.5 * torch.tensor([0.75, 0.25]))
    assert torch.equal(baseline.grad[:, 1], torch.zeros(2))
    assert (baseline.grad[:, 0] != 0).all()


def test_draws_have_the_probabilities_of_the_logits():
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    logits = probabilities.log().expand(4000, -1)
    # Evenly spaced points stand for a uniform draw: counts are exact to one.
    drawn = sample(logits, (torch.arange(4000) + 0.5) / 4000)
    counts = torch.bincount(drawn, minlength=4)
    assert counts[1] == 0
    assert (counts - 4000 * probabilities).abs().max() <= 1
    assert sample(logits[:1], torch.tensor([1 - 2**-24])).item() == 3


def test_log_probability_keeps_a_gradient_where_softmax_would_floor_it():
    logits = torch.tensor([[0.0, -50.0]], requires_grad=True)
    value = log_probability(logits, torch.tensor([1]))
    assert value.item() == pytest.approx(-50.0)
    value.sum().backward()
    assert torch.allclose(logits.grad, torch.tensor([[-1.0, 1.0]]))
