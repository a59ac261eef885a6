"""The training objective of section 5."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Rows:
    """What the loss needs of a batch of n images that took T glimpses.

    - `labels`: int64 (n,).
    - `supervised`: bool (n,), whether an image's glimpses were fixed to its sequence.
    - `class_logits`: float (n, classes), after T glimpses.
    - `location_log_probability`: float (T, n), log q(l_t | h_t) of the glimpses taken.
    - `baseline`: float (T, n), predicted reward at each location choice.
    """

    labels: Tensor
    supervised: Tensor
    class_logits: Tensor
    location_log_probability: Tensor
    baseline: Tensor


def partially_supervised_loss(rows: Rows, weight: float, reduction: str) -> Tensor:
    """The negative of equation 8's lower bound, with REINFORCE for unsupervised rows; a scalar.

    With B rows, c the cross-entropy of the label, r the reward (1 where the likeliest class is the
    label, else 0) and b_t the baseline:

        1/B sum_all c
      - weight / (B or 1) sum_supervised sum_t log q(l_t | h_t)
      - 1/B sum_unsupervised sum_t (r - b_t) log q(l_t | h_t)       gradient of log q alone
      + 1/(B T) sum_unsupervised sum_t (r - b_t)^2                  gradient of b alone

    Without supervised rows this is RAM (Mnih et al. 2014).

    **Arguments**

    - `weight`: factor of the supervised locations' log-likelihood.
    - `reduction`: `"mean"` divides that term by B as every other; `"sum"` does not, as the authors'
      code.
    """
    count = len(rows.labels)
    supervised = rows.supervised.to(rows.class_logits.dtype)
    unsupervised = 1 - supervised
    cross_entropy = functional.cross_entropy(rows.class_logits, rows.labels)
    reward = (rows.class_logits.detach().argmax(-1) == rows.labels).to(supervised.dtype)
    error = reward - rows.baseline
    scale = weight / REDUCTIONS[reduction](count)
    # One factor for each log-probability: how much its glimpse is to be encouraged.
    push = supervised * scale + unsupervised * error.detach() / count
    location = -(push * rows.location_log_probability).sum()
    baseline = (unsupervised * error.square()).mean()
    return cross_entropy + location + baseline


REDUCTIONS = {"mean": lambda count: count, "sum": lambda count: 1}
