"""An image generator of noise that is told apart by its number."""

from __future__ import annotations

import numpy as np

from nogs_bench.images.labelled import LabelledImages


class Numbered:
    """Image i is the i-th of a stream of noise; counts what it is asked for."""

    def __init__(self, stop_after=10**9):
        self.config = {"generator": "numbered"}
        self.asked = []
        self.stop_after = stop_after

    def sample(self, seed, start, count):
        if len(self.asked) == self.stop_after:
            raise KeyboardInterrupt
        self.asked.append((start, count))
        numbers = np.arange(start, start + count)
        rows = [np.random.default_rng([seed, i]).integers(256, size=(1, 4, 4)) for i in numbers]
        return LabelledImages(np.stack(rows).astype(np.uint8), numbers[:, None] % 4)
