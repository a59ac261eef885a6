"""Each objective on batches that are worked by hand: two images, two classes, two glimpses."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from nogs_bench.methods import METHODS, find_method
from nogs_bench.methods.losses import partially_supervised
from nogs_bench.methods.rewards import gain_to_go
from rows import hand_rows

# Beliefs after the first glimpse; after the second they are `hand_rows`' class logits.
EARLY = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
POSTERIOR = torch.tensor([[[0.5, 0.5], [0.8, 0.2]], [[0.9, 0.1], [0.6, 0.4]]])


def _with_beliefs(supervised, **changes):
    rows, leaves = hand_rows(supervised, **changes)
    beliefs = torch.stack([EARLY, leaves["class_logits"]])
    return replace(rows, beliefs=beliefs), leaves


def _cross_entropy(p, logits):
    return -sum(a * b for a, b in zip(p, torch.tensor(logits).log_softmax(0).tolist(), strict=True))


def test_taught_adds_the_mean_cross_entropy_of_beliefs():
    rows, _ = _with_beliefs([False, True], posterior=POSTERIOR.log())
    method = find_method("ps-nogs-taught:weight=3")
    each = [
        _cross_entropy([0.5, 0.5], [0.0, 0.0]),
        _cross_entropy([0.8, 0.2], [1.0, 0.0]),
        _cross_entropy([0.9, 0.1], [2.0, 0.0]),
        _cross_entropy([0.6, 0.4], [0.0, 1.0]),
    ]
    expected = partially_supervised(rows) + 3 * sum(each) / 4
    assert method.loss(rows).item() == pytest.approx(expected.item(), abs=1e-5)
    same = find_method("ram-taught:weight=3").loss(rows)
    assert same.item() == pytest.approx(expected.item(), abs=1e-5)


def test_beliefs_are_learned_until_they_are_the_posterior_s():
    logits = torch.zeros(2, 2, requires_grad=True)
    rows, _ = hand_rows([False, False], class_logits=logits)
    posterior = torch.stack([POSTERIOR[1], POSTERIOR[1]])
    rows = replace(rows, beliefs=torch.stack([logits, logits]), posterior=posterior.log())
    METHODS["ram-taught"].changed({"weight": 1e4}).loss(rows).backward()
    # Softmax cross-entropy: the gradient is what is believed less what should be.
    expected = torch.tensor([[0.5 - 0.9, 0.5 - 0.1], [0.5 - 0.6, 0.5 - 0.4]]) / 2
    assert torch.allclose(logits.grad / 1e4, expected, atol=1e-4)


def test_the_gain_to_go_by_hand():
    labels = torch.tensor([0, 1])
    gain = gain_to_go(POSTERIOR.log(), labels)
    # First image, label 0: uniform, .5, .9. Second, label 1: uniform, .2, .4.
    expected = [
        [math.log(0.9 / 0.5), math.log(0.4 / 0.5)],
        [math.log(0.9 / 0.5), math.log(0.4 / 0.2)],
    ]
    assert torch.allclose(gain, torch.tensor(expected))
    # What is nearly impossible counts as exp(-5).
    sure = torch.tensor([[[1 - 1e-9, 1e-9]], [[1e-9, 1 - 1e-9]]]).log()
    assert torch.allclose(gain_to_go(sure, torch.tensor([1]))[1], torch.tensor([5.0]), atol=1e-4)


@pytest.mark.parametrize(("name", "share"), [("ram-gain-avp", 1.0), ("ram-taught", 0.25)])
def test_the_posterior_s_gain_pushes_each_choice(name, share):
    rows, leaves = _with_beliefs([False, False], posterior=POSTERIOR.log())
    method = METHODS[name] if share == 1 else METHODS[name].changed({"gain": share, "weight": 0})
    method.loss(rows).backward()
    right = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    gain = gain_to_go(POSTERIOR.log(), torch.tensor([0, 0]))
    reward = share * gain + (1 - share) * right
    baseline = leaves["baseline"].detach()
    expected = -0.5 * (reward - baseline)
    assert torch.allclose(leaves["location_log_probability"].grad, expected, atol=1e-6)
    assert torch.allclose(leaves["baseline"].grad, expected, atol=1e-6)  # 2 / (B T)


def test_the_network_s_own_gain_and_its_labels_at_each_step():
    rows, leaves = _with_beliefs([False, False])
    loss = METHODS["ram-gain"].loss(rows)
    loss.backward()
    believed = torch.stack([EARLY, torch.tensor([[2.0, 0.0], [0.0, 1.0]])]).softmax(-1)
    gain = gain_to_go(believed.log(), torch.tensor([0, 0]))
    expected = -0.5 * (gain - leaves["baseline"].detach())
    assert torch.allclose(leaves["location_log_probability"].grad, expected, atol=1e-6)
    label = believed[..., 0].log().mean()
    log_p, baseline = rows.location_log_probability, rows.baseline
    rest = -(0.5 * (gain - baseline) * log_p).sum() + (gain - baseline).square().mean()
    assert loss.item() == pytest.approx((rest - label).item(), abs=1e-5)


def test_what_was_believed_along_sequences_teaches_their_rows_alone():
    rows, leaves = _with_beliefs([False, True], sequence_posterior=POSTERIOR.log())
    loss = find_method("ps-nogs-beliefs:weight=2").loss(rows)
    each = [_cross_entropy([0.8, 0.2], [1.0, 0.0]), _cross_entropy([0.6, 0.4], [0.0, 1.0])]
    expected = partially_supervised(rows) + 2 * sum(each) / 4
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    before = torch.autograd.grad(partially_supervised(rows), leaves["class_logits"])[0]
    after = torch.autograd.grad(loss, leaves["class_logits"])[0]
    assert torch.allclose(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def _mapped(minimum: float, weight=2.0, reduction="mean"):
    logits = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]]])
    logits.requires_grad_()
    # The second image is supervised; its last cell was not evaluated at the first glimpse.
    maps = torch.zeros(2, 2, 3)
    maps[0, 1] = torch.tensor([0.1, 0.3, torch.nan])
    maps[1, 1] = torch.tensor([0.4, 0.2, 0.3])
    rows, _ = hand_rows([False, True], location_logits=logits, weight=weight, reduction=reduction)
    # Both glimpses are the least cell's: 0, then 1.
    log_p = logits.log_softmax(-1)
    taken = torch.stack([log_p[0, :, 0], log_p[1, :, 1]])
    return replace(rows, location_log_probability=taken, maps=maps), logits


def test_a_whole_map_is_taught_by_hand():
    rows, logits = _mapped(0.0)
    find_method("ps-nogs-maps:tau=0.1").loss(rows).backward()
    wanted = torch.tensor(
        [[math.exp(-1), math.exp(-3), 0.0], [math.exp(-4), math.exp(-2), math.exp(-3)]]
    )
    wanted = wanted / wanted.sum(-1, keepdim=True)
    # The first is over the cells that were evaluated; the others are still chosen, and lose.
    now = logits.detach().softmax(-1)[:, 1]
    assert torch.allclose(logits.grad[:, 1], 2.0 / 2 * (now - wanted), atol=1e-5)


def test_a_map_and_its_minimum_add_up_and_sum_does_not_divide():
    plain, logits = _mapped(1.0)
    (least,) = torch.autograd.grad(partially_supervised(plain), logits, retain_graph=True)
    (maps,) = torch.autograd.grad(
        find_method("ps-nogs-maps:tau=0.1").loss(plain), logits, retain_graph=True
    )
    (both,) = torch.autograd.grad(find_method("ps-nogs-maps:tau=0.1:minimum=1").loss(plain), logits)
    assert torch.allclose(both[:, 1], least[:, 1] + maps[:, 1], atol=1e-6)
    rows, logits = _mapped(0.0, weight=1.0, reduction="sum")  # as weight 2 by two rows
    (summed,) = torch.autograd.grad(find_method("ps-nogs-maps:tau=0.1").loss(rows), logits)
    assert torch.allclose(summed[:, 1], maps[:, 1], atol=1e-6)


def test_the_entropy_bonus_by_hand():
    logits = torch.tensor([[[0.0, 0.0], [3.0, 0.0]], [[0.0, 0.0], [3.0, 0.0]]])
    rows, _ = hand_rows([False, True], location_logits=logits)
    loss = find_method("ram-entropy:bonus=0.5").loss(rows)
    # The supervised row, whose logits are (3, 0), does not count; ln 2 of half of all rows.
    expected = partially_supervised(rows) - 0.5 * math.log(2) / 2
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)


def test_ppo_clips_what_has_moved_far():
    begun, _ = hand_rows([False, False])
    # p now / p then: 1.5, 0.5 at the first glimpse, 1.1, 1 at the second.
    ratio = torch.tensor([[1.5, 0.5], [1.1, 1.0]])
    moved = begun.location_log_probability.detach() + ratio.log()
    rows, leaves = hand_rows([False, False], location_log_probability=moved)
    rows = replace(rows, first=begun.detached())
    METHODS["ram-ppo"].loss(rows).backward()
    # Advantages .75, -.5 and .25, -.5. 1.5 is clipped, for its advantage is positive; .5 with a
    # negative one likewise: no gradient. The others have the ratio's: -1/2 ratio A.
    expected = torch.tensor([[0.0, 0.0], [-0.5 * 1.1 * 0.25, -0.5 * 1.0 * -0.5]])
    assert torch.allclose(leaves["location_log_probability"].grad, expected, atol=1e-6)


def test_ppo_s_first_pass_is_reinforce():
    first, leaves = hand_rows([False, True])
    METHODS["ram-ppo"].loss(first).backward()
    plain, others = hand_rows([False, True])
    partially_supervised(plain).backward()
    for name in ("location_log_probability", "baseline", "class_logits"):
        assert torch.allclose(leaves[name].grad, others[name].grad, atol=1e-6), name


def test_labels_at_each_step_are_an_option_of_each():
    rows, _ = _with_beliefs([False, False])
    loss = find_method("ram-entropy:each_step=0.5").loss(rows)
    believed = torch.stack([EARLY, torch.tensor([[2.0, 0.0], [0.0, 1.0]])]).softmax(-1)
    expected = METHODS["ram-entropy"].loss(rows) - 0.5 * believed[..., 0].log().mean()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
