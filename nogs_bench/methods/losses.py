"""The training objective of section 5, and the terms that others are put together from.

Every term is of one run, a scalar, or of R runs, float (R,): each run has its own parameters, and
so its own gradient, which nothing may carry to another. Nothing here waits for the device.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from nogs_bench.methods.rows import Rows


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """float ([R]), nats: mean cross-entropy of logits ([R,] n, classes), labels int64 ([R,] n)."""
    flat = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    return flat.view(labels.shape).mean(-1)


def label_reward(rows: Rows) -> Tensor:
    """float ([R,] 1, n): 1 where the likeliest class after T glimpses is the label, else 0. The
    same for each of the T choices."""
    right = rows.class_logits.detach().argmax(-1) == rows.labels
    return right.to(rows.baseline.dtype).unsqueeze(-2)


def partially_supervised(rows: Rows) -> Tensor:
    """float ([R]): the negative of equation 8's lower bound, with REINFORCE for unsupervised rows.

    With B rows, c the cross-entropy of the label, r the reward (1 where the likeliest class is the
    label, else 0) and b_t the baseline:

        1/B sum_all c
      - weight / (B or 1) sum_supervised sum_t log q(l_t | h_t)
      - 1/B sum_unsupervised sum_t (r - b_t) log q(l_t | h_t)       gradient of log q alone
      + 1/(B T) sum_unsupervised sum_t (r - b_t)^2                  gradient of b alone

    Without supervised rows this is RAM (Mnih et al. 2014). `Rows.reduction`: `"mean"` divides the
    second term by B as every other; `"sum"` does not, as the authors' code.
    """
    return class_loss(rows.class_logits, rows.labels) + location_loss(rows, label_reward(rows))


def location_loss(rows: Rows, reward: Tensor) -> Tensor:
    """float ([R]): the last three terms of `partially_supervised`, for a reward of one's own.

    `reward`: float ([R,] 1 or T, n), what follows from choice t; without gradient.
    """
    count = rows.labels.shape[-1]
    # The same at each of the T glimpses.
    supervised = rows.supervised.to(rows.baseline.dtype).unsqueeze(-2)
    unsupervised = 1 - supervised
    error = reward - rows.baseline
    scale = rows.weight / REDUCTIONS[rows.reduction](count)
    # One factor for each log-probability: how much its glimpse is to be encouraged.
    push = supervised * scale + unsupervised * error.detach() / count
    location = -(push * rows.location_log_probability).sum((-2, -1))
    return location + (unsupervised * error.square()).mean((-2, -1))


def supervision_scale(rows: Rows) -> Tensor | float:
    """([R]): the factor of a mean over all rows that stands for supervision: `Rows.weight`, times
    the number of rows where `Rows.reduction` does not divide by it."""
    count = rows.labels.shape[-1]
    factor = count / REDUCTIONS[rows.reduction](count)
    if not isinstance(rows.weight, Tensor):
        return rows.weight * factor
    return rows.weight.flatten().view(rows.labels.shape[:-1]) * factor


def label_at_each_step(rows: Rows) -> Tensor:
    """float ([R]): mean cross-entropy of the label over all rows and t; needs `beliefs`."""
    beliefs = rows.needed("beliefs")
    labels = rows.labels.unsqueeze(-2).expand(beliefs.shape[:-1])
    return class_loss(beliefs.flatten(-3, -2), labels.flatten(-2))


def soft_cross_entropy(logits: Tensor, log_target: Tensor) -> Tensor:
    """float (...), nats: cross-entropy of `logits` (..., k) with a soft target.

    `log_target` (..., k) are the target's log-probabilities. Only `logits` get a gradient.
    """
    return -(log_target.detach().exp() * logits.log_softmax(-1)).sum(-1)


def entropy(logits: Tensor) -> Tensor:
    """float (...), nats: entropy of the distribution with these logits (..., k)."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


def masked_mean(values: Tensor, rows: Tensor) -> Tensor:
    """float ([R]): sum of values ([R,] T, n) over t and the rows where bool ([R,] n), divided by T
    and all n rows: a row counts alike whatever the others are."""
    return values.masked_fill(~rows.unsqueeze(-2), 0).mean((-2, -1))


REDUCTIONS = {"mean": lambda count: count, "sum": lambda count: 1}
