"""All rules in their order, and what they choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules import parts, posterior, sequences, sizes, training
from nogs_bench.tasks.own.rules.rule import MINUTES, Choice, Chosen
from nogs_bench.tasks.values import ANY, COUNT, Range, settled

SPLITS = 4  # train, validation, test, avp_validation

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


# What depends on the label that a task is about; all else is the same for a family's tasks.
OF_A_LABEL = ("judged_by", "target")

# What may be set, with its type, least and most: these numbers, and what they are chosen for.
SETTABLE: dict[str, tuple[type, Range]] = {
    "minutes": (float, (0.5, 100_000)),
    "labels": (int, COUNT),
    "label": (str, ANY),
    "about": (str, ANY),
    **{name: (each.kind, each.allowed) for name, each in RULES.items()},
}


def set_by_hand(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values by the names of `SETTABLE` (None: not set), as Python's own of their types.

    Raises `NogsError` at another name, and at a value of another type or out of its range.
    """
    made = {}
    for name, value in given.items():
        if name not in SETTABLE:
            raise NogsError(f"no choice is called {name}; there are {', '.join(RULES)}")
        kind, allowed = SETTABLE[name]
        if value is not None:
            made[name] = kind(settled(name, value, kind.__name__, allowed))
    return made


def choose(
    facts: Facts,
    minutes: float = MINUTES,
    given: Mapping[str, Any] | None = None,
    labels: int = 1,
) -> Chosen:
    """Every number of a task of these images, whose build searches for so many of their labels.

    `given`: those that are set by hand, by the names of `RULES` (None: not set). Raises `NogsError`
    as `set_by_hand` does, and at more labels than the images have.
    """
    by_hand = set_by_hand({**(given or {}), "minutes": minutes, "labels": labels})
    minutes, labels = by_hand.pop("minutes"), by_hand.pop("labels")
    if labels > len(facts.labels):
        raise NogsError(f"labels={labels}: give 1 to {len(facts.labels)}, as {facts.name} has")
    fewest = min((count for count in facts.counts if count), default=0)
    if not facts.given and fewest < SPLITS:
        scarce = facts.labels[0].classes[facts.counts.index(fewest)]
        raise NogsError(
            f"{facts.name}: class {scarce} has too few images ({fewest}) for {SPLITS} splits; add "
            "images, or remove it"
        )
    return _chosen(Chosen(facts, minutes, labels, by_hand), RULES)


def choose_about(chosen: Chosen, number: int) -> Chosen:
    """The same for a task about another of the labels, by its number."""
    return _chosen(replace(chosen, facts=chosen.facts.about(number)), OF_A_LABEL)


def _chosen(chosen: Chosen, names: Iterable[str]) -> Chosen:
    """With what the rules of these names choose, one after the other."""
    given, made = chosen.given, replace(chosen, choices=dict(chosen.choices))
    for name in names:
        by_rule = (given[name], "as you set it") if name in given else None
        made.choices[name] = Choice(name, *(by_rule or RULES[name].make(made.facts, made)))
    return made
