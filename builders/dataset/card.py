"""The dataset card: what the folder holds, how it was made and how good it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nogs_bench.builders.dataset.card_fields import UNKNOWN, card_fields, pretty_name
from nogs_bench.builders.dataset.parquet import posterior_files
from nogs_bench.builders.search import WAYS
from nogs_bench.images import EVERY_SPLIT
from nogs_bench.tasks import Task

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
- `epe_map` holds Monte-Carlo estimates by which the locations of one step were compared. They are
  not corrected, and the least of many estimates is too low."""
FITTED = """\
- `epe` was multiplied by a factor for each step that was fitted to these images: on average it is
  near the true cross-entropy here, and can be further off for other images."""
SCORE = """\
- **`epe` is a score, no expectation**: its mean is not shown to be that of the true cross-entropy
  (the table above). Compare the images and locations of one step by it, and nothing else."""
PASTED = """\
- It was estimated with the image's own pixels pasted into other images, so that it is true only as
  far as the posterior is."""
EXPECTED = (
    "expected cross-entropy of the true label after each glimpse, estimated before it was taken, "
    "nats; -1 where not known"
)
SCORED = (
    "a score of each glimpse, given before it was taken: small where little doubt is expected "
    "after it, but no expectation (see the limits below), nats; -1 where not known"
)
PRIVATE = (
    "**For your own use: do not publish or pass on this folder.** It holds images that may not be "
    "redistributed ({licence})."
)
NO_LICENCE = (
    "**The sequences' licence is unknown**: their origin names none. Ask its authors before you "
    "pass them on."
)


def dataset_card(
    task: Task,
    record: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
    epe: np.ndarray | None,
    where: str = "PATH or OWNER/NAME",
    figure: str | None = None,
) -> str:
    """The text of `README.md`: YAML for the Hub, then Markdown for people.

    **Arguments**

    - `record`: what `provenance.json` holds.
    - `configs`: for each config its `features` and YAML `metadata`, the default one first.
    - `epe`: float32 (n, T), of the annotated images, nats; None where it is not known.
    - `where`: the dataset's name, as `load` takes it.
    - `figure`: name of a drawing of the locations beside the card.
    """
    licence = record.get("licence", task.licence)
    body = [
        f"# {pretty_name(task)}",
        *([] if record["publishable"] else [PRIVATE.format(licence=task.images_licence)]),
        f"{task.description}. {record['annotated']:,} of {record['images']['train']:,} training "
        f"images carry a sequence of {task.T} glimpse locations, chosen one after the other to "
        "leave the least expected uncertainty about the label. They supervise, in part, the "
        f"training of a hard-attention network ([{PAPER}](https://arxiv.org/abs/1906.05462)).",
        f'```python\nfrom nogs_bench import load\n\nrows = load("{where}")["train"]\n```',
        *([f"![Where the glimpses of each step lie]({figure})"] if figure else []),
        "## Columns",
        _columns(task, configs, _scored(record)),
        _splits(record["images"]),
        "## How it was made",
        f"Sequences: {record['origin']}. Locations lie on a grid of {task.grid.shape[0]} x "
        f"{task.grid.shape[1]} cells of a {task.image_size} x {task.image_size} image; a glimpse "
        f"is {task.glimpse_size} x {task.glimpse_size} pixels. Images: {task.source.summary}.",
        *_cost(record),
        "<details><summary>Configuration and digests</summary>\n\n```json\n"
        + json.dumps(record["made_by"], indent=1, sort_keys=True)
        + "\n```\n\n</details>",
        f"Content digest (sha256): `{record['digest']}`",
        _files(record["files"]),
        *_posterior(record, where),
        "## Quality",
        *_quality(record["quality"], record["calibration"]),
        *_epe(epe, _scored(record)),
        "## Limits and biases",
        "\n".join([LIMITS, *_score(record), *(f"- {caveat}" for caveat in task.caveats)]),
        "## Licence",
        *([NO_LICENCE] if licence == UNKNOWN else []),
        f"Sequences: {licence}. Images: {task.images_licence}.",
        "## Citation",
        f"```bibtex\n{CITATION}\n```",
    ]
    return f"---\n{card_fields(task, record, configs)}\n---\n\n" + "\n\n".join(body) + "\n"


