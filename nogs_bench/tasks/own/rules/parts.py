"""Which share of the images is for what."""

from __future__ import annotations

from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules.rule import Chosen, between, rounded, rule
from nogs_bench.tasks.values import NUMBER, SHARE

A_MINUTE, LEAST_OF_MANY = 100, 50  # sequences, with few completions
SHARES = {"validation": (0.1, 2_000), "test": (0.2, 5_000), "avp_validation": (0.1, 1_000)}


def _share(facts: Facts, name: str) -> tuple[float, str]:
    share, most = SHARES[name]
    if name in facts.given:
        return share, f"not used: the images have a split of their own with {facts.given[name]:,}"
    pool = facts.given.get("train", facts.images)
    if share * pool > most:
        return float(f"{most / pool:.3g}"), f"{most:,} images are enough"
    return share, "enough images to see a difference of a few per cent"


@rule(
    "validation",
    "a tenth of the images, at most 2,000, if they have no such split",
    "up to 0.1",
    kind=float,
    allowed=SHARE,
)
def validation(facts: Facts, chosen: Chosen) -> tuple[float, str]:
    return _share(facts, "validation")


@rule(
    "test",
    "a fifth, at most 5,000, if they have no such split",
    "up to 0.2",
    kind=float,
    allowed=SHARE,
)
def test(facts: Facts, chosen: Chosen) -> tuple[float, str]:
    return _share(facts, "test")


@rule(
    "avp_validation",
    "a tenth, at most 1,000: they choose the AVP's epoch",
    "up to 0.1",
    kind=float,
    allowed=SHARE,
)
def avp_validation(facts: Facts, chosen: Chosen) -> tuple[float, str]:
    return _share(facts, "avp_validation")


def training_images(facts: Facts, chosen: Chosen) -> int:
    """About how many images train: what the other splits leave."""
    pool = facts.given.get("train", facts.images)
    wanted = [chosen[name] for name in SHARES if name not in facts.given]
    least = facts.classes  # at least one of each class goes to each split
    return max(1, pool - sum(max(least, round(share * pool)) for share in wanted))


@rule(
    "annotated",
    "a sixth of the training images. The AVP must not have seen these, and needs most images for "
    "itself. The paper has 600 too. If several labels are searched for, they share a hundred "
    "sequences a minute, but have fifty each",
    "up to 600",
)
def annotated(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    count = training_images(facts, chosen)
    most = int(between(rounded(count / 6), 1, 600))
    shared = max(LEAST_OF_MANY, rounded(A_MINUTE * chosen.minutes / chosen.labels))
    if chosen.labels > 1 and shared < most:
        return shared, f"what {chosen.minutes:g} minutes leave each of {chosen.labels} labels"
    return most, f"a sixth of some {count:,}, 600 at most"


@rule(
    "bank_images",
    "a sixth of the training images. Completions are drawn from them. More make better "
    "completions, but the AVP cannot train on them",
    "up to 2,000",
    allowed=NUMBER,
)
def bank_images(facts: Facts, chosen: Chosen) -> tuple[int, str]:
    count = training_images(facts, chosen)
    return int(between(rounded(count / 6), 1, 2_000)), f"a sixth of some {count:,}, 2,000 at most"


def avp_images(facts: Facts, chosen: Chosen) -> int:
    """About how many images train the AVP."""
    left = training_images(facts, chosen) - chosen["annotated"] - chosen["bank_images"]
    return max(1, left)
