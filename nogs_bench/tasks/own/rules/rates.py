"""What a build costs, reckoned from rates of one core: enough to choose numbers by.

Measured in processor time on one core of an ordinary machine. What is chosen depends on these
constants, not on the machine that chooses: the same images and version give the same task.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nogs_bench.tasks.task import Task

# Completions that a race tries in every cell, and the share of all that it does beside.
TRIED, BESIDE = 26, 0.1


@dataclass(frozen=True)
class OwnRates:
    """A second's work of one core.

    - `training`: images that train the AVP; `evaluations`: pairs of completion and candidate cell.
    """

    training: float
    evaluations: float


# Of images of 28 x 28 grey, and of glimpses of 16 x 16 in colour by layers of 256 units.
LOCAL = OwnRates(training=4_500.0, evaluations=150_000.0)
PATCHES = OwnRates(training=850.0, evaluations=13_000.0)


# Hard attention's training on one core, of an image: seconds, and more of them for each pixel of
# the glimpse's side.
AN_IMAGE, A_PIXEL = 1.4e-4, 1.5e-5
COMPARED = 2 * 3  # runs of `evaluate` as it is: ram and ps-nogs, three seeds


def rates_of(network: str, image_size: int, glimpse_size: int, channels: int) -> OwnRates:
    """Those of a network of the AVP, by the pixels that it works on.

    Only `local` and `patch-sum` were measured. Other kinds are reckoned as `patch-sum`.
    """
    if network.partition(":")[0] == "local":
        pixels = image_size**2 * (channels + 1) / (28**2 * 2)
        return OwnRates(LOCAL.training / pixels, LOCAL.evaluations / max(1.0, pixels**0.5))
    # Training in small batches of small glimpses is mostly overhead; a candidate is not.
    side = glimpse_size / 16
    width = re.search(r":(\d+)", network)
    units = max(1, int(width[1])) / 256 if width else 1.0
    return OwnRates(
        PATCHES.training / max(1.0, side), PATCHES.evaluations / max(0.5, side) / units**2
    )


def raced(samples: float) -> float:
    """Completions that a race over so many tries, a cell in the mean."""
    return min(samples, TRIED + BESIDE * samples)


def reckoned(task: Task, cores: int, labels: int = 1) -> tuple[float, float]:
    """Seconds that the AVP's training and the search of the sequences take, on so many cores.

    `task`: with the settings of the build, which searches for so many labels. Training is one
    core's work.
    """
    settings, grid = task.annotation, task.grid
    rates = rates_of(task.avp.network, task.image_size, task.glimpse_size, task.channels)
    images = task.splits.train - max(settings.images, settings.reserved) - settings.bank_images
    first = grid.cells * settings.first_completions(settings.bank_images)
    later = labels * settings.images * (task.T - 1) * grid.cells * raced(settings.samples)
    training = task.avp.epochs * max(0, task.avp.images or images) / rates.training
    return training, (first + later / cores) / rates.evaluations


def reckoned_evaluation(task: Task, cores: int) -> float:
    """Seconds that `evaluate` takes with nothing but the task and its sequences given."""
    first, training = task.protocols[0], task.training
    stages = [first.iterations, first.pretraining.iterations if first.pretraining else 0]
    each = AN_IMAGE + A_PIXEL * task.glimpse_size
    return COMPARED * sum(stages) * training.batch_size * each / cores
