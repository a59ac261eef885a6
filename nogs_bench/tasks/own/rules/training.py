"""How hard-attention networks are trained on the task, and what they are to reach."""

from __future__ import annotations

from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules.parts import training_images
from nogs_bench.tasks.own.rules.rule import Chosen, rule
from nogs_bench.tasks.own.rules.sizes import SMALL_SIDE
from nogs_bench.tasks.training_settings import JUDGED_BY
from nogs_bench.tasks.values import ANY, NUMBER, SHARE

UNEVEN = 1.5  # times an even share


@rule("batch_size", "64, or 32 where fewer than a thousand images train", "32 or 64")
def batch_size(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    count = training_images(facts, chosen)
    return (32 if count < 1_000 else 64), f"some {count:,} images train"


@rule(
    "learning_rate",
    "the image size. On small images RAM learns soonest at 3e-3 (of 3e-4, 1e-3, 3e-3 and 6e-3, "
    "measured on cluttered digits). Photographs have the paper's 3e-4",
    "3e-4 or 3e-3",
    kind=float,
    allowed=NUMBER,
)
def learning_rate(facts: Facts, chosen: Chosen) -> tuple[float, str]:
    small = chosen["image_size"] <= SMALL_SIDE
    return (3e-3, "small images") if small else (3e-4, "photographs")


@rule(
    "iterations",
    "the image size, since photographs are learned slowly",
    "4,000 or 12,000",
)
def iterations(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    small = chosen["image_size"] <= SMALL_SIDE
    return (4_000, "small images") if small else (12_000, "photographs")


@rule(
    "judged_by",
    "the commonest class. If it has more than one and a half times an even share, always giving it "
    "has a good accuracy; then every class counts alike instead",
    "accuracy or balanced_accuracy",
    kind=str,
    allowed=ANY,
)
def judged_by(facts: Facts, chosen: Chosen) -> tuple[str, str]:
    share = f"the commonest class has {facts.commonest:.0%}"
    uneven = is_uneven(facts.commonest, facts.classes)
    return ("balanced_accuracy" if uneven else "accuracy"), share


def is_uneven(commonest: float, classes: int) -> bool:
    """Whether the share of the commonest class makes accuracy a poor judge."""
    return commonest * classes > UNEVEN


@rule(
    "target",
    "half-way between always giving the commonest class and being always right, until "
    "`nogs-bench target` has measured what RAM reaches",
    "0.5 .. 1",
    kind=float,
    allowed=SHARE,
)
def target(facts: Facts, chosen: Chosen) -> tuple[float, str]:
    least = JUDGED_BY[chosen["judged_by"]](facts.commonest, facts.classes)
    why = f"half-way from a constant answer's {least:.0%}; not measured yet"
    return round((1 + least) / 2, 2), why