def _score(record: Mapping[str, Any]) -> list[str]:
    """How far the column `epe` is an expectation; what is none is not called one."""
    made_by = record["made_by"]
    parts = made_by.get("folds", [made_by])
    first = [part.get("stages", {}).get("first-step", {}).get("config", {}) for part in parts]
    # A record may be another version's, with a way that this one has not.
    ways = [WAYS.get(config.get("observed", "")) for config in first]
    pasted = any(way is not None and way.pasted for way in ways)
    stated = "stated" in (record["quality"] or {}).get("built", {})
    return [FITTED] * stated + [SCORE] * _scored(record) + [PASTED] * pasted


def _scored(record: Mapping[str, Any]) -> bool:
    """Whether a build found that what it states is a score."""
    return "score" in (record["quality"] or {}).get("built", {})


def _columns(task: Task, configs: Mapping[str, Any], scored: bool) -> str:
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
            SCORED if scored else EXPECTED,
        ),
        "posterior": (
            f"float16 ({task.T}, {len(task.classes)})",
            "probability of each class after each glimpse of the sequence, by the posterior that "
            "made it; -1 where not annotated",
        ),
        "epe_map": (
            f"float16 ({task.T}, {grid})",
            "the search's estimates at every allowed location, nats, by which they were compared; "
            "from fewer samples where they were soon dropped; NaN where there is none",
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
    rows = [(name, f"{images[name]:,}") for name in EVERY_SPLIT]
    return _table(("split", "images"), rows)


def _cost(record: Mapping[str, Any]) -> list[str]:
    """What the search took, where sequences were built rather than imported."""
    made_by, count = record["made_by"], record["annotated"]
    if "evaluations" not in made_by or not count:
        return []
    posteriors = made_by["evaluations"]
    text = (
        f"The search computed {posteriors:,} posteriors, {posteriors / count:,.0f} for each image "
        "(the first step, which all share, not counted)."
    )
    sizes = made_by.get("effective_samples")
    if not sizes:
        return [text]
    header = ("", *(f"t = {t}" for t in range(1, len(sizes) + 1)))
    row = ("effective samples, mean", *(f"{size:,.1f}" for size in sizes))
    return [text, _table(header, [row])]


def _files(files: Mapping[str, str]) -> str:
    return _table(("file", "sha256"), [(f"`{n}`", f"`{d}`") for n, d in files.items()])


def _posterior(record: Mapping[str, Any], where: str) -> list[str]:
    """How the network that made the sequences is asked, where it goes with them."""
    files = posterior_files(record)
    if not files:
        return []
    text = (
        f"The posterior network (`{record['posterior']['network']}`) that chose the sequences goes "
        "with them. It saw whole training images and their labels while it was trained; asked, it "
        "is shown the pixels of the glimpses alone."
    )
    code = (
        "```python\nfrom nogs_bench import load_posterior\n\n"
        f'posterior = load_posterior("{where}")\n'
        "log_p = posterior.log_posterior(images, cells)  # uint8 (n, c, h, w), int64 (n, t)\n```"
    )
    return ["## Posterior", text, code, _files(files)]


def _quality(quality: Mapping[str, Any] | None, calibration: Mapping[str, Any] | None) -> list[str]:
    if not quality:
        return ["Not measured: no posterior network was trained for this dataset."]
    quantities = {
        "accuracy": "accuracy",
        "searched": "EPE as searched, nats",
        "stated": "stated EPE, nats",
        "score": "stated score, nats",
        "cross_entropy": "true cross-entropy, nats",
        "entropy": "claimed entropy, nats",
        "regret": "regret over the bank, nats",
        "standard_error": "its standard error, nats",
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
    text = (
        "The posterior network along built and random sequences, on images it never saw. The EPE "
        "is stated before each glimpse, the entropy claimed after it; where both are true, their "
        "means are that of the true labels' cross-entropy. The search takes the least of many "
        "estimates, which is too low; `epe` is what it found times a factor for each t, fitted to "
        "the annotated images' labels as far as the gap is beyond chance:"
    )
    return [text, _table(header, rows)]


def _epe(epe: np.ndarray | None, scored: bool) -> list[str]:
    if epe is None or not len(epe):
        return []
    quantiles = np.quantile(epe, (0.1, 0.5, 0.9), axis=0)
    rows = [
        (str(t + 1), f"{mean:.3f}", *(f"{value:.3f}" for value in quantiles[:, t]))
        for t, mean in enumerate(epe.mean(0, dtype=np.float64))
    ]
    name = "score" if scored else "EPE"
    header = ("glimpse", f"mean {name}, nats", "10 %", "median", "90 %")
    return [f"The column `epe`, the {name} of the chosen locations:", _table(header, rows)]


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = tuple(header)
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
