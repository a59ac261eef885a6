"""Datasets to a Hub on loopback and back, in processes and caches of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from hub_double import TOKEN, Cut, Hub, running
from nogs_bench.builders.dataset.posterior import Networks
from nogs_bench.builders.dataset.publishing import publish
from nogs_bench.builders.posterior.avp import Avp
from nogs_bench.errors import NogsError
from nogs_bench.files.artefact import read_provenance, write_json
from nogs_bench.sequences.finding import SHIPPED
from processes import client, program, python
from small_dataset import TASK, write

DIGITS = SHIPPED / "cluttered-digits"
REQUESTS = ("create", "preupload", "PUT", "/commit/", "/tag/")
PUSH = """
import sys
from nogs_bench.builders.dataset.publishing import publish
from tiny import corner_task
from nogs_bench.tasks.task import register_task
register_task(corner_task())
print(publish(sys.argv[1], "me/corner", with_images="images" in sys.argv).changed)
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running() as hub:
        yield hub


def test_three_configs_make_the_round_trip(hub: Hub, tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = write(tmp_path / "d", posterior=Networks([Avp(TASK).state_dict()]))
    pushed = python(PUSH, client(hub.url, tmp_path / "home"), tmp_path, folder, "images")
    assert pushed.stdout == "True\n", pushed.stderr
    load = """
import sys
from datasets import load_dataset
for config in ("default", "annotations", "maps"):
    for split, rows in load_dataset("me/corner", config).items():
        rows.to_parquet(f"{sys.argv[1]}/{config}-{split}.parquet")
streamed = list(load_dataset("me/corner", split="train", streaming=True))
print(streamed[0]["image"].size, streamed[0]["index"], len(streamed))
from nogs_bench import load_posterior
print(load_posterior("me/corner", "cpu").classes[0])
"""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    loaded = python(load, client(hub.url, tmp_path / "other", None), elsewhere, elsewhere)
    assert loaded.stdout == f"(12, 12) 0 400\n{TASK.classes[0]}\n", loaded.stderr
    sent = {"default": "data", "annotations": "annotations", "maps": "maps"}
    for config, part in sent.items():
        for path in (folder / part).glob("*.parquet"):
            before, after = pq.read_table(path), pq.read_table(elsewhere / f"{config}-{path.name}")
            assert before.num_rows > 0
            assert before.equals(after), (config, path.name)


def test_a_push_without_changes_makes_no_commit_and_one_with_changes_does(
    hub: Hub, tmp_path: Path
) -> None:
    env = client(hub.url, tmp_path / "home")
    folder = write(tmp_path / "d")
    outcomes = [python(PUSH, env, tmp_path, folder, *more).stdout for more in ([], [], ["images"])]
    assert outcomes == ["True\n", "False\n", "True\n"]
    repo = hub.repos["me/corner"]
    assert len(repo.commits) == 3  # with the one that the Hub begins with
    assert "data/train.parquet" in repo.commits[-1][2]
    # Without images again: they are taken away.
    assert python(PUSH, env, tmp_path, folder).stdout == "True\n"
    assert not [name for name in repo.commits[-1][2] if name.startswith("data/")]
    assert repo.commits[-1][2] == repo.commits[1][2]
    assert len(repo.tags) == 2


def test_networks_that_a_dataset_no_longer_has_go_from_the_hub(hub: Hub, tmp_path: Path) -> None:
    env, weights = client(hub.url, tmp_path / "home"), Avp(TASK).state_dict()
    repo = hub.repos
    for count in (2, 1):
        folder = write(tmp_path / "d", posterior=Networks([weights] * count))
        pushed = python(PUSH, env, tmp_path, folder)
        assert pushed.stdout == "True\n", pushed.stderr
        sent = [name for name in repo["me/corner"].commits[-1][2] if name.startswith("posterior/")]
        numbered = [f"posterior/weights-{number}.safetensors" for number in range(count)]
        assert sorted(sent) == ["posterior/settings.json", *numbered]


# Forks a push for each line it reads; says its process id, then how it ended.
WARM = """
import os, sys
import datasets, matplotlib.figure
from nogs_bench.builders.dataset.publishing import publish
from nogs_bench.tasks.task import register_task
from tiny import corner_task
register_task(corner_task())
for folder in sys.stdin:
    child = os.fork()
    if not child:
        os.close(1)
        try:
            publish(folder.strip(), "me/corner")
        except BaseException as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_push_killed_at_any_request_ends_after_a_second_call_in_the_same_repository(
    tmp_path: Path, when: Literal["before", "after"]
) -> None:
    """The client dies by SIGKILL, before the Hub does what was asked or before it answers."""
    folder = write(tmp_path / "d")
    with (
        running() as hub,
        subprocess.Popen(
            [sys.executable, "-c", WARM],
            env=client(hub.url, tmp_path / "home"),
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as warm,
    ):
        assert warm.stdin
        assert warm.stdout
        child = [0]

        def push() -> int:
            warm.stdin.write(f"{folder}\n")
            warm.stdin.flush()
            child[0] = int(warm.stdout.readline())
            return int(warm.stdout.readline())

        assert push() == 0
        expected, count = hub.repos["me/corner"].state, len(hub.requests)
        assert count > 10
        for number in range(1, count + 1):
            hub.forget()

            def kill(at: int, now: str, number: int = number) -> None:
                if at == number and now == when:
                    os.kill(child[0], signal.SIGKILL)
                    raise Cut

            hub.fail = kill
            assert push() == -signal.SIGKILL, f"request {number} never came"
            hub.fail = lambda at, now: None
            assert push() == 0
            assert hub.repos["me/corner"].state == expected, f"killed {when} request {number}"
        warm.stdin.close()


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([("/commit/", "after")], id="one"),
        pytest.param([*product(REQUESTS, ("before", "after"))], id="all", marks=pytest.mark.slow),
    ],
)
def test_a_broken_connection_is_one_line_or_none(
    hub: Hub, tmp_path: Path, cuts: list[tuple[str, str]]
) -> None:
    """Cut once, before the Hub does each kind of thing or before it answers: the client tries again
    by itself, or says so, and the next call mends it."""
    env = client(hub.url, tmp_path / "home")
    for what, when in cuts:
        hub.forget()
        hub.fail = partial(cut_once, hub, what, when, cut := [])
        broken = program(env, tmp_path, "publish", DIGITS, "--repo", "me/digits", "--json")
        assert cut, (what, when)
        if broken.returncode:
            assert broken.returncode == 1, broken.stderr
            last = broken.stderr.splitlines()[-1]
            assert last.startswith("error: me/digits cannot be published: ")
            assert "Traceback" not in broken.stderr
        again = program(env, tmp_path, "publish", DIGITS, "--repo", "me/digits", "--json")
        assert again.returncode == 0, again.stderr
        outcome = json.loads(again.stdout)
        repo = hub.repos["me/digits"]
        assert repo.tags == {outcome["tag"]: outcome["commit"]}, (what, when)
        assert len(repo.commits) == 2, (what, when)
        for name in ("annotations/train.parquet", "maps/train.parquet"):
            assert repo.commits[-1][2][name] == (DIGITS / name).read_bytes()


def cut_once(hub: Hub, what: str, when: str, cut: list[int], number: int, now: str) -> None:
    if now == when and what in hub.requests[number - 1] and not cut:
        cut.append(number)
        raise Cut


def test_a_token_is_in_no_output_and_no_file(hub: Hub, tmp_path: Path) -> None:
    secret = "hf_wrongButStillSecret987"
    arguments = ("publish", DIGITS, "--repo", "me/digits")
    outputs = []
    for token, debug in ((TOKEN, "0"), (TOKEN, "1"), (secret, "0"), (secret, "1")):
        env = client(hub.url, tmp_path / "home", token) | {"HF_DEBUG": debug}
        done = program(env, tmp_path, *arguments)
        assert done.returncode == (token == secret), done.stderr
        outputs.append(done.stdout + done.stderr)
    assert "Invalid credentials: Bearer ***" in outputs[2]
    assert "hf auth login" in outputs[2]
    line = outputs[2].splitlines()[-1]
    assert re.match(rf"error: me/digits cannot be published: {hub.url}/\S+ answers 401 ", line)
    assert len(line) < 300
    # In Python a traceback shows the causes too.
    code = "import sys, nogs_bench; nogs_bench.publish(sys.argv[1], 'a/b')"
    raised = python(code, client(hub.url, tmp_path / "home", secret), tmp_path, DIGITS)
    assert "Traceback" in raised.stderr
    outputs.append(raised.stdout + raised.stderr)
    for token in (TOKEN, secret):
        assert not any(token in output for output in outputs)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert not any(token.encode() in path.read_bytes() for path in files)
        for repo in hub.repos.values():
            assert not any(token.encode() in content for content in repo.commits[-1][2].values())


def test_a_dry_run_shows_all_and_asks_nothing(hub: Hub, tmp_path: Path) -> None:
    arguments = ("publish", DIGITS, "--repo", "me/digits", "--dry-run")
    env = client(hub.url, tmp_path / "home", None)
    shown = program(env, tmp_path, *arguments, "--json")
    outcome = json.loads(shown.stdout)
    assert outcome["commit"] is None
    assert outcome["files"]["maps/train.parquet"] == (DIGITS / "maps/train.parquet").stat().st_size
    assert outcome["card"]["license"] == "apache-2.0"
    assert outcome["card"]["source_datasets"] == ["extended|other-uci-optdigits"]
    table = program(env, tmp_path, *arguments).stdout
    size = f"{outcome['files']['maps/train.parquet']:,}"
    for text in ("Would be published", "eval.yaml", size, "size_categories"):
        assert text in table
    assert hub.requests == []


def test_unknown_licences_stay_private_without_a_word(hub: Hub, tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    record = read_provenance(folder)
    write_json(folder / "provenance.json", record | {"licence": "unknown"})
    with pytest.raises(NogsError, match=r"licence of these sequences is unknown.*--private"):
        publish(folder, "me/corner", task=TASK, dry_run=True)
    for allowed in ({"private": True}, {"i_have_the_rights": True}):
        outcome = publish(folder, "me/corner", task=TASK, dry_run=True, **allowed)
        assert outcome.card["license"] == "unknown"
    # What is public already is not made private by a word either.
    code = """
import sys
from nogs_bench.builders.dataset.publishing import publish
from tiny import corner_task
publish(sys.argv[1], "me/corner", task=corner_task(), private=True)
"""
    env = client(hub.url, tmp_path / "home")
    assert python(code, env, tmp_path, folder).returncode == 0
    assert hub.repos["me/corner"].private
    hub.repos["me/corner"].private = False
    refused = python(code, env, tmp_path, folder)
    assert "me/corner exists and is public; leave out --private" in refused.stderr


def test_images_go_only_where_their_licence_lets_them(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    files = publish(folder, "me/corner", task=TASK, dry_run=True).files
    assert not [name for name in files if name.startswith("data/")]
    files = publish(folder, "me/corner", task=TASK, dry_run=True, with_images=True).files
    assert {"data/train.parquet", "data/validation.parquet", "data/test.parquet"} <= set(files)
    from tiny import corner_task

    kept = corner_task(images_may_ship=False, images_licence="look, do not touch")
    with pytest.raises(NogsError, match=r"may not be redistributed \(look, do not touch\)"):
        publish(folder, "me/corner", task=kept, dry_run=True, with_images=True)
    assert publish(folder, "me/corner", task=kept, dry_run=True).files
    with pytest.raises(NogsError, match="holds no images"):
        publish(DIGITS, "me/digits", dry_run=True, with_images=True)


def test_what_cannot_be_published_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    folder = write(tmp_path / "d")
    with pytest.raises(NogsError, match="a name on the Hub is OWNER/NAME"):
        publish(folder, "corner", task=TASK)
    with pytest.raises(NogsError, match="is about the task corner, not cluttered-digits"):
        publish(folder, "me/corner", task="cluttered-digits")
    other = write(tmp_path / "other")
    write_json(other / "provenance.json", read_provenance(other) | {"task": "unheard-of"})
    with pytest.raises(NogsError, match="task unheard-of, which is not registered"):
        publish(other, "me/other")
    with pytest.raises(NogsError, match="HF_HUB_OFFLINE keeps it off the network"):
        publish(DIGITS, "me/digits")
    path = folder / "maps/train.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(
        NogsError,
        match=r"maps/train\.parquet .* not the file whose sha256 prov",
    ):
        publish(folder, "me/corner", task=TASK)
    (folder / "README.md").unlink()
    with pytest.raises(NogsError, match="holds no whole dataset"):
        publish(folder, "me/corner", task=TASK)
    record = read_provenance(other)
    for damage in ({"files": {}}, {"files": [1]}, {"made_by": None}, {"posterior": {"files": [1]}}):
        write_json(other / "provenance.json", record | {"task": "corner"} | damage)
        with pytest.raises(NogsError, match=r"no whole dataset \(no sequences\)|is damaged in"):
            publish(other, "me/corner", task=TASK)
    write_json(other / "provenance.json", {"task": "corner", "files": record["files"]})
    with pytest.raises(NogsError, match=r"provenance\.json is damaged in annotated; build"):
        publish(other, "me/corner", task=TASK)


def test_a_hub_that_does_not_answer_is_out_of_reach(tmp_path: Path) -> None:
    with running() as hub:
        url = hub.url  # nobody listens there later
    arguments = ("publish", DIGITS, "--repo", "me/digits")
    done = program(client(url, tmp_path / "home"), tmp_path, *arguments)
    assert done.returncode == 1
    assert f"{url} is out of reach" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_figure_shows_where_glimpses_lie(tmp_path: Path) -> None:
    from matplotlib.image import imread

    from nogs_bench.figures import draw_locations

    grid = TASK.grid
    corner = np.tile(grid.index_to_pixel(np.array([8, 0])), (5, 1, 1))
    picture = imread(draw_locations(corner, grid, tmp_path / "a.png"))[..., :3]
    # Of 9 cells a panel one is bright (viridis' yellow), at the lower right, then the upper left.
    yellow = (picture[..., 0] > 0.9) & (picture[..., 1] > 0.8) & (picture[..., 2] < 0.3)
    rows, cols = np.nonzero(yellow)
    left = cols < picture.shape[1] / 2
    assert rows[left].mean() > rows[~left].mean()
    assert cols[left].max() < picture.shape[1] / 2 < cols[~left].min()
