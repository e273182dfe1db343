"""Run the code cells of a notebook without Jupyter and store their outputs, pictures as JPEG."""

import argparse
import ast
import base64
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from PIL import Image

from axialvs.utils.cli import run_command


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('notebook', type=Path, metavar='FILE.ipynb', help='is rewritten')
    return parser.parse_args()


def main() -> None:
    """Run a notebook and write it."""
    path = parse_args().notebook
    notebook = json.loads(path.read_text())
    run_cells(notebook)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + '\n')
    print(f'wrote {path} ({path.stat().st_size / 1024:.0f} KiB)')


def run_cells(notebook: dict[str, Any]) -> dict[str, Any]:
    """Run the code cells, replace their outputs, and return the variables."""
    variables: dict[str, Any] = {'__name__': '__main__'}
    cells = [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']
    for number, cell in enumerate(cells, start=1):
        cell['execution_count'] = number
        cell['outputs'] = list(_run(''.join(cell['source']), f'<cell {number}>', variables))
    return variables


def _run(source: str, name: str, variables: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one cell; a last line that is an expression is shown, as in Jupyter."""
    tree = ast.parse(source, name)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, name, 'exec'), variables)
        shown = eval(compile(ast.Expression(last.value), name, 'eval'), variables) if last else None
    outputs = []
    if text := printed.getvalue():
        outputs.append({'output_type': 'stream', 'name': 'stdout', 'text': _lines(text)})
    if shown is not None:
        data = {'text/plain': _lines(repr(shown))}
        if isinstance(shown, Image.Image):
            data = {'image/jpeg': _jpeg(shown)}
        outputs.append({'output_type': 'display_data', 'metadata': {}, 'data': data})
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _jpeg(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=80)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == '__main__':
    sys.exit(run_command(main))
