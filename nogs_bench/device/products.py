"""How exactly a GPU multiplies float32 matrices."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

SWITCH = "NOGS_TF32"  # "0" leaves products exact


@contextmanager
def tf32_products(device: torch.device) -> Iterator[None]:
    """Meanwhile products on a CUDA device take float32 numbers with 10 bits of mantissa (TF32), as
    convolutions there do anyway; sums stay float32. On a CPU nothing changes."""
    import torch

    if device.type != "cuda" or os.environ.get(SWITCH, "1") == "0":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
