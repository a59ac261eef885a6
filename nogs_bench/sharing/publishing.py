"""`publish-network`: a trained network to the Hugging Face Hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nogs_bench.errors import NogsError
from nogs_bench.figures import HUB_SCORES, HubScore, hub_scores
from nogs_bench.files import hub_errors, is_owned, require_hub, require_visibility
from nogs_bench.own_code import imported, in_library
from nogs_bench.results import RunResult, load_result
from nogs_bench.sharing.model_card import is_own_model, model_card
from nogs_bench.trained import HUB_FILE, TrainedNetwork, look

RESULT, CARD, SOURCE = "result.json", "README.md", "model_source.py"
PICTURE, PAGE = "look.png", "index.html"
SHOWN = 48

SPACE_CARD = """---
title: {title}
sdk: static
app_file: index.html
pinned: false
---

Watch the network [{repo}](https://huggingface.co/{repo}) look at images it was not trained on.
"""


@dataclass(frozen=True)
class PublishedNetwork:
    """What a push came to: bytes of each file; `commit` is None after a dry run."""

    repo: str
    space: str | None
    commit: str | None
    files: dict[str, int]


def publish_network(
    network: TrainedNetwork,
    repo: str,
    *,
    space: str | None = None,
    source: str | Path | None = None,
    dataset_id: str | None = None,
    data: str | Path | None = None,
    private: bool = False,
    dry_run: bool = False,
    token: str | None = None,
) -> PublishedNetwork:
    """Send a network, its result and its card to a model repository, as one commit.

    **Arguments**

    - `network`: from `load_network`, of a run whose result file is beside its weights.
    - `repo`: `OWNER/NAME`; made if it is not there.
    - `space`: `OWNER/NAME` of a static Space to make too, where one watches the network look at
      test images. Only for tasks whose images may be passed on.
    - `source`: the Python file of a model of one's own, sent for others to read, with the files
      beside it that it imports. `load_network` never runs it by itself.
    - `dataset_id`: the benchmark's dataset on the Hub, for `.eval_results`.
    - `data`: folder of the task's images, where the picture needs one.
    - `dry_run`: make and check all, send nothing.

    Raises `NogsError` if a name is no `OWNER/NAME`, the result or the source is missing, the source
    imports files from another folder, images may not be shown, or the Hub does not take it.
    """
    for option, name in (("--repo", repo), ("--space", space)):
        if name is not None and not is_owned(name):
            raise NogsError(f"{option} {name}: give OWNER/NAME, as the Hub names it")
    if source is not None and not Path(source).is_file():
        raise NogsError(f"source {source}: no such file; give the Python file of the model")
    if source is None and is_own_model(network):
        raise NogsError(
            f"{network.config.model.name} is a model of your own, which nobody can load without "
            "its source; give its file (source=)"
        )
    run = _result_of(network)
    if space is not None and not network.task.images_may_ship:
        raise NogsError(
            f"--space {space}: images of {network.task.name} may not be passed on "
            f"({network.task.images_licence}); publish the network without a page"
        )
    with TemporaryDirectory(prefix="nogs-bench-") as folder:
        files = _files(network, run, repo, Path(folder), source, dataset_id, data)
        sent = [(repo, "model", files)]
        if space is not None:
            sent.append((space, "space", _space_files(network, repo, Path(folder), data)))
        sizes = {name: len(content) for name, content in files.items()}
        if dry_run:
            return PublishedNetwork(repo, space, None, sizes)
        require_hub(f"{repo} cannot be published")
        commit, *_ = _push(sent, private, token)
    return PublishedNetwork(repo, space, commit, sizes)


def _result_of(network: TrainedNetwork) -> RunResult:
    path = network.path.with_suffix(".json")
    if not path.is_file():
        raise NogsError(f"no result {path} beside the weights; publish from the results folder")
    run = load_result(path)
    if run.config_digest != network.config.config_digest:
        raise NogsError(f"{path} is not of the run whose weights {network.path} holds")
    return run


def _files(
    network: TrainedNetwork,
    run: RunResult,
    repo: str,
    folder: Path,
    source: str | Path | None,
    dataset_id: str | None,
    data: str | Path | None,
) -> dict[str, bytes]:
    files = {
        HUB_FILE: network.path.read_bytes(),
        RESULT: network.path.with_suffix(".json").read_bytes(),
    }
    if source is not None:
        files[SOURCE] = Path(source).read_bytes()
        files |= _imported(Path(source).resolve())
    if network.task.images_may_ship:
        files[PICTURE] = look(network, folder / PICTURE, data=data).read_bytes()
    if dataset_id is not None:
        files[HUB_SCORES] = _scores(run, dataset_id, repo).encode()
    files[CARD] = model_card(network, run, repo, list(files)).encode()
    return files


def _imported(source: Path) -> dict[str, bytes]:
    """The files beside a model's that it imports, by their names; none of what is installed."""
    found = {}
    for name, file in imported(source).items():
        if file is None or in_library(file):
            continue
        path = Path(*name.split("."))
        places = [source.parent / each for each in (path.with_suffix(".py"), path / "__init__.py")]
        if file not in places:
            raise NogsError(
                f"{source} imports {name}, which is {file}; a model is sent with the modules and "
                "packages beside it, so put it there"
            )
        found[file.relative_to(source.parent).as_posix()] = file.read_bytes()
    return found


def _space_files(
    network: TrainedNetwork, repo: str, folder: Path, data: str | Path | None
) -> dict[str, bytes]:
    shown = range(min(SHOWN, network.task.splits.test))
    page = look(network, folder / PAGE, index=shown, data=data)
    card = SPACE_CARD.format(title=repo.split("/")[-1], repo=repo)
    return {PAGE: page.read_bytes(), CARD: card.encode()}


def _scores(run: RunResult, dataset_id: str, repo: str) -> str:
    notes = f"{run.task}, {run.method}, seed {run.seed}, single rollouts"
    score = HubScore(dataset_id, run.protocol, run.test.accuracy, notes)
    return hub_scores([score], f"https://huggingface.co/{repo}")


def _push(
    sent: list[tuple[str, str, dict[str, bytes]]], private: bool, token: str | None
) -> list[str]:
    """The commits of all repositories. Nothing is made if one is there with another visibility."""
    from huggingface_hub import CommitOperationAdd, HfApi

    api = HfApi(token=token, library_name="nogs-bench")
    for repo, kind, _ in sent:
        with hub_errors(f"{repo} cannot be published", token):
            require_visibility(api, repo, kind, private)
    commits = []
    for repo, kind, files in sent:
        static: dict[str, Any] = {"space_sdk": "static"} if kind == "space" else {}
        operations = [CommitOperationAdd(name, content) for name, content in files.items()]
        with hub_errors(f"{repo} cannot be published", token):
            api.create_repo(repo, repo_type=kind, private=private, exist_ok=True, **static)
            made = api.create_commit(
                repo, operations, commit_message="Publish a trained network", repo_type=kind
            )
        commits.append(made.oid)
    return commits
