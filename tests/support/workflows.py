"""The project's workflows, and their steps run here as a runner runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from places import ROOT

FOLDER = ROOT / ".github" / "workflows"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def workflow(name: str) -> dict[str, Any]:
    """What `.github/workflows/NAME.yml` says; the key `on` is read as True by YAML 1.1."""
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Outcome:
    """A step that ran: its name, exit status, and what it printed."""

    name: str
    status: int
    said: str


class Runner:
    """Runs the shell steps of a job in `folder`.

    - `event`: what expressions such as `github.event.pull_request.number` are here.
    - `programs`: a folder that comes first in PATH, for stand-ins.
    """

    def __init__(
        self, folder: Path, event: Mapping[str, str], programs: Path | None = None, **env: str
    ):
        own = str(Path(sys.executable).parent)
        path = os.pathsep.join([*([str(programs)] if programs else []), own, os.environ["PATH"]])
        self.folder = folder
        self.event = event
        self.env = {**os.environ, "PATH": path, **env}

    def run(self, name: str, job: str, leave_out: tuple[str, ...] = ()) -> Iterator[Outcome]:
        """The job's steps in order, but for actions and those called in `leave_out`, until one
        fails."""
        left = set(leave_out)
        for step in workflow(name)["jobs"][job]["steps"]:
            if "run" not in step or step["name"] in left:
                left.discard(step.get("name"))
                continue
            # What a stranger can choose reaches the shell as a variable, never as its text.
            assert not EXPRESSION.search(step["run"]), step["name"]
            given = {key: self._value(text) for key, text in step.get("env", {}).items()}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.folder,
                env={**self.env, **given},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            yield Outcome(step["name"], done.returncode, done.stdout)
            if done.returncode:
                return
        assert not left, f"no steps {left}"

    def _value(self, text: Any) -> str:
        return EXPRESSION.sub(lambda found: self.event[found[1]], str(text))


def git(folder: Path, *arguments: str | Path) -> str:
    """git in `folder`, by nobody in particular."""
    who = {"NAME": "Somebody", "EMAIL": "somebody@example.org"}
    env = {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()
    }
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **env, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"git {arguments}: {done.stderr}"
    return done.stdout
