"""Generate data, evaluate, train, evaluate again and segment videos, in minutes on a CPU.

Every step prints the command that it runs. With --web, serves a web page to try the shipped models
instead.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from axialvs.__main__ import COMMANDS
from axialvs.datasets.moving_shapes import generate_video
from axialvs.inference.video_writer import VideoWriter
from axialvs.utils.cli import number_from, run_command
from axialvs.utils.errors import AxialVSError

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/axialvs/axialvs-wc_tiny_1xb4-400_movingshapes.py'
WEIGHTS = ROOT / 'weights/axialvs-wc_tiny_movingshapes.pth'
OFFLINE_CONFIG = ROOT / 'configs/axialvs/axialvs-cc_tiny_1xb2-400_movingshapes.py'
OFFLINE_WEIGHTS = ROOT / 'weights/axialvs-cc_tiny_movingshapes.pth'

PANOPTIC_CONFIG = ROOT / 'configs/axialvs/axialvs-wc-kmax_tiny_1xb4-6k_movingshapes-panoptic.py'
PANOPTIC_WEIGHTS = ROOT / 'weights/axialvs-wc-kmax_tiny_movingshapes-panoptic.pth'

# The shipped weights were trained on seed 0; these videos are unseen.
SEED = 2024
TRAIN_VIDEOS, VALID_VIDEOS, PANOPTIC_VIDEOS = 200, 40, 20
VIDEO_SIZE = (640, 384)
VIDEO_RATE = 8


class DemoError(AxialVSError):
    """A step of the demo failed."""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'), help='folder to write')
    parser.add_argument(
        '--web',
        action='store_true',
        help='serve a web page to try the shipped models instead; needs axialvs[web]',
    )
    parser.add_argument(
        '--port',
        type=number_from(1, 2**16 - 1),
        help='port of --web (default: a free one from 7860)',
    )
    return parser.parse_args()


def shown_command(script: str) -> str:
    """Return the command of a tool: `axialvs COMMAND` if axialvs is installed, or its script."""
    if ROOT.name == '.mim':
        return f'axialvs {next(name for name, (tool, _) in COMMANDS.items() if tool == script)}'
    return f'python tools/{script}'


def run(title: str, script: str, *arguments: str | Path) -> None:
    """Run a tool and print its command."""
    command = [sys.executable, str(ROOT / 'tools' / script), *map(str, arguments)]
    print(f'\n=== {title}\n$ {shown_command(script)} {shlex.join(command[2:])}', flush=True)
    # More threads slow down small models, and stall on a busy machine.
    environment = {'OMP_NUM_THREADS': '1', **os.environ}
    if subprocess.run(command, check=False, env=environment).returncode:
        raise DemoError(f'tools/{script} failed; see its message above')


def data_options(data: Path, annotations: str, *splits: str) -> list[str]:
    """Return options that point a config to the demo's data."""
    loaders = [f'{split}_dataloader.dataset.data_root={data}' for split in splits]
    return ['--cfg-options', *loaders, f'test_evaluator.ann_file={data / "valid" / annotations}']


def score(title: str, config: Path, weights: Path, out: Path, metric: str, options: list) -> float:
    """Evaluate a checkpoint on the unseen videos and return a metric."""
    files = ('--work-dir', out.parent, '--out', out)
    run(title, 'test.py', config, weights, *files, *options)
    return json.loads(out.read_text())[metric]


def segment(video: Path, name: str, config: Path, weights: Path, *options: str) -> None:
    """Segment the video and write outputs with the given name."""
    run(
        f'Segment a video, {name}',
        'segment_video.py',
        *(video, '--config', config, '--checkpoint', weights, *options),
        *('--out', video.with_name(f'{name}.mp4'), '--json', video.with_name(f'{name}.json')),
    )


def write_video(path: Path, level: str) -> None:
    """Generate an unseen video, larger than the training videos."""
    video = generate_video(level, SEED + 1, 0, size=VIDEO_SIZE)
    with VideoWriter(path, fps=VIDEO_RATE) as writer:
        for frame in video.frames:
            writer.write(frame)


def generate(folder: Path, level: str, train: int, valid: int) -> None:
    """Generate a dataset."""
    run(
        f'Generate videos of moving shapes, level {level}',
        'dataset_converters/generate_moving_shapes.py',
        *(folder, '--level', level, '--seed', SEED, '--overwrite'),
        *('--train', train, '--valid', valid),
    )


def instances(out: Path) -> list[str]:
    """Evaluate, train and re-evaluate instance models, segment a video; return summary lines."""
    data, training = out / 'data', out / 'training'
    generate(data, 'demo', TRAIN_VIDEOS, VALID_VIDEOS)
    options = data_options(data, 'instances.json', 'train', 'test')
    metric = 'youtube_vis/AP'
    files = [out / f'{name}.json' for name in ('before', 'offline_score', 'after')]
    before = score('Score the near-online weights', CONFIG, WEIGHTS, files[0], metric, options)
    offline = score(
        'Score the offline weights: the same, with the cross-clip tracking module',
        *(OFFLINE_CONFIG, OFFLINE_WEIGHTS, files[1], metric, options),
    )
    run('Train', 'train.py', CONFIG, '--work-dir', training, *options, f'load_from={WEIGHTS}')
    checkpoint = Path((training / 'last_checkpoint').read_text().strip())
    after = score('Score again', CONFIG, checkpoint, files[2], metric, options)
    video = out / 'video.mp4'
    write_video(video, 'demo')
    segment(video, 'near-online', CONFIG, checkpoint)
    segment(video, 'offline', OFFLINE_CONFIG, OFFLINE_WEIGHTS, '--mode', 'offline')
    return [
        f'AP on {VALID_VIDEOS} unseen videos: near-online {before:.3f} before, {after:.3f} after '
        f'training; offline {offline:.3f}',
        *(
            f'{mode:<11} {video.with_name(mode)}.mp4 and .json'
            for mode in ('near-online', 'offline')
        ),
        f'checkpoint  {checkpoint}',
    ]


def panoptic(out: Path) -> list[str]:
    """Evaluate the panoptic model and segment a video; return summary lines."""
    data = out / 'panoptic_data'
    generate(data, 'panoptic', 1, PANOPTIC_VIDEOS)
    options = data_options(data, 'panoptic.json', 'test')
    options.append(f'test_evaluator.mask_prefix={data / "valid" / "panomasksRGB"}')
    vpq = score(
        'Score the panoptic weights',
        *(PANOPTIC_CONFIG, PANOPTIC_WEIGHTS, out / 'panoptic_score.json'),
        *('panoptic/vpq', options),
    )
    video = out / 'panoptic_video.mp4'
    write_video(video, 'panoptic')
    segment(video, 'panoptic', PANOPTIC_CONFIG, PANOPTIC_WEIGHTS)
    return [
        f'VPQ on {PANOPTIC_VIDEOS} unseen videos: {vpq:.1f} %',
        f'panoptic    {video.with_name("panoptic")}.mp4 and .json',
    ]


def main() -> None:
    """Run all steps and list the results."""
    args = parse_args()
    if args.web:
        from axialvs.web import serve

        serve(args.port)
        return
    out = args.out
    start = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    lines = [*instances(out), *panoptic(out)]
    minutes = (time.monotonic() - start) / 60
    print('', *lines, f'scores      {out}/*.json', f'time        {minutes:.1f} minutes', sep='\n')


if __name__ == '__main__':
    sys.exit(run_command(main))
