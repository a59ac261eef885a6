"""Posteriors that need no training."""

from __future__ import annotations

import torch

from nogs_bench.builders.posterior.avp import Avp


def trained(task):
    """An AVP of random weights, both heads far from indifferent."""
    torch.manual_seed(0)
    avp = Avp(task).eval()
    with torch.no_grad():
        for parameter in avp.parameters():
            parameter.mul_(2)
    return avp
