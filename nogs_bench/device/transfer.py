"""Sending arrays to a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def sent(values: np.ndarray | torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """`values` on `device`. A GPU fetches them while this process goes on."""
    import torch

    tensor = values if isinstance(values, torch.Tensor) else torch.from_numpy(values)
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
