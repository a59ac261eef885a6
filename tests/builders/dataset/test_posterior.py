"""The posterior network in a dataset's folder, and what it believed along the sequences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_dataset

from nogs_bench import load_posterior
from nogs_bench.builders.dataset.posterior import Networks
from nogs_bench.builders.dataset.publication import make_publication
from nogs_bench.builders.pipeline.command import build
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.errors import NogsError
from small_dataset import ROWS, TASK, annotations, contents, write


def _networks(count: int) -> list[Avp]:
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(Avp(TASK).eval())
    return made


def _cells(n: int, t: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(9, size=(n, t)))


IMAGES = torch.from_numpy(ROWS["test"].images[:20])


def test_it_is_the_network_that_was_written_and_folds_are_averaged(tmp_path: Path) -> None:
    networks = _networks(2)
    cells = _cells(20, 2)
    single = write(tmp_path / "1", posterior=Networks([networks[0].state_dict()]))
    both = write(tmp_path / "2", posterior=Networks([n.state_dict() for n in networks]))
    expected = [network.log_posterior(IMAGES, cells) for network in networks]
    posterior = load_posterior(single, "cpu")
    assert posterior.classes == TASK.classes
    torch.testing.assert_close(posterior.log_posterior(IMAGES, cells), expected[0])
    mean = (expected[0].exp() + expected[1].exp()) / 2
    torch.testing.assert_close(load_posterior(both, "cpu").log_posterior(IMAGES, cells).exp(), mean)
    along = load_posterior(both, "cpu").log_posterior_along(IMAGES, cells)
    assert along.shape == (20, 2, 4)
    torch.testing.assert_close(along[:, 1].exp(), mean)
    first = [network.log_posterior(IMAGES, cells[:, :1]).exp() for network in networks]
    torch.testing.assert_close(along[:, 0].exp(), (first[0] + first[1]) / 2)


def test_pixels_outside_the_glimpses_do_not_reach_it(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", posterior=Networks([_networks(1)[0].state_dict()]))
    cells = _cells(20, 2)
    seen = torch.from_numpy(TASK.grid.masks)[cells].any(1)[:, None]
    other = torch.where(seen, IMAGES, 255 - IMAGES)
    posterior = load_posterior(folder, "cpu")
    torch.testing.assert_close(
        posterior.log_posterior(IMAGES, cells), posterior.log_posterior(other, cells)
    )


def test_what_it_is_asked_wrongly_is_said(tmp_path: Path) -> None:
    posterior = load_posterior(
        write(tmp_path / "d", posterior=Networks([_networks(1)[0].state_dict()]))
    )
    with pytest.raises(NogsError, match="takes uint8 images"):
        posterior.log_posterior(IMAGES.float(), _cells(20, 2))
    with pytest.raises(NogsError, match="takes uint8 images"):
        posterior.log_posterior(IMAGES, _cells(19, 2))
    for ask in (posterior.log_posterior, posterior.log_posterior_along):
        wrong = [(IMAGES.float() / 255, _cells(20, 2))]
        wrong += [(IMAGES, cells) for cells in (_cells(20, 2).float(), _cells(20, 2).int())]
        wrong += [(IMAGES, _cells(20, t)) for t in (0, TASK.T + 1)]
        for given in wrong:
            with pytest.raises(NogsError, match="takes uint8 images"):
                ask(*given)
        for cell in (-1, 9):
            with pytest.raises(NogsError, match=r"the grid has 0 \.\. 8"):
                ask(IMAGES, torch.full((20, 2), cell))


def test_a_dataset_without_one_loads_and_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    record = json.loads((folder / "provenance.json").read_text())
    del record["posterior"]  # as datasets of older versions
    (folder / "provenance.json").write_text(json.dumps(record))
    assert "posterior" not in load_dataset(str(folder), "annotations")["train"].column_names
    with pytest.raises(NogsError, match="holds no posterior network"):
        load_posterior(folder)
    (folder / "provenance.json").write_text(json.dumps(record | {"posterior": {"files": [1]}}))
    with pytest.raises(NogsError, match="is damaged in posterior; build or download"):
        load_posterior(folder)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "d", posterior=Networks([_networks(1)[0].state_dict()]))
    weights = folder / "posterior/weights-0.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(NogsError, match="is not the file whose sha256"):
        load_posterior(folder)
    with pytest.raises(NogsError, match="is not the file"):
        make_publication(folder, "owner/name", TASK)


def test_equal_networks_give_equal_bytes_and_go_when_the_next_dataset_has_none(
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, posterior=Networks([_networks(1)[0].state_dict()]))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    write(tmp_path / "a")
    assert not (tmp_path / "a/posterior").exists()


def test_a_build_says_what_was_believed_along_its_sequences(tmp_path: Path) -> None:
    folder = build(TASK, tmp_path / "d", images=12, workers=1, device="cpu")
    rows = load_dataset(str(folder), "annotations")["train"].with_format("numpy")
    annotated = rows[:]["annotated"]
    believed = np.stack(rows[:]["posterior"])
    assert annotated.sum() == 12
    assert (believed[~annotated] == -1).all()
    cells = torch.from_numpy(TASK.grid.pixel_to_index(np.stack(rows[:]["glimpses"])[annotated]))
    images = torch.from_numpy(ROWS["train"].images[annotated])
    posterior = load_posterior(folder, "cpu")
    for t in (1, 2):
        said = posterior.log_posterior(images, cells[:, :t]).exp().numpy()
        np.testing.assert_allclose(believed[annotated, t - 1], said, atol=2e-3)

    publication = make_publication(folder, "owner/name", TASK)
    names = {"posterior/settings.json", "posterior/weights-0.safetensors"}
    assert names <= set(publication.files)
    card = publication.files["README.md"].decode()
    assert 'load_posterior("owner/name")' in card
    assert "| `posterior` | float16 (2, 4) | `annotations` |" in card
    assert all(publication.files[name] == folder / name for name in names)


def test_a_column_of_another_shape_is_refused(tmp_path: Path) -> None:
    wrong = annotations()
    object.__setattr__(wrong, "beliefs", np.zeros((3, 2, 5), np.float16))
    with pytest.raises(NogsError, match="beliefs has shape"):
        write(tmp_path / "d", annotations=wrong)
