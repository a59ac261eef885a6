"""The dataset card: what the folder holds, how it was made and how good it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nogs_bench.builders.parquet import Annotations
from nogs_bench.task import Task

PAPER = "Near-Optimal Glimpse Sequences for Improved Hard Attention Neural Network Training"
CITATION = f"""@article{{harvey2019near,
  title = {{{PAPER}}},
  author = {{Harvey, William and Teng, Michael and Wood, Frank}},
  journal = {{arXiv preprint arXiv:1906.05462}},
  year = {{2019}}
}}"""
LIMITS = """\
- The sequences are near-optimal for the posterior network (AVP) and the image bank that made them,
  and carry the bias of both: a network supervised by them for long can end below one that is not.
- The search is greedy, one glimpse at a time; a sequence may repeat a location.
- `epe` and `epe_map` are Monte-Carlo estimates, and the least of many estimates is biased low."""
PRIVATE = (
    "**For your own use: do not publish or pass on this folder.** It holds images that may not be "
    "redistributed ({licence})."
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))


def dataset_card(
    task: Task,
    record: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    annotations: Annotations,
) -> str:
    """The text of `README.md`: YAML for the Hub, then Markdown for people.

    **Arguments**

    - `record`: what `provenance.json` holds.
    - `configs`: for each config its `features` and YAML `metadata`, the default one first.
    """
    body = [
        f"# Near-optimal glimpse sequences: {task.name}",
        *([] if record["publishable"] else [PRIVATE.format(licence=task.images_licence)]),
        f"{task.description}. {record['annotated']:,} of {record['images']['train']:,} training "
        f"images carry a sequence of {task.T} glimpse locations, chosen one after the other to "
        "leave the least expected uncertainty about the label. They supervise, in part, the "
        f"training of a hard-attention network ([{PAPER}](https://arxiv.org/abs/1906.05462)).",
        '```python\nfrom nogs_bench import load\n\nrows = load("PATH or OWNER/NAME")["train"]\n```',
        "## Columns",
        _columns(task, configs),
        _splits(record["images"]),
        "## How it was made",
        f"Sequences: {record['origin']}. Locations lie on a grid of {task.grid.shape[0]} x "
        f"{task.grid.shape[1]} cells of a {task.image_size} x {task.image_size} image; a glimpse "
        f"is {task.glimpse_size} x {task.glimpse_size} pixels. Images: {task.source.summary}.",
        "```json\n" + json.dumps(record["made_by"], indent=1, sort_keys=True) + "\n```",
        f"Content digest (sha256): `{record['digest']}`",
        "## Quality",
        *_quality(record["quality"], record["calibration"]),
        *_epe(annotations.epe),
        "## Limits",
        LIMITS,
        "## Licence",
        f"Sequences: {task.licence}. Images: {task.images_licence}.",
        "## Citation",
        f"```bibtex\n{CITATION}\n```",
    ]
    return f"---\n{_metadata(task, record, configs)}\n---\n\n" + "\n\n".join(body) + "\n"


def _metadata(
    task: Task, record: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]]
) -> str:
    from datasets import DatasetInfo
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCardData

    rows = sum(record["images"].values())
    size = next((name for limit, name in _SIZES if rows < limit), "n>1M")
    data = DatasetCardData(
        license=task.licence.lower(),
        pretty_name=f"Near-optimal glimpse sequences: {task.name}",
        task_categories=["image-classification"],
        size_categories=[size],
        tags=["hard-attention", "glimpses", "bayesian-optimal-experimental-design", "nogs-bench"],
    )
    infos = {
        name: DatasetInfo(features=config["features"], config_name=name)
        for name, config in configs.items()
    }
    DatasetInfosDict(infos).to_dataset_card_data(data)
    metadata = {name: dict(config["metadata"]) for name, config in configs.items()}
    MetadataConfigs(metadata).to_dataset_card_data(data)
    return data.to_yaml()


def _columns(task: Task, configs: Mapping[str, Any]) -> str:
    grid = f"{task.grid.shape[0]}, {task.grid.shape[1]}"
    meaning = {
        "image": ("image", f"{task.image_size} x {task.image_size} pixels, PNG"),
        "index": ("int64", "the image's number in its split"),
        "label": ("class", f"{task.labels[task.target].name}, one of {len(task.classes)}"),
        "annotated": ("bool", "whether the row carries a glimpse sequence"),
        "glimpses": (
            f"int16 ({task.T}, 2)",
            "(row, col) of each glimpse's top-left corner, pixels from the image's top left; "
            "-1 where not annotated",
        ),
        "epe": (
            f"float32 ({task.T})",
            "expected posterior entropy (or its bound, see the criterion below) after each "
            "glimpse, estimated before it was taken, nats; -1 where not known",
        ),
        "epe_map": (
            f"float16 ({task.T}, {grid})",
            "the same for every allowed location, nats; a search by halving estimates those it "
            "drops early from fewer samples; NaN where it was not evaluated",
        ),
    }
    holds = {name: set(config["features"]) for name, config in configs.items()}
    rows = [
        (
            f"`{column}`",
            kind,
            ", ".join(f"`{c}`" for c, has in holds.items() if column in has),
            text,
        )
        for column, (kind, text) in meaning.items()
        if any(column in has for has in holds.values())
    ]
    return _table(("column", "type", "in config", "meaning"), rows)


def _splits(images: Mapping[str, int]) -> str:
    rows = [(name, f"{count:,}") for name, count in images.items()]
    return _table(("split", "images"), rows)


def _quality(quality: Mapping[str, Any] | None, calibration: Mapping[str, Any] | None) -> list[str]:
    if not quality:
        return ["Not measured: no posterior network was trained for this dataset."]
    quantities = {
        "accuracy": "accuracy",
        "cross_entropy": "true cross-entropy, nats",
        "entropy": "claimed entropy, nats",
    }
    rows = [
        (sequences, name, *(f"{value:.3f}" for value in values[key]))
        for sequences, values in quality.items()
        for key, name in quantities.items()
        if key in values
    ]
    if calibration:
        errors = calibration["expected_calibration_error"]
        quantity = "expected calibration error"
        rows.append(("uniform", quantity, *(f"{value:.3f}" for value in errors)))
    steps = max(len(row) for row in rows) - 2
    header = ("sequences", "quantity", *(f"t = {t}" for t in range(1, steps + 1)))
    text = "The posterior network along built and random sequences, on images it never saw:"
    return [text, _table(header, rows)]


def _epe(epe: np.ndarray | None) -> list[str]:
    if epe is None or not len(epe):
        return []
    quantiles = np.quantile(epe, (0.1, 0.5, 0.9), axis=0)
    rows = [
        (str(t + 1), f"{mean:.3f}", *(f"{value:.3f}" for value in quantiles[:, t]))
        for t, mean in enumerate(epe.mean(0, dtype=np.float64))
    ]
    header = ("glimpse", "mean EPE, nats", "10 %", "median", "90 %")
    return ["Expected posterior entropy at the chosen locations:", _table(header, rows)]


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = tuple(header)
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
