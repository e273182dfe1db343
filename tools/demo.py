"""The whole path on two cores: make data, score, train on, score again, segment a video both ways.

python tools/demo.py [--out work_dirs/demo].

Every step prints the command that it runs.
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
from axialvs.utils.cli import run_command
from axialvs.utils.errors import AxialVSError

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/axialvs/axialvs-wc_tiny_1xb4-cooldown_movingshapes.py'
WEIGHTS = ROOT / 'weights/axialvs-wc_tiny_movingshapes.pth'
OFFLINE_CONFIG = ROOT / 'configs/axialvs/axialvs-cc_tiny_1xb2-400_movingshapes.py'
OFFLINE_WEIGHTS = ROOT / 'weights/axialvs-cc_tiny_movingshapes.pth'

# The shipped weights were trained on seed 0; nothing of it is seen here.
SEED = 2024
TRAIN_VIDEOS, VALID_VIDEOS = 200, 40
VIDEO_SIZE = (640, 384)
VIDEO_RATE = 8


class DemoError(AxialVSError):
    """A step of the demo failed."""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    return parser.parse_args()


def shown_command(script: str) -> str:
    """How a user runs a tool: `axialvs COMMAND` from an installed package, else its script."""
    if ROOT.name == '.mim':
        return f'axialvs {next(name for name, (tool, _) in COMMANDS.items() if tool == script)}'
    return f'python tools/{script}'


def run(title: str, script: str, *arguments: str | Path) -> None:
    """Run one of the project's tools and show its command."""
    command = [sys.executable, str(ROOT / 'tools' / script), *map(str, arguments)]
    print(f'\n=== {title}\n$ {shown_command(script)} {shlex.join(command[2:])}', flush=True)
    # More threads make these small models slower, and stall on a busy machine.
    environment = {'OMP_NUM_THREADS': '1', **os.environ}
    if subprocess.run(command, check=False, env=environment).returncode:
        raise DemoError(f'tools/{script} failed; see its message above')


def data_options(data: Path) -> list[str]:
    """Options that point a config to the demo's data."""
    loaders = [f'{split}_dataloader.dataset.data_root={data}' for split in ('train', 'test')]
    annotations = data / 'valid' / 'instances.json'
    return ['--cfg-options', *loaders, f'test_evaluator.ann_file={annotations}']


def score(title: str, config: Path, checkpoint: Path, metrics: Path, options: list[str]) -> float:
    """Average precision of a checkpoint on the unseen videos."""
    run(
        title,
        'test.py',
        config,
        checkpoint,
        '--work-dir',
        metrics.parent,
        '--out',
        metrics,
        *options,
    )
    return json.loads(metrics.read_text())['youtube_vis/AP']


def segment(video: Path, mode: str, config: Path, checkpoint: Path) -> None:
    """Segment the video in one of the modes; the other files are named after the mode."""
    run(
        f'Segment a video, {mode}',
        'segment_video.py',
        *(video, '--mode', mode, '--config', config, '--checkpoint', checkpoint),
        *('--out', video.with_name(f'{mode}.mp4'), '--json', video.with_name(f'{mode}.json')),
    )


def write_video(path: Path) -> None:
    """Write a generated video that was never trained on, larger than the training videos."""
    video = generate_video('demo', SEED + 1, 0, size=VIDEO_SIZE)
    with VideoWriter(path, fps=VIDEO_RATE) as writer:
        for frame in video.frames:
            writer.write(frame)


def main() -> None:
    """Run all steps and say where the results lie."""
    out = parse_args().out
    start = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    data, training = out / 'data', out / 'training'
    run(
        'Make videos of moving shapes',
        'dataset_converters/generate_moving_shapes.py',
        *(data, '--level', 'demo', '--seed', SEED, '--overwrite'),
        *('--train', TRAIN_VIDEOS, '--valid', VALID_VIDEOS),
    )
    options = data_options(data)
    before = score(
        'Score the shipped near-online weights on unseen videos',
        *(CONFIG, WEIGHTS, out / 'before.json', options),
    )
    offline = score(
        'Score the shipped offline weights: the same, with the cross-clip tracking module',
        *(OFFLINE_CONFIG, OFFLINE_WEIGHTS, out / 'offline_score.json', options),
    )
    run('Train on', 'train.py', CONFIG, '--work-dir', training, *options, f'load_from={WEIGHTS}')
    checkpoint = Path((training / 'last_checkpoint').read_text().strip())
    after = score('Score again', CONFIG, checkpoint, out / 'after.json', options)
    video = out / 'video.mp4'
    write_video(video)
    segment(video, 'near-online', CONFIG, checkpoint)
    segment(video, 'offline', OFFLINE_CONFIG, OFFLINE_WEIGHTS)
    print(
        f'\nAP on {VALID_VIDEOS} unseen videos: near-online {before:.3f} before, {after:.3f} after '
        f'training on; offline {offline:.3f}'
    )
    print(f'time        {(time.monotonic() - start) / 60:.1f} minutes')
    for mode in ('near-online', 'offline'):
        print(f'{mode:<11} {out / f"{mode}.mp4"}, {out / f"{mode}.json"}')
    scores = [str(out / f'{name}.json') for name in ('before', 'after', 'offline_score')]
    print(f'scores      {", ".join(scores)}')
    print(f'checkpoint  {checkpoint}')


if __name__ == '__main__':
    sys.exit(run_command(main))
