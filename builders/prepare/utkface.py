"""UTKFace's aligned and cropped faces, whose names say age and gender."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import numpy as np

from nogs_bench.builders.prepare.preparation import Preparation, Request, in_turn, prepares
from nogs_bench.builders.prepare.raw import in_chunks
from nogs_bench.errors import NogsError
from nogs_bench.tasks.families.utkface import AGES, FAMILY, SOURCE, SPLITS

# age, gender, race and date; three files of the dataset lack one of them and are passed over.
NAME = re.compile(r"(\d{1,3})_([01])_[0-4]_\d+ ?\.?jpg\.chip\.jpg")


@prepares(FAMILY, "splits")
def utkface(source: Path, request: Request) -> Preparation:
    """20,000 train, 1,000 validate, 2,205 test and 500 choose the AVP's epoch.

    `source` holds `AGE_GENDER_RACE_DATE.jpg.chip.jpg`, in any subfolders. Which image is in which
    split its name's sha256 says: the images in the order of these are divided. Raises `NogsError`
    if there are not the 23,705 of the dataset.
    """
    splits = in_turn(request.splits or SPLITS)
    count = splits["avp_validation"][1]
    named = {path: NAME.fullmatch(path.name) for path in source.rglob("*")}
    found = {path: match for path, match in named.items() if match}
    if len(found) != count or len({path.name for path in found}) != len(found):
        raise NogsError(
            f"{source} has {len(found):,} faces named AGE_GENDER_RACE_DATE.jpg.chip.jpg, expected "
            f"{count:,}, each once; give the folder of all aligned and cropped faces"
        )
    paths = sorted(found, key=lambda path: sha256(path.name.encode()).digest())
    ages, genders = np.array([found[path].groups() for path in paths], np.int64).T
    return Preparation(
        dataset=FAMILY,
        size=SOURCE.image_size,
        chunks=in_chunks(range(count), paths),
        arrays={
            "labels": np.column_stack([genders, np.digitize(ages, AGES)]),
            "numbers": np.arange(count),
        },
        splits=splits,
        notes={},
    )
