"""The fields of a dataset card: the YAML that the Hub reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nogs_bench.tasks import Task

TAGS = ("hard-attention", "glimpses", "bayesian-optimal-experimental-design", "nogs-bench")
UNKNOWN = "unknown"
SIZES = {
    "n<1K": 10**3,
    "1K<n<10K": 10**4,
    "10K<n<100K": 10**5,
    "100K<n<1M": 10**6,
    "1M<n<10M": 10**7,
    "10M<n<100M": 10**8,
}
# Of the Hub's list of licence identifiers, those of data and those that code often has.
LICENCES = frozenset(
    (
        "apache-2.0",
        "mit",
        "bsd",
        "bsd-2-clause",
        "bsd-3-clause",
        "isc",
        "unlicense",
        "zlib",
        "mpl-2.0",
        "gpl",
        "gpl-2.0",
        "gpl-3.0",
        "lgpl",
        "lgpl-2.1",
        "lgpl-3.0",
        "agpl-3.0",
        "cc",
        "cc0-1.0",
        "cc-by-2.0",
        "cc-by-2.5",
        "cc-by-3.0",
        "cc-by-4.0",
        "cc-by-sa-3.0",
        "cc-by-sa-4.0",
        "cc-by-nc-2.0",
        "cc-by-nc-3.0",
        "cc-by-nc-4.0",
        "cc-by-nd-4.0",
        "cc-by-nc-nd-3.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nc-sa-2.0",
        "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0",
        "cdla-sharing-1.0",
        "cdla-permissive-1.0",
        "cdla-permissive-2.0",
        "c-uda",
        "odc-by",
        "odbl",
        "pddl",
        "etalab-2.0",
        "unknown",
        "other",
    )
)


def card_fields(
    task: Task, record: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]]
) -> str:
    """The card's YAML, without the lines of dashes around it.

    Number and size of the rows are left to the body: `datasets` compares those in the YAML with
    what it reads, and refuses rows that `filters=` have thinned out.

    **Arguments**

    - `record`: what `provenance.json` holds.
    - `configs`: for each config its `features` and YAML `metadata`, the default one first.
    """
    from datasets import DatasetInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    data = DatasetCardData(
        pretty_name=pretty_name(task),
        annotations_creators=["machine-generated"],
        task_categories=["image-classification"],
        task_ids=["multi-class-image-classification"],
        size_categories=[size_category(sum(record["images"].values()))],
        source_datasets=list(task.source_datasets),
        tags=list(TAGS),
        **licence_fields(record.get("licence", task.licence)),
    )
    infos = {
        name: DatasetInfo(features=config["features"], config_name=name)
        for name, config in configs.items()
    }
    DatasetInfosDict(infos).to_dataset_card_data(data)
    metadata = {name: dict(config["metadata"]) for name, config in configs.items()}
    MetadataConfigs(metadata).to_dataset_card_data(data)
    return data.to_yaml()


def pretty_name(task: Task) -> str:
    return f"Near-optimal glimpse sequences: {task.name}"


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows."""
    return next((name for name, limit in SIZES.items() if rows < limit), "100M<n<1B")


def licence_fields(licence: str) -> dict[str, Any]:
    """`license`, and `license_name` where the Hub has no identifier for it."""
    identifier = licence.lower()
    if identifier in LICENCES:
        return {"license": identifier}
    words = "".join(c if c.isalnum() or c == "." else " " for c in identifier).split()
    return {"license": "other", "license_name": "-".join(words)}
