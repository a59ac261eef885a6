"""From chosen numbers to a `Task`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nogs_bench.images import OPEN_LICENCES, ImageSource, Label, Splits
from nogs_bench.tasks.geometry import GlimpseGrid
from nogs_bench.tasks.own.facts import Facts
from nogs_bench.tasks.own.rules import Chosen
from nogs_bench.tasks.task import (
    TASKS,
    Annotation,
    AvpTraining,
    Pretraining,
    Task,
    Training,
    TrainingProtocol,
)

UNKNOWN_LICENCE = "unknown: ask whoever made the images"
CRITERION, OBSERVED, SHARE = "cross-entropy", "sample", 0.25
WARMUP = 0.3
PERIODS = 40  # points of a curve
PRETRAINING_RATE = 1e-3
LONGEST = 60  # characters of a name


def task_name(text: str) -> str:
    """`text` as it can name results and files."""
    return re.sub(r"[^\w+.-]+", "-", text).strip("-.+")[:LONGEST] or "images"


def joint_name(family: str, label: str) -> str:
    """The name of a family's task about `label`, of 60 characters at most. Where it is longer, the
    family's is cut, since the label tells it from the others."""
    own = task_name(label)[: LONGEST // 2]
    return f"{family[: LONGEST - 1 - len(own)]}-{own}"


def family_name(text: str) -> str:
    """`task_name`, with `-images` after it where a registered task or family is called so."""
    lasting, name = TASKS.lasting(), task_name(text)
    taken = {*lasting, *(task.family for task in lasting.values())}
    return f"{name}-images" if name in taken else name


def make_task(chosen: Chosen, source: ImageSource, labels: Sequence[Label], splits: Splits) -> Task:
    """The task of what was chosen, about the first of `labels`. Its name is its family's."""
    facts, v = chosen.facts, chosen
    size, glimpse = v["image_size"], v["glimpse"]
    family = family_name(facts.name)
    training = Training(
        batch_size=v["batch_size"],
        learning_rate=v["learning_rate"],
        supervised=v["annotated"],
        supervised_share=SHARE,
        evaluation_period=max(1, v["iterations"] // PERIODS),
    )
    return Task(
        name=family,
        version=1,
        family=family,
        description=describe(facts, chosen),
        channels=v["channels"],
        labels=tuple(labels),
        T=v["glimpses"],
        grid=GlimpseGrid.even(image_size=size, glimpse_size=glimpse, stride=v["stride"]),
        splits=splits,
        source=source,
        training=training,
        protocols=(
            TrainingProtocol("scratch", v["iterations"], v["target"]),
            TrainingProtocol(
                "pretrained",
                v["iterations"],
                v["target"],
                Pretraining(v["iterations"], PRETRAINING_RATE),
            ),
        ),
        avp=AvpTraining(
            v["network"],
            epochs=v["epochs"],
            batch_size=v["avp_batch"],
            learning_rate=v["avp_rate"],
            warmup=WARMUP,
            mirrored=v["mirrored"],
        ),
        annotation=Annotation(
            images=v["annotated"],
            bank_images=v["bank_images"],
            criterion=CRITERION,
            search=v["search"],
            samples=v["samples"],
            components=0,
            effective_samples=v["effective_samples"],
            observed=OBSERVED,
        ),
        licence="unknown",
        images_licence=facts.licence or UNKNOWN_LICENCE,
        images_may_ship=facts.licence in OPEN_LICENCES,
        source_datasets=source_datasets(facts),
        caveats=caveats(facts),
        judged_by=v["judged_by"],
        stops_blind=True,
    )


def describe(facts: Facts, chosen: Chosen) -> str:
    """One line for tables."""
    size, glimpse = chosen["image_size"], chosen["glimpse"]
    return (
        f"{facts.classes} classes of {facts.name}, {size} x {size}, {chosen['glimpses']} glimpses "
        f"of {glimpse} x {glimpse}"
    )


def source_datasets(facts: Facts) -> tuple[str, ...]:
    """As the Hub's cards say where images come from."""
    return (f"extended|{facts.origin}",) if facts.origin else ("original",)


def caveats(facts: Facts) -> tuple[str, ...]:
    """What the card of a dataset of sequences says of the images."""
    return (f"Who uses the images cites: {facts.citation}",) if facts.citation else ()
