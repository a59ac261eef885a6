"""Images whose spectrum decays; quick to import in a worker."""

import numpy as np


def blobs(count: int) -> np.ndarray:
    """uint8 (count, 3, 16, 16): sums of a few smooth patterns, so that a spectrum decays."""
    rng = np.random.default_rng(1)
    line = np.linspace(0, np.pi, 16)
    waves = np.stack(
        [np.outer(np.cos(a * line), np.cos(b * line)) for a in range(5) for b in range(5)]
    )
    scale = 0.7 ** np.arange(25)
    patterns = np.einsum("nck,kij->ncij", rng.normal(size=(count, 3, 25)) * scale, waves)
    return (128 + 30 * patterns).clip(0, 255).astype(np.uint8)
