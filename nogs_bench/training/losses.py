"""The training objective of section 5."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Rows:
    """What the loss needs of a batch of n images that took T glimpses, of one run or of R.

    - `labels`: int64 ([R,] n).
    - `supervised`: bool ([R,] n), whether an image's glimpses were fixed to its sequence.
    - `class_logits`: float ([R,] n, classes), after T glimpses.
    - `location_log_probability`: float ([R,] T, n), log q(l_t | h_t) of the glimpses taken.
    - `baseline`: float ([R,] T, n), predicted reward at each location choice.
    """

    labels: Tensor
    supervised: Tensor
    class_logits: Tensor
    location_log_probability: Tensor
    baseline: Tensor


def class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of logits ([R,] n, classes) and labels int64 ([R,] n), summed over R."""
    flat = functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    return flat.view(labels.shape).mean(-1).sum()


def partially_supervised_loss(rows: Rows, weight: float | Tensor, reduction: str) -> Tensor:
    """The negative of equation 8's lower bound, with REINFORCE for unsupervised rows; a scalar.

    Of R runs it is the sum: each has its own parameters and so its own gradient.

    With B rows, c the cross-entropy of the label, r the reward (1 where the likeliest class is the
    label, else 0) and b_t the baseline:

        1/B sum_all c
      - weight / (B or 1) sum_supervised sum_t log q(l_t | h_t)
      - 1/B sum_unsupervised sum_t (r - b_t) log q(l_t | h_t)       gradient of log q alone
      + 1/(B T) sum_unsupervised sum_t (r - b_t)^2                  gradient of b alone

    Without supervised rows this is RAM (Mnih et al. 2014).

    **Arguments**

    - `weight`: factor of the supervised locations' log-likelihood; of R runs float (R, 1, 1).
    - `reduction`: `"mean"` divides that term by B as every other; `"sum"` does not, as the authors'
      code.
    """
    count = rows.labels.shape[-1]
    supervised = rows.supervised.to(rows.class_logits.dtype)
    cross_entropy = class_loss(rows.class_logits, rows.labels)
    reward = (rows.class_logits.detach().argmax(-1) == rows.labels).to(supervised.dtype)
    # Both are the same at each of the T glimpses.
    supervised, reward = supervised.unsqueeze(-2), reward.unsqueeze(-2)
    unsupervised = 1 - supervised
    error = reward - rows.baseline
    scale = weight / REDUCTIONS[reduction](count)
    # One factor for each log-probability: how much its glimpse is to be encouraged.
    push = supervised * scale + unsupervised * error.detach() / count
    location = -(push * rows.location_log_probability).sum()
    baseline = (unsupervised * error.square()).mean((-2, -1)).sum()
    return cross_entropy + location + baseline


REDUCTIONS = {"mean": lambda count: count, "sum": lambda count: 1}
