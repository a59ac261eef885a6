"""Whether a dataset card says, field by field, what the files are: the Hub checks no values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nogs_bench.builders.dataset.card_fields import (
    LICENCES,
    TAGS,
    licence_fields,
    pretty_name,
    size_category,
)
from nogs_bench.builders.dataset.parquet import config_features, has_column, posterior_files
from nogs_bench.errors import NogsError
from nogs_bench.tasks import Task

SECTIONS = ("Columns", "How it was made", "Quality", "Limits and biases", "Licence", "Citation")


def check_card(text: str, task: Task, record: Mapping[str, Any]) -> None:
    """Raise `NogsError` with the first field of a card that is not as `record` has it.

    - `text`: the whole of `README.md`.
    - `record`: what `provenance.json` holds.
    """
    from huggingface_hub import DatasetCard

    card = DatasetCard(text)
    fields = card.data.to_dict()
    for name, is_right in (*_fields(fields, task, record), *_body(card.text, fields, record)):
        if not is_right:
            raise NogsError(f"the card of {task.name} is wrong in {name}: {fields.get(name)!r}")


def _fields(
    fields: Mapping[str, Any], task: Task, record: Mapping[str, Any]
) -> Iterator[tuple[str, bool]]:
    licence = licence_fields(record.get("licence", task.licence))
    yield (
        "license",
        fields.get("license") in LICENCES and fields.get("license") == licence["license"],
    )
    yield "license_name", fields.get("license_name") == licence.get("license_name")
    yield "pretty_name", fields.get("pretty_name") == pretty_name(task)
    yield "annotations_creators", fields.get("annotations_creators") == ["machine-generated"]
    yield "task_categories", fields.get("task_categories") == ["image-classification"]
    yield "task_ids", fields.get("task_ids") == ["multi-class-image-classification"]
    rows = sum(record["images"].values())
    yield "size_categories", fields.get("size_categories") == [size_category(rows)]
    sources = fields.get("source_datasets")
    yield "source_datasets", bool(sources) and sources == list(task.source_datasets)
    yield "tags", set(TAGS) <= set(fields.get("tags") or ())
    configs = fields.get("configs") or ()
    files = [part["path"] for config in configs for part in config["data_files"]]
    yield "configs", sorted(files) == sorted(record["files"])
    yield "configs", [config.get("default", False) for config in configs].count(True) == 1
    yield "configs", len({config["version"] for config in configs}) == 1
    yield "dataset_info", _features(fields) == _expected(task, configs, has_column(record))


def _body(
    text: str, fields: Mapping[str, Any], record: Mapping[str, Any]
) -> Iterator[tuple[str, bool]]:
    for section in SECTIONS:
        yield f"section {section!r}", f"\n## {section}\n" in text
    for features in _features(fields).values():
        for column in features:
            yield f"column {column!r}", f"\n| `{column}` |" in text
    digests = (record["digest"], *record["files"].values(), *posterior_files(record).values())
    for digest in digests:
        yield f"digest {digest}", digest in text
    yield "origin", record["origin"] in text
    yield "citation", "arXiv:1906.05462" in text


def _features(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Column types of each config, as `datasets` reads them from the card."""
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    infos = DatasetInfosDict.from_dataset_card_data(DatasetCardData(**fields))
    return {name: info.features for name, info in infos.items()}


def _expected(task: Task, configs: Any, beliefs: bool) -> dict[str, Any]:
    types = config_features(task, beliefs)
    return {config["config_name"]: types[config["config_name"]] for config in configs}
