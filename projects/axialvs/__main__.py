"""Command-line entry point `axialvs`: each subcommand runs a script in `tools/`."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from types import ModuleType

from axialvs import __version__
from axialvs.utils.cli import run_command
from axialvs.utils.config_files import find_tool

# Command -> script in tools/, summary.
COMMANDS = {
    'segment': (
        'segment_video.py',
        'segment videos and write overlays, tracks, masks, boxes, pages',
    ),
    'models': ('misc/list_models.py', 'list the pretrained weights'),
    'trajectories': (
        'analysis_tools/show_trajectories.py',
        'show where axial-trajectory attention looks for a point',
    ),
    'train': ('train.py', 'train a model'),
    'test': ('test.py', 'evaluate a model on the dataset of its config'),
    'eval vis': ('eval_vis.py', 'compute AP, HOTA, IDF1 or J&F of a results file'),
    'eval vps': ('eval_vps.py', 'compute VPQ and STQ of panoptic results'),
    'convert release': (
        'model_converters/convert_release.py',
        'convert a checkpoint of the public release',
    ),
    'convert masks': (
        'dataset_converters/masks_to_youtube_vis.py',
        'convert mask images to YouTube-VIS annotations',
    ),
    'convert cvat': (
        'dataset_converters/cvat_to_youtube_vis.py',
        'convert CVAT exports to YouTube-VIS annotations',
    ),
    'convert coco-video': (
        'dataset_converters/coco_video_to_youtube_vis.py',
        'convert COCO-style video annotations to YouTube-VIS',
    ),
    'convert vipseg': ('dataset_converters/vipseg_to_720p.py', 'convert VIPSeg to 720P'),
    'export': (
        'model_converters/export.py',
        'export the network of a clip to .pt2 or ONNX',
    ),
    'publish': (
        'model_converters/publish_model.py',
        'extract the weights of a training for publication',
    ),
    'check': ('check_dataset.py', 'check a dataset'),
    'split': (
        'dataset_converters/split_dataset.py',
        'split an annotation file into training and validation videos',
    ),
    'generate': (
        'dataset_converters/generate_moving_shapes.py',
        'generate videos of moving shapes with annotations',
    ),
    'plot': ('analysis_tools/plot_log.py', 'draw the losses and metrics of trainings'),
    'doctor': (None, 'report the environment and how to fix it'),
    'demo': ('demo.py', 'generate data, train, evaluate and segment in minutes'),
}


def usage() -> str:
    """Return the help text."""
    lines = [f'  {name:20}{summary}' for name, (_, summary) in COMMANDS.items()]
    return '\n'.join(
        [
            'usage: axialvs COMMAND [ARGUMENTS]',
            '',
            'Video instance and panoptic segmentation.',
            '',
            'commands:',
            *lines,
            '',
            'axialvs COMMAND --help lists the arguments of a command; axialvs --version.',
        ]
    )


def main() -> int:
    """Run a command with its arguments and return the exit code of its script."""
    return run_command(_dispatch)


def _dispatch() -> int:
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ('-h', '--help', 'help'):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] == '--version':
        print(f'axialvs {__version__}')
        return 0
    for words in (1, 2):
        name = ' '.join(arguments[:words])
        if name in COMMANDS:
            return _run(name, arguments[words:])
    return _explain_unknown(arguments[0])


def _run(name: str, arguments: list[str]) -> int:
    script = COMMANDS[name][0]
    if script is None:
        ArgumentParser(prog=f'axialvs {name}', description=COMMANDS[name][1]).parse_args(arguments)
        from axialvs.doctor import main as doctor

        return doctor()
    _run_script(find_tool(script), f'axialvs {name}', arguments)
    return 0


def _run_script(path: Path, program: str, arguments: list[str]) -> None:
    """Run a script as the main module.

    `runpy.run_path` would call the program by its path in usage and error messages.
    """
    caller = sys.modules['__main__']
    module = ModuleType('__main__')
    module.__file__ = str(path)
    sys.argv = [program, *arguments]
    sys.modules['__main__'] = module
    try:
        exec(compile(path.read_bytes(), path, 'exec'), module.__dict__)
    finally:
        sys.modules['__main__'] = caller


def _explain_unknown(word: str) -> int:
    """Print the commands that begin with a word, or all commands if there are none."""
    within = [name for name in COMMANDS if name.startswith(f'{word} ')]
    if within:
        problem = f'{word} needs one of: {", ".join(x.split()[1] for x in within)}'
    else:
        problem = f"unknown command '{word}'; see axialvs --help"
    print(f'axialvs: error: {problem}', file=sys.stderr)
    return 2


if __name__ == '__main__':
    sys.exit(main())
