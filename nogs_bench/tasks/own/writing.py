"""A chosen task as a Python file to be changed by hand: the same task, with its reasons."""

from __future__ import annotations

from nogs_bench.images import OPEN_LICENCES
from nogs_bench.tasks.own.facts import Place
from nogs_bench.tasks.own.making import (
    CRITERION,
    OBSERVED,
    PERIODS,
    PRETRAINING_RATE,
    SHARE,
    UNKNOWN_LICENCE,
    WARMUP,
    caveats,
    source_datasets,
)
from nogs_bench.tasks.own.rules import Chosen
from nogs_bench.tasks.task import Task

TEMPLATE = '''"""A task of {place}, chosen for a build of {minutes:g} minutes; change what you like.

nogs-bench build THIS_FILE.py:task --out FOLDER
"""

from nogs_bench import (
    Annotation,
    AvpTraining,
    GlimpseGrid,
    HubImages,
    ImageFolder,
    Pretraining,
    Task,
    Training,
    TrainingProtocol,
)

TARGET = {target}
# {why[target]}; `nogs-bench target` measures it and writes it above

images = {source}

task = Task(
    name={name!r},
    version=1,  # count it up when results stop being comparable
    family={family!r},
    description={description!r},
    channels=images.channels,
    labels=images.labels,
    target={target_label},
    T={glimpses},  # {why[glimpses]}
    grid=GlimpseGrid.even(
        image_size=images.image_size,
        glimpse_size={glimpse},  # {why[glimpse]}
        stride={stride},  # {why[stride]}
    ),
    splits=images.splits,
    source=images,
    training=Training(
        batch_size={batch_size},  # {why[batch_size]}
        learning_rate={learning_rate},  # {why[learning_rate]}
        supervised={annotated},
        supervised_share={share},
        evaluation_period={period},
    ),
    protocols=(
        TrainingProtocol("scratch", {iterations}, TARGET),  # {why[iterations]}
        TrainingProtocol(
            "pretrained", {iterations}, TARGET, Pretraining({iterations}, {pretraining})
        ),
    ),
    avp=AvpTraining(
        {network!r},  # {why[network]}
        epochs={epochs},  # {why[epochs]}
        batch_size={avp_batch},  # {why[avp_batch]}
        learning_rate={avp_rate},  # {why[avp_rate]}
        warmup={warmup},
        mirrored={mirrored},  # {why[mirrored]}
    ),
    annotation=Annotation(
        images={annotated},  # {why[annotated]}
        bank_images={bank_images},  # {why[bank_images]}
        criterion={criterion!r},
        search={search!r},  # {why[search]}
        samples={samples},  # {why[samples]}
        components=0,
        effective_samples={effective_samples},  # {why[effective_samples]}
        observed={observed!r},
    ),
    licence="unknown",  # of the sequences
    images_licence={licence!r},
    images_may_ship={ships},  # whether the dataset folder may hold the images
    source_datasets={origin!r},
    caveats={caveats!r},
    judged_by={judged_by!r},  # {why[judged_by]}
    stops_blind=True,
    chosen={chosen!r},
)
'''


def write_code(place: Place, chosen: Chosen, task: Task, said: str) -> str:
    """The file's text, which defines `task`; `said`: how the user named the images."""
    facts, v = chosen.facts, chosen.values
    why = {choice.name: choice.why for choice in chosen.choices.values()}
    return TEMPLATE.format(
        **v,
        place=said.encode("unicode_escape").decode(),
        minutes=chosen.minutes,
        why=why,
        source=place.code(v, why),
        name=task.name,
        family=task.family,
        target_label=task.target,
        description=task.description,
        chosen=dict(task.chosen),
        share=SHARE,
        period=max(1, v["iterations"] // PERIODS),
        pretraining=PRETRAINING_RATE,
        warmup=WARMUP,
        criterion=CRITERION,
        observed=OBSERVED,
        licence=facts.licence or UNKNOWN_LICENCE,
        ships=facts.licence in OPEN_LICENCES,
        origin=source_datasets(facts),
        caveats=caveats(facts),
    )
