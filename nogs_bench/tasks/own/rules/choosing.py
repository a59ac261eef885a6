"""All rules in their order, and what they choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules import parts, posterior, sequences, sizes, training
from nogs_bench.tasks.own.rules.rule import MINUTES, Choice, Chosen

# Each may use what those before it chose.
RULES = {
    each.name: each
    for each in (
        *(sizes.image_size, sizes.channels, sizes.glimpse, sizes.stride, sizes.glimpses),
        *(parts.validation, parts.test, parts.avp_validation, parts.annotated, parts.bank_images),
        *(posterior.network, posterior.mirrored, posterior.avp_batch, posterior.avp_rate),
        *(posterior.epochs, sequences.effective_samples, sequences.search, sequences.samples),
        *(training.batch_size, training.learning_rate, training.iterations),
        *(training.judged_by, training.target),
    )
}


def choose(
    facts: Facts,
    minutes: float = MINUTES,
    given: Mapping[str, Any] | None = None,
    labels: int = 1,
) -> Chosen:
    """Every number of a task of these images, whose build searches for so many of their labels.

    `given`: those that are set by hand, by the names of `RULES` (None: not set). Raises `NogsError`
    at a name that no rule has, and at less than half a minute.
    """
    by_hand = {name: value for name, value in (given or {}).items() if value is not None}
    unknown = by_hand.keys() - RULES.keys()
    if unknown:
        raise NogsError(f"no choice is called {min(unknown)}; there are {', '.join(RULES)}")
    if not 0.5 <= minutes <= 100_000:
        raise NogsError(f"--minutes {minutes:g}: give half a minute or more")
    if labels not in range(1, len(facts.labels) + 1):
        raise NogsError(f"labels={labels}: give 1 to {len(facts.labels)}, as {facts.name} has")
    chosen = Chosen(facts, minutes, labels, by_hand)
    for name, rule in RULES.items():
        made = (by_hand[name], "as you set it") if name in by_hand else rule.make(facts, chosen)
        chosen.choices[name] = Choice(name, *made)
    return chosen
