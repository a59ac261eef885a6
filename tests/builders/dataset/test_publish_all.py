"""The paper's 41 datasets: imported, published to a Hub on loopback, and loaded back."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard, DatasetCardData

from hub_double import running
from nogs_bench.builders.dataset.card_check import check_card
from nogs_bench.builders.dataset.card_fields import card_fields
from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import read_provenance
from nogs_bench.tasks.task import get_task
from processes import client, program, python
from released_files import imported, inputs  # noqa: F401  (fixtures)
from small_dataset import TASK, write

LOAD = """
import sys
from pathlib import Path
import nogs_bench
for name in sys.argv[2:]:
    for split, rows in nogs_bench.load(f"nogs/{name}").items():
        rows.to_parquet(Path(sys.argv[1], f"{name}-{split}.parquet"))
"""


@pytest.mark.slow
def test_all_41_are_published_and_loaded_back(
    imported: list[Path],  # noqa: F811
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = imported[0].parent
    with running() as hub:
        env = client(hub.url, tmp_path / "home")
        refused = program(env, elsewhere, "publish", "--all", folder, "--repo", "nogs")
        assert refused.returncode == 1
        assert "the licence of these sequences is unknown" in refused.stderr
        assert hub.repos == {}
        arguments = ("publish", "--all", folder, "--repo", "nogs", "--i-have-the-rights", "--json")
        done = program(env, elsewhere, *arguments)
        assert done.returncode == 0, done.stderr
        outcomes = json.loads(done.stdout)
        names = [path.name for path in imported]
        assert [each["repo"] for each in outcomes] == [f"nogs/{name}" for name in names]
        loaded = python(
            LOAD, client(hub.url, tmp_path / "other", None), elsewhere, elsewhere, *names
        )
        assert loaded.returncode == 0, loaded.stderr
        for path in imported:
            files = hub.repos[f"nogs/{path.name}"].commits[-1][2]
            check_published(path, files)
            for file in (path / "annotations").glob("*.parquet"):
                back = elsewhere / f"{path.name}-{file.name}"
                assert pq.read_table(file).equals(pq.read_table(back)), (path.name, file.name)
        again = json.loads(program(env, elsewhere, *arguments).stdout)
        assert not any(each["changed"] for each in again)


def check_published(folder: Path, files: dict[str, bytes]) -> None:
    """The card by the Hub's own parser, then each field against what it must be."""
    record = json.loads(files["provenance.json"])
    task = get_task(folder.name)
    card = DatasetCard(files["README.md"].decode())
    check_card(str(card), task, record)
    data = card.data.to_dict()
    assert data["license"] == "unknown"
    assert data["pretty_name"].endswith(folder.name)
    assert data["task_categories"] == ["image-classification"]
    assert data["size_categories"] == ["10K<n<100K" if folder.name != "cub-200" else "1K<n<10K"]
    assert data["source_datasets"][0].startswith("extended|other-")
    (config,) = data["configs"]
    assert config["config_name"] == "annotations"
    assert config["default"] is True
    for part in config["data_files"]:
        table = pq.read_table(pa.BufferReader(files[part["path"]]))
        info = data["dataset_info"]  # no list where there is one config
        assert table.column_names == [feature["name"] for feature in info["features"]]
        assert f"| {part['split']} | {table.num_rows:,} |" in card.text
    assert "github.com/wsgharvey/ps-nogs); no licence named" in card.text
    assert "licence is unknown" in card.text
    assert ("Faces of celebrities" in card.text) == (folder.name != "cub-200")
    assert files["locations.png"].startswith(b"\x89PNG")
    assert f"name: nogs-bench {folder.name}" in files["eval.yaml"].decode()


def test_a_missing_dataset_of_the_41_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    done = program(client("http://127.0.0.1:9", tmp_path), tmp_path, "publish", "--all", tmp_path)
    assert "lacks 41 of the paper's 41 datasets, such as celeba-hq-5-o-clock-shadow" in done.stderr


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("license", "wtf"),
        ("license", "mit"),
        ("pretty_name", "Another"),
        ("task_categories", ["text-generation"]),
        ("size_categories", ["n<1K", "1K<n<10K"]),
        ("source_datasets", ["extended|imagenet-1k"]),
        ("tags", ["glimpses"]),
        ("configs", []),
        ("annotations_creators", None),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, field: str, value: object) -> None:
    folder = write(tmp_path / "d")
    record = read_provenance(folder)
    card = DatasetCard.load(folder / "README.md")
    check_card(str(card), TASK, record)
    card.data = DatasetCardData(**(card.data.to_dict() | {field: value}))
    with pytest.raises(NogsError, match=f"the card of corner is wrong in {field}"):
        check_card(str(card), TASK, record)


def test_licences_that_the_hub_does_not_know_get_a_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    record = read_provenance(folder) | {"licence": "My Own, v1.1 (beta)"}
    fields = DatasetCard(f"---\n{card_fields(TASK, record, {})}\n---\n").data.to_dict()
    assert fields["license"] == "other"
    assert fields["license_name"] == "my-own-v1.1-beta"
