"""Passes over a bank by many workers: the same bytes as alone, and nothing done twice."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from blobs import blobs
from builds import files
from nogs_bench.builders.completion import passes, pca
from nogs_bench.builders.completion.passes import Here, Spread
from nogs_bench.builders.completion.pca import fit_pca, fitting_pieces, pieces_of
from nogs_bench.builders.pipeline.command import build
from nogs_bench.executors.local import LocalExecutor
from nogs_bench.files.store import Mirror
from tiny import corner_task

COUNT = 5000  # three batches


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """One batch each."""
    monkeypatch.setattr(pca, "PIECE_PIXELS", 1)


def spread(folder, workers=1, url=None):
    mirror = Mirror(folder, url)
    return Spread(partial(blobs, COUNT), LocalExecutor(workers), folder / "unfinished", mirror)


def same(a, b):
    for name, array in vars(a).items():
        np.testing.assert_array_equal(getattr(b, name), array)


@pytest.mark.parametrize("exact", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_two_workers_fit_what_one_process_does(exact, tmp_path):
    images = blobs(COUNT)
    alone = fit_pca(images, 12, exact=exact, passes=Here(images))
    same(alone, fit_pca(images, 12, exact=exact, passes=spread(tmp_path, workers=2)))
    names = {path.name.partition("-0")[0] for path in tmp_path.rglob("*-0000?.safetensors")}
    assert names >= {"projection", "moments" if exact else "mean"}


def test_threads_change_no_byte():
    """numpy's own products and eigenvectors differ by how many threads make them."""
    images = blobs(1000)
    fitted = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            fitted.append(fit_pca(images, 12))
    same(*fitted)


@pytest.mark.parametrize("exact", [True, False])
def test_a_fit_that_stopped_goes_on_from_its_last_piece(exact, tmp_path, monkeypatch, capsys):
    images, done, write = blobs(COUNT), [], passes.write_arrays
    whole = fit_pca(images, 12, exact=exact)

    def stop_at_the_fifth(path, arrays):
        if "-0000" in path.name:
            if len(done) == 4:
                raise KeyboardInterrupt
            done.append(path.name)
        write(path, arrays)

    monkeypatch.setattr(passes, "write_arrays", stop_at_the_fifth)
    with pytest.raises(KeyboardInterrupt):
        fit_pca(images, 12, exact=exact, passes=spread(tmp_path))
    damaged = tmp_path / "unfinished" / done[1]
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again = []
    monkeypatch.setattr(
        passes, "write_arrays", lambda path, arrays: (again.append(path.name), write(path, arrays))
    )
    same(whole, fit_pca(images, 12, exact=exact, passes=spread(tmp_path)))
    assert set(done) & set(again) == {done[1]}
    assert f"{done[1]} was damaged: made again" in capsys.readouterr().err


def test_pieces_come_from_the_store(tmp_path):
    """A machine without the folder finds the finished ones, and what a pass is given."""
    images, url = blobs(COUNT), f"memory://{tmp_path.name}"
    one = fit_pca(images, 12, passes=spread(tmp_path / "a", url=url))
    made = []

    def never(images, piece, given):
        made.append(piece)

    found = [*spread(tmp_path / "b", url=url)("projection", never, pieces_of(COUNT, 768), {})]
    np.testing.assert_array_equal(np.concatenate([f["latents"] for f in found]), one.latents)
    assert made == []


def test_pieces_are_disjoint_and_complete(monkeypatch):
    monkeypatch.setattr(pca, "PIECE_PIXELS", 2**28)
    # A bank of 256 MiB is one piece; the paper's, 1.5 million of 3 x 224 x 224, many.
    assert len(pieces_of(60_000, 784)) == 1
    for count, pixels in ((1_500_000, 3 * 224**2), (300_000, 4096), (1, 1)):
        pieces = pieces_of(count, pixels)
        edges = [(piece.start, piece.stop) for piece in pieces]
        assert [0, *(stop for _, stop in edges)] == [*(start for start, _ in edges), count]
        assert all((stop - start) * pixels <= 2**28 for start, stop in edges)
    chosen = np.concatenate(fitting_pieces(1_500_000, 3 * 224**2))
    assert len(np.unique(chosen)) == len(chosen) == pca.FIT_IMAGES


def test_a_build_whose_pca_is_spread_has_the_same_bytes(tmp_path, monkeypatch):
    task = corner_task()
    annotation = replace(task.annotation, components=20, retrieved=40, proposal_shifts=(0,))
    task = replace(task, annotation=annotation)
    settings = {"posterior": "bank", "workers": 1, "device": "cpu"}
    alone = files(build(task, tmp_path / "alone", **settings))
    monkeypatch.setattr("nogs_bench.builders.pipeline.stages.PIECE_PIXELS", 1)
    url = f"memory://{tmp_path.name}/store"
    assert files(build(task, tmp_path / "spread", store=url, **settings)) == alone
    import fsspec

    kept = fsspec.filesystem("memory").find(f"/{tmp_path.name}/store")
    left = [*map(str, (tmp_path / "spread").rglob("*")), *kept]
    assert any("/pca-" in name for name in left)
    assert not any("unfinished" in name for name in left)
