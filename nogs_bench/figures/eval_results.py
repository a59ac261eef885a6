"""Scores as the Hub reads them from a model's repository: `.eval_results`."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

HUB_SCORES = ".eval_results/nogs-bench.yaml"


@dataclass(frozen=True)
class HubScore:
    """A test accuracy, 0 to 1, under a protocol, beside the benchmark's dataset on the Hub."""

    dataset_id: str
    protocol: str
    accuracy: float
    notes: str


def hub_scores(scores: Sequence[HubScore], url: str) -> str:
    """The text of `HUB_SCORES`: accuracies in %, dated today; `url` says where they come from."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    entries = [
        EvalResultEntry(
            dataset_id=score.dataset_id,
            task_id=score.protocol,
            value=round(100 * score.accuracy, 2),
            date=today,
            source_url=url,
            source_name="nogs-bench",
            notes=score.notes,
        )
        for score in scores
    ]
    return yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, width=100)
