"""A network to a Hub on loopback and back; and as one step that another program runs."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from corner_task import CORNER
from hub_double import Hub, Repo, running
from nogs_bench import export_network, load_network, look_at, publish_network
from nogs_bench.cli import app
from nogs_bench.errors import NogsError
from nogs_bench.evaluation.command import evaluate
from nogs_bench.results import load_result
from nogs_bench.sharing.model_card import _share, model_card
from nogs_bench.trained import TrainedNetwork
from places import ROOT, SUPPORT
from processes import client, python


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    out = tmp_path_factory.mktemp("shared")
    evaluate(task=CORNER, methods="ram", seeds=1, out=out, device="cpu", protocol="scratch")
    (result,) = out.glob("*.json")
    return load_network(result, task=CORNER)


PUBLISH = """
import sys
from corner_task import CORNER
from nogs_bench import load_network, publish_network
network = load_network(sys.argv[1], task=CORNER)
made = publish_network(network, "me/net", space="me/page", dataset_id="nogs/bench")
print(made.commit)
"""
LOAD = """
import sys
from corner_task import CORNER
from nogs_bench import load_network, test_network
network = load_network("me/net", task=CORNER)
print(test_network(network).policies["single"].accuracy)
"""


def test_a_published_network_gives_its_recorded_accuracy(
    network: TrainedNetwork, tmp_path: Path
) -> None:
    with running() as hub:
        sent = python(PUBLISH, client(hub.url, tmp_path / "home"), tmp_path, network.path)
        assert sent.returncode == 0, sent.stderr
        loaded = python(LOAD, client(hub.url, tmp_path / "other", None), tmp_path)
        recorded = json.loads(network.path.with_suffix(".json").read_text())
        assert float(loaded.stdout) == recorded["test"]["accuracy"], loaded.stderr
        files = _files(hub, "me/net")
        assert set(files) >= {
            "README.md",
            "network.safetensors",
            "result.json",
            "look.png",
            ".eval_results/nogs-bench.yaml",
        }
        card = files["README.md"].decode()
        assert f"{100 * recorded['test']['accuracy']:.2f} %" in card
        assert 'load_network("me/net", task="THE_TASK")' in card
        assert "The figures are of the last weights" in card
        assert set(_files(hub, "me/page")) >= {"index.html", "README.md"}


def test_what_is_public_is_not_taken_for_private(network: TrainedNetwork, tmp_path: Path) -> None:
    code = PUBLISH.replace('"nogs/bench")', '"nogs/bench", private=True)')
    with running() as hub:
        env = client(hub.url, tmp_path / "home")
        hub.repos["me/page"] = Repo(private=False)
        hub.repos["me/page"].commit("initial commit", {})
        refused = python(code, env, tmp_path, network.path)
        assert refused.returncode != 0
        assert "me/page exists and is public; leave out --private" in refused.stderr
        assert not any("/commit/" in request for request in hub.requests)
        del hub.repos["me/page"]
        assert python(code, env, tmp_path, network.path).returncode == 0
        assert hub.repos["me/net"].private
        assert hub.repos["me/page"].private


def _files(hub: Hub, name: str) -> dict[str, bytes]:
    return hub.repos[name].commits[-1][2]


def test_the_card_states_wilsons_interval() -> None:
    # SciPy's binomtest(10, 100).proportion_ci(method="wilson"): 0.055229, 0.174366.
    assert _share(0.1, 100) == "10.00 % [5.52, 17.44] (95 %, over images)"
    assert _share(0.0, 50).startswith("0.00 % [0.00, 7.13]")


def test_what_a_model_imports_is_sent_too(network: TrainedNetwork, tmp_path: Path) -> None:
    """So that it can be loaded from what was sent."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "parts.py").write_text("from nogs_bench.network import HardAttentionNet as Base\n")
    (folder / "net.py").write_text("from parts import Base\n\nclass Net(Base):\n    pass\n")
    out = tmp_path / "out"
    spec = f"{folder}/net.py:Net"
    evaluate(spec, task=CORNER, methods="ram", seeds=1, out=out, device="cpu", protocol="scratch")
    (result,) = out.glob("*.json")
    own = load_network(result, task=CORNER, model=spec)
    with pytest.raises(NogsError, match="nobody can load without its source"):
        publish_network(own, "me/net", dry_run=True)
    sent = publish_network(own, "me/net", source=folder / "net.py", dry_run=True)
    assert {"model_source.py", "parts.py"} <= set(sent.files)
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "model_source.py").write_bytes((folder / "net.py").read_bytes())
    (copy / "parts.py").write_bytes((folder / "parts.py").read_bytes())
    code = (
        "import sys\nfrom corner_task import CORNER\nfrom nogs_bench import load_network\n"
        "load_network(sys.argv[1], task=CORNER, model=sys.argv[2])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    done = python(code, env, tmp_path, own.path, f"{copy}/model_source.py:Net")
    assert done.returncode == 0, done.stderr


def test_a_model_within_a_package_is_not_sent(network: TrainedNetwork, tmp_path: Path) -> None:
    """Its imports name the package, which would not be there."""
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text("from nogs_bench.network import HardAttentionNet as Base\n")
    (package / "net.py").write_text("from pkg.parts import Base\n\nclass Net(Base):\n    pass\n")
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from nogs_bench.sharing.publishing import _imported\n_imported(Path(sys.argv[1]))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = python(code, env, tmp_path, package / "net.py")
    assert "a model is sent with the modules and packages beside it" in done.stderr


def test_the_card_says_which_weights_and_source_the_code_gives(network: TrainedNetwork) -> None:
    run = load_result(network.path.with_suffix(".json"))
    card = model_card(replace(network, weights="best"), run, "me/net", [])
    assert 'task="THE_TASK", weights="best")' in card
    assert "the picture is of those of the least validation" in card
    card = model_card(replace(network, same_source=False), run, "me/net", [])
    assert "any_source=True)" in card
    assert "The figures are of the earlier one" in card


@pytest.mark.parametrize("repo", ["net", "./net", "/tmp/net", "me/net/more"])
def test_a_name_that_the_hub_cannot_have_is_one_line(network: TrainedNetwork, repo: str) -> None:
    for names in ({"repo": repo}, {"repo": "me/net", "space": repo}):
        with pytest.raises(NogsError, match="give OWNER/NAME"):
            publish_network(network, **names, dry_run=True)


def test_source_is_sent_of_a_model_in_a_file_only(network: TrainedNetwork, tmp_path: Path) -> None:
    given = ["--task", f"{ROOT}/tests/support/corner_task.py:CORNER", "--dry-run", "--json"]
    call = ["publish-network", str(network.path), "--repo", "me/net", *given]
    done = CliRunner().invoke(app, [*call, "--model", "reference"])
    assert done.exit_code == 0, done.output
    assert "model_source.py" not in json.loads(done.stdout)["files"]
    mine = tmp_path / "mine.py"
    mine.write_text("from nogs_bench.network import HardAttentionNet\n")
    done = CliRunner().invoke(app, [*call, "--model", f"{mine}:HardAttentionNet", "--any-source"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"]["model_source.py"] == mine.stat().st_size
    with pytest.raises(NogsError, match="no such file; give the Python file"):
        publish_network(network, "me/net", source=tmp_path, dry_run=True)


def test_images_that_may_not_be_passed_on_make_no_page(network: TrainedNetwork) -> None:
    from dataclasses import replace

    secret = replace(network, task=replace(CORNER, images_may_ship=False))
    with pytest.raises(NogsError, match="may not be passed on"):
        publish_network(secret, "me/net", space="me/page", dry_run=True)
    made = publish_network(secret, "me/net", dry_run=True)
    assert "look.png" not in made.files
    assert made.commit is None


def test_weights_without_their_result_are_not_published(
    network: TrainedNetwork, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(network.path.read_bytes())
    with pytest.raises(NogsError, match="no result"):
        publish_network(load_network(alone, task=CORNER), "me/net", dry_run=True)


EXPORTS = pytest.mark.skipif(
    "dynamic_shapes" not in inspect.signature(torch.onnx.export).parameters,
    reason="the export needs a newer torch",
)


def test_a_torch_that_cannot_export_is_named(
    network: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")

    def old_export(model: object, args: object, f: object, *, dynamo: bool = False) -> None: ...

    monkeypatch.setattr(torch.onnx, "export", old_export)
    with pytest.raises(NogsError, match=r"needs a newer torch than .*--upgrade torch"):
        export_network(network, tmp_path / "device")
    assert not (tmp_path / "device").exists()


@EXPORTS
def test_the_exported_step_looks_as_the_network_does(
    network: TrainedNetwork, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    export_network(network, tmp_path / "device")
    image = CORNER.source.load("test").images[3]
    Image.fromarray(image[0]).save(tmp_path / "picture.png")
    example = ROOT / "examples" / "onnx_glimpses.py"
    command = [sys.executable, example, tmp_path / "device", tmp_path / "picture.png"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert said.returncode == 0, said.stderr
    looks = look_at(network, image[None], greedy=True)
    lines = said.stdout.splitlines()
    assert len(lines) == CORNER.T
    for line, (row, col), belief in zip(lines, looks.glimpses[0], looks.beliefs[0], strict=True):
        name = CORNER.classes[int(np.argmax(belief))]
        assert f"row {row}, column {col}: {name} ({belief.max():.0%})" in line
    (tmp_path / "text.png").write_text("no picture")
    for wrong, message in (("absent.png", "no file "), ("text.png", "is no picture")):
        said = subprocess.run(
            [*command[:3], tmp_path / wrong], capture_output=True, text=True, timeout=120
        )
        assert said.returncode == 1
        assert len(said.stderr.splitlines()) == 1, said.stderr
        assert wrong in said.stderr
        assert message in said.stderr
    export_network(network, tmp_path / "device")  # its own may be replaced
    (tmp_path / "device" / "network.json").write_text('{"of": "another program"}')
    before = (tmp_path / "device" / "step.onnx").read_bytes()
    with pytest.raises(NogsError, match=r"network\.json is there.*--replace"):
        export_network(network, tmp_path / "device")
    assert (tmp_path / "device" / "step.onnx").read_bytes() == before
    export_network(network, tmp_path / "device", replace=True)
    assert '"glimpse_size"' in (tmp_path / "device" / "network.json").read_text()


@EXPORTS
def test_a_model_that_is_written_for_one_image_only_is_exported(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model, out = f"{ROOT / 'examples' / 'transformer_core.py'}:TransformerNet", tmp_path / "runs"
    evaluate(model, task=CORNER, methods="ram", seeds=1, iterations=2, out=out, protocol="scratch")
    (result,) = out.glob("*.json")
    export_network(load_network(result, model=model, task=CORNER), tmp_path / "device")
    session = onnxruntime.InferenceSession(tmp_path / "device" / "step.onnx")
    assert [put.shape[0] for put in session.get_inputs()] == [1, 1, 1]
