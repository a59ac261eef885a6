"""Plain words about a build: what it will cost, what its posterior knows, what it was worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from nogs_bench.builders.bank import Roles
from nogs_bench.builders.pipeline.plan import BuildPlan
from nogs_bench.builders.posterior import Posterior, along_each, fixed_cells
from nogs_bench.builders.search import standard_error
from nogs_bench.errors import NogsError
from nogs_bench.images import joined, say
from nogs_bench.tasks import Task, reckoned, reckoned_evaluation

SURE = 2.0  # standard errors that a gain must be above 0
SURE_OF_MANY = 2.5  # likewise, of the best of some, so that chance is as rare


def announce(plan: BuildPlan, workers: int) -> None:
    """Say what a build will cost, of a task whose numbers were chosen."""
    task = plan.task
    if not task.stops_blind or plan.posterior != "avp" or plan.device != "cpu":
        return
    labels = len(plan.tasks)
    training, search = (seconds / 60 for seconds in reckoned(task, workers, labels))
    after = reckoned_evaluation(task, workers) / 60
    each = f" for each of {labels} labels" if labels > 1 else ""
    say(
        f"{task.name}: {plan.count:,} sequences{each} will take about {training + search:.0f} "
        f"minutes of {workers} idle cores (posterior {training:.1f}, sequences {search:.1f}), and "
        f"nogs-bench evaluate of them, as it is, {after:.0f}; reckoned"
    )


def check_posteriors(
    plan: BuildPlan, posterior_of: Callable[[Task], Posterior], roles: Roles
) -> None:
    """Say how good the posterior of each task is at random glimpses, beside the commoner answer.

    Raises `NogsError` if it tells no more than the classes' shares among these images of any of
    them, unless the plan goes on anyway. For tasks that want that (`Task.stops_blind`).
    """
    tasks = [task for task in plan.tasks if task.stops_blind]
    blind = [task for task in tasks if not _tells(plan, task, posterior_of(task), roles)]
    why = "the posterior tells no more than the commonest answer (the line above)"
    if blind and len(blind) == len(tasks) and not plan.anyway:
        raise NogsError(
            f"{blind[0].name}: {why}, so sequences would be worth nothing; give more images, "
            "larger glimpses (--glimpse), more time (--minutes) or pre-trained weights (--set "
            "avp.network=timm:NAME@FILE), or go on with --anyway"
        )
    for task in blind:
        say(f"{task.name}: {why}, so its sequences will be worth nothing")


def _tells(plan: BuildPlan, task: Task, posterior: Posterior, roles: Roles) -> bool:
    """Whether a posterior knows more than the classes' shares; says how much."""
    # Neither trained it, and where images are few, each counts.
    held_out = joined([roles.avp_validation, roles.annotated])
    labels = held_out.labels[:, task.target]
    cells = fixed_cells(task.grid, len(labels), task.T)
    each = along_each(posterior, held_out.images, labels, cells, plan.device)
    # The best that a constant answer could do, even if it knew these images' labels.
    shares = np.bincount(labels, minlength=len(task.classes)) / len(labels)
    gain = -np.log(shares[labels]) - each["cross_entropy"][:, -1].numpy()
    mean, error = _mean(gain)
    right = float(each["accuracy"][:, -1].mean())
    compared = "more" if mean >= 0 else "LESS"
    commoner = float(shares.max())
    line = (
        f"{task.name}: after {task.T} random glimpses the posterior is right on {right:.1%} of "
        f"{len(labels):,} held-out images, the commonest answer on {commoner:.1%}; it knows "
        f"{abs(mean):.3f} \u00b1 {error:.3f} nats {compared} than how common each class is"
    )
    say(line)
    return mean > error


def verdict(task: Task, quality: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """One line of a dataset's `quality`: what its sequences tell more than random ones, plainly."""
    paired = quality["built - random"]
    gain, error = -paired["cross_entropy"][-1], paired["standard_error"][-1]
    said = (
        f"{task.name}: after {task.T} glimpses the posterior's cross-entropy is {abs(gain):.3f} "
        f"\u00b1 {error:.3f} nats {'less' if gain >= 0 else 'MORE'} along these sequences than "
        "along random ones"
    )
    if gain > SURE * error:
        return said
    gains = -np.array(paired["cross_entropy"]), np.array(paired["standard_error"])
    surely = gains[0] - SURE_OF_MANY * gains[1]
    sooner = int(surely.argmax())
    if surely[sooner] <= 0:
        return f"{said}: THESE SEQUENCES ARE NO BETTER THAN RANDOM ONES"
    return (
        f"{said}: IN THE END THESE SEQUENCES ARE NO BETTER THAN RANDOM ONES, though they tell it "
        f"sooner: after {sooner + 1}, by {gains[0][sooner]:.3f} \u00b1 {gains[1][sooner]:.3f} nats"
    )


def _mean(values: np.ndarray) -> tuple[float, float]:
    """And its standard error."""
    return float(values.mean()), float(standard_error(values))
