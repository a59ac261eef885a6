"""Methods that learn by another reward, or use it otherwise, with labels alone (but for one)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nogs_bench.methods.losses import (
    class_loss,
    entropy,
    label_at_each_step,
    label_reward,
    location_loss,
    masked_mean,
    partially_supervised,
)
from nogs_bench.methods.method import Method, register_method
from nogs_bench.methods.rows import Rows

FLOOR = 5.0  # nats: a label less probable than exp(-FLOOR) counts as that


def gain_to_go(log_p: Tensor, labels: Tensor) -> Tensor:
    """float ([R,] T, n), nats: what choice t and all after it add to the label's log-probability.

    log p_T(label) - log p_t-1(label), where p_t, log-probabilities ([R,] T, n, classes), is what is
    believed after glimpse t, and p_0 is uniform. Below -`FLOOR` a log-probability counts as that.
    """
    index = labels.unsqueeze(-2).unsqueeze(-1).expand(*log_p.shape[:-1], 1)
    after = log_p.detach().gather(-1, index).squeeze(-1).clamp(min=-FLOOR)
    prior = torch.full_like(after[..., :1, :], -min(FLOOR, math.log(log_p.shape[-1])))
    before = torch.cat([prior, after[..., :-1, :]], dim=-2)
    return after[..., -1:, :] - before


def gain(rows: Rows) -> Tensor:
    """REINFORCE with `gain_to_go` of the network's own classifier as reward.

    The classifier learns the label after every glimpse, else it would not know what one adds.
    """
    beliefs = rows.needed("beliefs")
    reward = gain_to_go(beliefs.log_softmax(-1), rows.labels)
    return label_at_each_step(rows) + location_loss(rows, reward)


def posterior_gain(rows: Rows) -> Tensor:
    """REINFORCE with `gain_to_go` of the dataset's posterior network as reward."""
    reward = gain_to_go(rows.needed("posterior"), rows.labels)
    return class_loss(rows.class_logits, rows.labels) + location_loss(rows, reward)


def entropy_bonus(rows: Rows, bonus: float) -> Tensor:
    """`partially_supervised` less `bonus` times the entropy, nats, of where to look: mean over t
    and all rows, those alone counted that choose for themselves."""
    undecided = masked_mean(entropy(rows.location_logits), ~rows.supervised)
    return partially_supervised(rows) - bonus * undecided


def clipped(rows: Rows, clip: float) -> Tensor:
    """Proximal policy optimisation (Schulman et al. 2017, equation 7), and equation 8 for the rest.

    With advantage A = reward - baseline as the batch's first pass had them, and the ratio p of the
    probabilities of a choice now and then: the mean over rows of -sum_t min(p A, clip(p, 1 - clip,
    1 + clip) A). Class loss and baseline as in `partially_supervised`.
    """
    begun = rows.first or rows.detached()
    advantage = label_reward(begun) - begun.baseline
    ratio = (rows.location_log_probability - begun.location_log_probability).exp()
    least = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    choosing = ~rows.supervised
    policy = -masked_mean(least, choosing) * least.shape[-2]
    # What `partially_supervised` would have for those rows, taken away again.
    error = (label_reward(rows) - rows.baseline).detach()
    plain = masked_mean(error * rows.location_log_probability, choosing) * least.shape[-2]
    return partially_supervised(rows) + plain + policy


RAM_GAIN = register_method(
    Method(
        name="ram-gain",
        description="REINFORCE; reward is the gain in the label's log-probability, by the network",
        reference="nogs-bench",
        objective=gain,
        needs=frozenset({"beliefs"}),
        pretraining_glimpses="uniform",
        teaching=("labels",),
    )
)
RAM_GAIN_AVP = register_method(
    Method(
        name="ram-gain-avp",
        description="REINFORCE; reward is the gain in the label's log-probability, by the AVP",
        reference="nogs-bench",
        objective=posterior_gain,
        needs=frozenset({"posterior"}),
        pretraining_glimpses="uniform",
    )
)
RAM_ENTROPY = register_method(
    Method(
        name="ram-entropy",
        description="ram with a bonus for the entropy of where to look",
        reference="Williams and Peng 1991; Mnih et al. 2016",
        objective=entropy_bonus,
        settings={"bonus": 0.01},
        pretraining_glimpses="uniform",
    )
)
RAM_PPO = register_method(
    Method(
        name="ram-ppo",
        description="ram by proximal policy optimisation: clipped, several steps a batch",
        reference="Schulman et al. 2017",
        objective=clipped,
        settings={"clip": 0.2},
        passes=2,
        pretraining_glimpses="uniform",
    )
)
