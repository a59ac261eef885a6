"""Methods that are taught more than labels and locations: beliefs, and whole maps.

A belief is what the dataset's posterior network says of the label, given the glimpses taken so far.
To learn it after each glimpse is to be told, at every step, how much of the label can be read from
what has been seen: a network learns to read glimpses sooner than from the label at the end alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nogs_bench.methods.losses import (
    class_loss,
    label_reward,
    location_loss,
    masked_mean,
    partially_supervised,
    soft_cross_entropy,
    supervision_scale,
)
from nogs_bench.methods.method import Method, register_method
from nogs_bench.methods.rewards import gain_to_go
from nogs_bench.methods.rows import Rows


def belief_loss(rows: Rows) -> Tensor:
    """float ([R]): mean over all rows and t of the cross-entropy, nats, between what the posterior
    network believes and what the network does, after the glimpses taken."""
    each = soft_cross_entropy(rows.needed("beliefs"), rows.needed("posterior"))
    return each.mean((-2, -1))


def taught(rows: Rows, weight: float, gain: float) -> Tensor:
    """`partially_supervised` plus `weight` times `belief_loss`.

    `gain`: the share of the reward, 0 .. 1, that is the posterior network's gain in log-probability
    of the label (`gain_to_go`), instead of whether the network's answer is right.
    """
    reward = label_reward(rows)
    if gain:
        reward = (1 - gain) * reward + gain * gain_to_go(rows.needed("posterior"), rows.labels)
    told = class_loss(rows.class_logits, rows.labels) + weight * belief_loss(rows)
    return told + location_loss(rows, reward)


def taught_by_sequences(rows: Rows, weight: float) -> Tensor:
    """`partially_supervised` plus `weight` times the cross-entropy between the dataset's column
    `posterior` and the network's beliefs, of the supervised rows, mean over all rows and t."""
    each = soft_cross_entropy(rows.needed("beliefs"), rows.needed("sequence_posterior"))
    return partially_supervised(rows) + weight * masked_mean(each, rows.supervised)


def map_loss(rows: Rows, tau: float) -> Tensor:
    """float ([R]): sum over t and supervised rows of the cross-entropy, nats, between softmax(-EPE
    / tau) and the distribution of where to look, over the number of rows.

    `tau`: nats, above 0. A location that was not evaluated has no chance.
    """
    maps = rows.needed("maps")
    wanted = (maps / -tau).masked_fill(maps.isnan(), -torch.inf).log_softmax(-1)
    located = rows.location_logits.log_softmax(-1)
    each = -(wanted.exp() * located.masked_fill(maps.isnan(), 0)).sum(-1)
    return masked_mean(each, rows.supervised) * each.shape[-2]


def mapped(rows: Rows, tau: float, minimum: float) -> Tensor:
    """As `partially_supervised`, but supervised rows learn the whole map (`map_loss`), with the
    task's weight, and the least cell alone with `minimum` times that."""
    # What `partially_supervised` has of the least cell's likelihood, taken away in part.
    likelihood = rows.location_log_probability.sum(-2, keepdim=True)
    away = (1 - minimum) * masked_mean(likelihood, rows.supervised)
    return partially_supervised(rows) + supervision_scale(rows) * (away + map_loss(rows, tau))


def mapped_and_taught(rows: Rows, tau: float, minimum: float, weight: float) -> Tensor:
    """`mapped` plus `weight` times `belief_loss`."""
    return mapped(rows, tau, minimum) + weight * belief_loss(rows)


BELIEFS = frozenset({"beliefs", "posterior"})

RAM_TAUGHT = register_method(
    Method(
        name="ram-taught",
        description="ram, taught what the posterior network believes after each glimpse",
        reference="nogs-bench",
        objective=taught,
        needs=BELIEFS,
        settings={"weight": 5.0, "gain": 0.0},
        pretraining_glimpses="uniform",
        rate=2.0,
    )
)
PS_NOGS_TAUGHT = register_method(
    Method(
        name="ps-nogs-taught",
        description="ps-nogs, taught what the posterior network believes after each glimpse",
        reference="nogs-bench",
        sequences="near-optimal",
        objective=taught,
        needs=BELIEFS,
        settings={"weight": 20.0, "gain": 0.0},
        rate=2.0,
    )
)
PS_NOGS_BELIEFS = register_method(
    Method(
        name="ps-nogs-beliefs",
        description="ps-nogs, taught what was believed along its sequences (column posterior)",
        reference="nogs-bench",
        sequences="near-optimal",
        objective=taught_by_sequences,
        needs=frozenset({"beliefs", "sequence_posterior"}),
        settings={"weight": 5.0},
    )
)
PS_NOGS_MAPS = register_method(
    Method(
        name="ps-nogs-maps",
        description="ps-nogs, taught whole maps, softmax(-EPE / tau), instead of their least cell",
        reference="nogs-bench",
        sequences="near-optimal",
        objective=mapped,
        needs=frozenset({"maps"}),
        settings={"tau": 0.05, "minimum": 0.0},
    )
)
PS_NOGS_MAPS_TAUGHT = register_method(
    Method(
        name="ps-nogs-maps-taught",
        description="ps-nogs-maps, taught the posterior network's beliefs too",
        reference="nogs-bench",
        sequences="near-optimal",
        objective=mapped_and_taught,
        needs=BELIEFS | {"maps"},
        settings={"tau": 0.05, "minimum": 0.0, "weight": 20.0},
        rate=2.0,
    )
)
