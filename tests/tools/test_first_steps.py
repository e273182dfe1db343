"""The notebook of the docs runs, finds the objects, and is stored with its outputs."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / 'docs' / 'first_steps.ipynb'


def kinds_of_outputs(notebook: dict) -> list[list[str]]:
    return [
        [kind for output in cell['outputs'] for kind in output.get('data', {'text': None})]
        for cell in notebook['cells']
        if cell['cell_type'] == 'code'
    ]


@pytest.fixture(scope='module')
def stored() -> dict:
    return json.loads(NOTEBOOK.read_text())


def test_cells_run_and_find_the_objects(stored):
    notebook = json.loads(json.dumps(stored))
    variables = runpy.run_path(str(ROOT / 'tools/misc/run_notebook.py'))['run_cells'](notebook)
    assert variables['scores']['AP50'] > 0.5
    assert len(variables['pictures']) == 24
    assert variables['decoded'].shape == (384, 640)
    # Stored outputs have the types of the cells' outputs, text or images.
    assert kinds_of_outputs(stored) == kinds_of_outputs(notebook)


def test_outputs_are_small():
    assert NOTEBOOK.stat().st_size < 300 * 1024
