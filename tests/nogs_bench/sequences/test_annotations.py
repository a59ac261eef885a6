from __future__ import annotations

import numpy as np
import pytest

from corner_task import CORNER, telling_annotations, write_sequences
from nogs_bench.errors import NogsError
from nogs_bench.sequences.annotations import load_annotations


def test_annotated_rows_are_read_in_the_order_of_their_index(tmp_path):
    write_sequences(
        tmp_path / "d",
        n=3,
        index=[7, 2, 5],
        annotated=[True, False, True],
        glimpses=[[[0, 4], [8, 8]], [[-1, -1], [-1, -1]], [[4, 0], [4, 4]]],
        epe=[[0.5, 0.25], [-1.0, -1.0], [1.0, 0.75]],
        label=[1, 0, 0],
    )
    rows = load_annotations(CORNER, tmp_path / "d")
    assert rows.name == "d"
    assert rows.index.tolist() == [5, 7]
    assert rows.labels.tolist() == [0, 1]
    assert rows.glimpses.tolist() == [[[4, 0], [4, 4]], [[0, 4], [8, 8]]]
    assert rows.epe.tolist() == [[1.0, 0.75], [0.5, 0.25]]
    assert rows.first(1).index.tolist() == [5]


def test_a_folder_that_datasets_wrote_is_read(tmp_path):
    from datasets import Array2D, ClassLabel, Dataset, Features, List, Value

    rows = telling_annotations(4)
    features = Features(
        index=Value("int64"),
        label=ClassLabel(names=["black", "white"]),
        annotated=Value("bool"),
        glimpses=Array2D((2, 2), "int16"),
        epe=List(Value("float32"), length=2),
    )
    columns = {
        "index": rows.index,
        "label": rows.labels,
        "annotated": np.ones(4, bool),
        "glimpses": rows.glimpses.astype(np.int16),
        "epe": rows.epe,
    }
    (tmp_path / "annotations").mkdir()
    Dataset.from_dict(columns, features).to_parquet(tmp_path / "annotations" / "train.parquet")
    read = load_annotations(CORNER, tmp_path)
    assert read.digest == rows.digest
    assert np.array_equal(read.glimpses, rows.glimpses)


def test_the_digest_follows_the_content_and_not_the_name(tmp_path):
    one = load_annotations(CORNER, write_sequences(tmp_path / "a"))
    same = load_annotations(CORNER, write_sequences(tmp_path / "b"))
    assert one.digest == same.digest
    for column in ("index", "labels", "glimpses", "epe"):
        changed = telling_annotations()
        getattr(changed, column)[0] += 1
        assert changed.digest != one.digest, column


SIDE = [[8, 8], [8, 8]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"glimpses": [SIDE, [[8, 8], [8, 7]], SIDE]}, r"row 1: location .*\(8, 7\) is off"),
        ({"glimpses": [SIDE, [[8, 8], [8, 12]], SIDE]}, r"row 1: location .*\(8, 12\) is off"),
        ({"glimpses": [SIDE, [[8, 8]], SIDE]}, r"'glimpses' must have shape \(2, 2\)"),
        ({"glimpses": [[[8, 8]]] * 3}, r"'glimpses' must have shape \(2, 2\)"),
        ({"epe": [[0.0, 0.0], None, [0.0, 0.0]]}, r"'epe' must have shape \(2,\)"),
        ({"epe": [[0.0, 0.0]] * 2 + [[0.0, float("nan")]]}, "row 2: epe is not finite"),
        ({"index": [0, 1, 96]}, r"row 2: index outside 0\.\.95"),
        ({"index": [0, 1, 0]}, "row 2: image annotated twice"),
        ({"index": [0, None, 1]}, "'index' holds gaps"),
        ({"label": [0, 2, 1]}, "row 1: label is no class of corner"),
        ({"annotated": [False] * 3}, "no row is annotated"),
    ],
)
def test_what_does_not_fit_the_task_is_refused_with_file_and_row(tmp_path, columns, message):
    folder = write_sequences(tmp_path, n=3, **columns)
    with pytest.raises(NogsError, match=rf"train\.parquet.*{message}"):
        load_annotations(CORNER, folder)


def test_missing_and_damaged_folders_are_refused(tmp_path):
    with pytest.raises(NogsError, match="no sequences for corner"):
        load_annotations(CORNER)
    with pytest.raises(NogsError, match="no annotations/train"):
        load_annotations(CORNER, tmp_path)
    path = write_sequences(tmp_path) / "annotations" / "train.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(NogsError, match=r"train\.parquet is damaged"):
        load_annotations(CORNER, tmp_path)
    with pytest.raises(NogsError, match="nowhere"):
        load_annotations(CORNER, tmp_path / "nowhere")
