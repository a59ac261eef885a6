"""A batch whose losses can be worked by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nogs_bench.methods import Rows


def hand_rows(supervised: list[bool], **changes: Any) -> tuple[Rows, dict[str, Tensor]]:
    """Two images of two classes, two glimpses each, and the leaves that gradients are found of.

    The first image is classified rightly, the second wrongly.
    """
    leaves = {
        "class_logits": torch.tensor([[2.0, 0.0], [0.0, 1.0]]),
        "location_log_probability": torch.tensor([[-1.0, -2.0], [-3.0, -0.5]]),
        "location_logits": torch.zeros(2, 2, 3),
        "baseline": torch.tensor([[0.25, 0.5], [0.75, 0.5]]),
    }
    leaves |= {name: value for name, value in changes.items() if name in leaves}
    for value in leaves.values():
        value.requires_grad_()
    rows = Rows(
        labels=torch.tensor([0, 0]),
        supervised=torch.tensor(supervised),
        cells=torch.zeros(2, 2, dtype=torch.int64),
        weight=1.0,
        reduction="mean",
        progress=torch.tensor(0.0),
        **leaves,
    )
    return replace(rows, **{n: v for n, v in changes.items() if n not in leaves}), leaves
