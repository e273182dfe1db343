"""Make docs/model_zoo.md of the metafiles: write_model_zoo.py [--check]

Fails if a config is in no metafile or a metafile names what does not exist. With --check nothing is
written, and an outdated page is an error too.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from axialvs.checkpoints.hub import CHECKPOINTS, KnownCheckpoint
from axialvs.utils.cli import run_command
from axialvs.utils.errors import AxialVSError

ROOT = Path(__file__).resolve().parents[2]
_UNKNOWN = '-'
PAGE = Path('docs', 'model_zoo.md')
INDEX = 'model-index.yml'

_HEAD = """\
# Model zoo

Made of `configs/*/metafile.yml` by `python tools/misc/write_model_zoo.py`.

No weights of this project on YouTube-VIS or OVIS exist: **what these configs give when they are
trained here is not known**.

- *clips* is what one sample of training has: clips x frames of each. *batch* counts samples over
  all GPUs. *hours* are the paper's on YouTube-VIS; those of the tiny models are this project's.
- *paper* is what the Axial-VS paper reports for such a model, with its authors' code and weights.
  It is no result of the config. "Reproduced": by its authors, of Tube-Link.
- AP and AR, in percent, stand only beside configs that fit the *weights* that they are of. Below
  each table stands who reports them. Names of weights: [checkpoints](#checkpoints-known-by-name).

A dash is what is not known.
"""
_PUBLIC = """\
## Checkpoints known by name

What `--checkpoint`, `init_segmenter` and `load_from='axialvs://NAME'` know by name. mmdet's are
downloaded on first use. Those of the public release are downloaded by hand and converted by
`tools/model_converters/convert_release.py`; their metrics are the paper's.

"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='only say whether all is well')
    return parser.parse_args()


def main() -> None:
    """Write the page, or compare it."""
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
    """The metafiles that the index lists, in its order."""
    index = yaml.safe_load((root / INDEX).read_text())
    return [yaml.safe_load((root / path).read_text()) for path in index['Import']]


def problems(root: Path, metafiles: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What does not fit between index, metafiles and configs."""
    listed = [model['Config'] for metafile in metafiles for model in metafile['Models']]
    existing = {
        path.relative_to(root).as_posix()
        for path in root.glob('configs/*/*.py')
        if path.parent.name != '_base_'
    }
    for config in sorted(existing - set(listed)):
        metafile = f'{Path(config).parent.as_posix()}/metafile.yml'
        yield f'{config} is in no metafile; add it to {metafile}, or move your own to my_configs/'
    for config in sorted(set(listed) - existing):
        yield f'{config} is in a metafile and does not exist'
    for config in sorted({config for config in listed if listed.count(config) > 1}):
        yield f'{config} is in the metafiles twice'
    collections = {known['Name'] for metafile in metafiles for known in metafile['Collections']}
    for model in (model for metafile in metafiles for model in metafile['Models']):
        if model['Name'] != Path(model['Config']).stem:
            yield f'{model["Config"]}: its Name is {model["Name"]}'
        if model['In Collection'] not in collections:
            yield f'{model["Name"]}: there is no collection {model["In Collection"]}'


def page(metafiles: Sequence[dict[str, Any]]) -> str:
    """The page's text."""
    parts = [_HEAD]
    for metafile in metafiles:
        for collection in metafile['Collections']:
            models = [m for m in metafile['Models'] if m['In Collection'] == collection['Name']]
            paper = collection['Paper']
            parts.append(f'## {collection["Name"]}\n\n[{paper["Title"]}]({paper["URL"]})\n')
            datasets = dict.fromkeys(model['Metadata']['Training Data'] for model in models)
            for dataset in datasets:
                of_dataset = [m for m in models if m['Metadata']['Training Data'] == dataset]
                parts.append(f'### {collection["Name"]}, {dataset}\n\n{table(of_dataset)}')
    parts.append(_PUBLIC + _checkpoint_table())
    return '\n'.join(parts)


def table(models: Sequence[dict[str, Any]]) -> str:
    """Models on one data set: how they are trained, and metrics with their sources."""
    results = {model['Name']: result for model in models for result in model.get('Results', ())[:1]}
    metrics = list(dict.fromkeys(key for result in results.values() for key in result['Metrics']))
    columns = ['config', 'backbone', 'clips', 'batch', 'iterations', 'hardware', 'hours']
    rows = [[*columns, 'paper', *metrics, 'weights']]
    rows.append(['---'] * len(rows[0]))
    for model in models:
        facts = model['Metadata']
        metrics_of = results.get(model['Name'], {}).get('Metrics', {})
        cells = [
            f'[{model["Name"]}](../{model["Config"]})',
            facts['Backbone'],
            f'{facts["Clips"]} x {facts["Frames per Clip"]}',
            facts['Batch Size'],
            f'{facts["Iterations"]:,}',
            facts['Training Resources'],
            facts.get('Training Time (hours)', _UNKNOWN),
            facts.get('Paper', _UNKNOWN),
            *(metrics_of.get(metric, _UNKNOWN) for metric in metrics),
            ', '.join(f'`{name}`' for name in weights_of(model)) or _UNKNOWN,
        ]
        rows.append([str(cell) for cell in cells])
    sources: dict[str, list[str]] = {}
    for name, result in results.items():
        sources.setdefault(result['Reported By'], []).append(name)
    notes = [f'{", ".join(names)}, reported by: {source}.\n' for source, names in sources.items()]
    if len(sources) == 1:
        notes = [f'Reported by: {source}.\n' for source in sources]
    return _as_table(rows) + ''.join(f'\n{note}' for note in notes)


def weights_of(model: dict[str, Any]) -> list[str]:
    """Names of the known checkpoints that fit a model as it is."""
    return [
        name
        for name, known in CHECKPOINTS.items()
        if known.config and f'configs/{known.config}' == model['Config']
    ]


def _checkpoint_table() -> str:
    rows = [['name', 'what it is', 'config that it fits', 'from'], ['---'] * 4]
    for known in CHECKPOINTS.values():
        config = (
            f'[{Path(known.config).stem}](../configs/{known.config})' if known.config else _UNKNOWN
        )
        rows.append([f'`{known.name}`', known.description, config, _origin(known)])
    return _as_table(rows)


def _origin(known: KnownCheckpoint) -> str:
    if known.shipped:
        return f'[weights/{known.shipped}](../weights/{known.shipped})'
    if known.url:
        return f'[its authors]({known.url})'
    if known.addresses:
        return f'[mmdet]({known.addresses[0]})'
    return f'[public release]({known.page})'


def _as_table(rows: Sequence[Sequence[str]]) -> str:
    return ''.join(f'| {" | ".join(row)} |\n' for row in rows)


if __name__ == '__main__':
    sys.exit(run_command(main))
