"""What a build costs, reckoned from rates of one core: enough to choose numbers by.

Measured in processor time on one core of an ordinary machine. What is chosen depends on these
constants, not on the machine that chooses: the same images and version give the same task.
"""

from __future__ import annotations

from dataclasses import dataclass

from nogs_bench.tasks.task import Task

ASKED = 0.2  # of cells x completions, that a race computes


@dataclass(frozen=True)
class OwnRates:
    """A second's work of one core.

    - `training`: images that train the AVP; `evaluations`: pairs of completion and candidate cell.
    """

    training: float
    evaluations: float


# Of images of 28 x 28 grey, and of glimpses of 16 x 16 in colour.
LOCAL = OwnRates(training=4_500.0, evaluations=150_000.0)
PATCHES = OwnRates(training=850.0, evaluations=13_000.0)


def rates_of(network: str, image_size: int, glimpse_size: int, channels: int) -> OwnRates:
    """Those of a network of the AVP, by the pixels that it works on."""
    if network.startswith("local"):
        pixels = image_size**2 * (channels + 1) / (28**2 * 2)
        return OwnRates(LOCAL.training / pixels, LOCAL.evaluations / max(1.0, pixels**0.5))
    pixels = max(0.5, glimpse_size / 16)
    return OwnRates(PATCHES.training / pixels, PATCHES.evaluations / pixels)


def reckoned(task: Task, cores: int) -> tuple[float, float]:
    """Seconds that the AVP's training and the search of the sequences take, on so many cores.

    `task`: with the settings of the build. Training is one core's work.
    """
    settings, grid = task.annotation, task.grid
    rates = rates_of(task.avp.network, task.image_size, task.glimpse_size, task.channels)
    images = task.splits.train - max(settings.images, settings.reserved) - settings.bank_images
    first = grid.cells * min(settings.first_samples, settings.bank_images)
    later = settings.images * (task.T - 1) * grid.cells * settings.samples * ASKED
    training = task.avp.epochs * max(0, task.avp.images or images) / rates.training
    return training, (first + later / cores) / rates.evaluations
