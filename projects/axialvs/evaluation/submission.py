"""Writes results in the layout that the YouTube-VIS evaluation servers take."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from axialvs.atomic_files import write_atomically

# The servers look for this name at the top level of the zip.
RESULTS_NAME = 'results.json'


def write_results(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Writes the JSON list; an existing file is replaced when the new one is complete.

    Args:
        path: The file.
        entries: `{video_id, category_id, score, segmentations}` with plain numbers and texts.
    """
    write_atomically(path, _encode(entries))


def write_submission(path: str | Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Writes the zip with the same list; an existing file is replaced likewise."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(RESULTS_NAME, _encode(entries))
    write_atomically(path, buffer.getvalue())


def _encode(entries: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps(list(entries), allow_nan=False).encode()
