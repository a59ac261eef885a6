"""Many looks as one HTML page: no server, no requests; the glimpses' paths are in the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nogs_bench.errors import NogsError
from nogs_bench.figures import png_address, rendered
from nogs_bench.files import write_text
from nogs_bench.trained.cases import LookCase

UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def write_looks(cases: Sequence[LookCase], out: str | Path, title: str, lead: str = "") -> Path:
    """Write the page of some images of one task; returns `out`.

    What was told right stands beside what was told wrong. A viewer shows any of them, glimpse by
    glimpse, with the beliefs, and the near-optimal sequence where there is one. Texts are escaped.
    Raises `NogsError` if there are no images.
    """
    from markupsafe import Markup

    if not cases:
        raise NogsError("no images to look at; name some")
    first = cases[0]
    data = {
        "size": first.image.shape[0],
        "glimpse": first.grid.glimpse_size,
        "T": len(first.glimpses),
        "classes": first.classes,
        "cases": [_plain(case) for case in cases],
    }
    text = rendered(
        "nogs_bench.trained",
        "looks",
        title=title,
        lead=lead,
        T=len(first.glimpses),
        optimal=any(case.optimal is not None for case in cases),
        groups=_groups(cases),
        # A JSON string may not end the element it stands in.
        data=Markup(json.dumps(data).translate(UNSAFE)),
        footer="Made by nogs-bench. The network sees the bright squares only.",
    )
    write_text(Path(out), text)
    return Path(out)


def _groups(cases: Sequence[LookCase]) -> list[tuple[str, list[tuple[int, dict[str, str]]]]]:
    headings = {None: "Images", True: "Told right", False: "Told wrong"}
    groups = []
    for verdict, heading in headings.items():
        items = [(n, _thumb(case)) for n, case in enumerate(cases) if case.right is verdict]
        if items:
            groups.append((heading, items))
    return groups


def _thumb(case: LookCase) -> dict[str, str]:
    return {
        "name": case.name,
        "thumb": png_address(case.seen(len(case.glimpses))),
        "said": case.classes[case.answer],
    }


def _plain(case: LookCase) -> dict[str, Any]:
    said, shown = case.classes[case.answer], case.likeliest(8)
    verdict = f"It says {said} after {case.used} glimpses"
    if case.label is not None:
        verdict += ", and is right." if case.right else f"; truly {case.classes[case.label]}."
    return {
        "name": case.name,
        "image": png_address(case.image),
        "glimpses": case.glimpses.tolist(),
        "optimal": None if case.optimal is None else case.optimal.tolist(),
        "shown": shown,
        "beliefs": np.round(case.beliefs[:, shown].astype(float), 3).tolist(),
        "label": case.label,
        "answer": case.answer,
        "verdict": verdict,
    }
