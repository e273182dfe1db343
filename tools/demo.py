"""The whole path on two cores: make data, score, train on, score again, segment a video.

python tools/demo.py [--out work_dirs/demo]; every step prints the command that it runs.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from axialvs.cli import run_command
from axialvs.datasets.moving_shapes import generate_video
from axialvs.inference.video_writer import VideoWriter

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/axialvs/axialvs-wc_tiny_1xb4-cooldown_movingshapes.py'
WEIGHTS = ROOT / 'weights/axialvs-wc_tiny_movingshapes.pth'

# The shipped weights were trained on seed 0; nothing of it is seen here.
SEED = 2024
TRAIN_VIDEOS, VALID_VIDEOS = 200, 40
VIDEO_SIZE = (640, 384)
VIDEO_RATE = 8


class DemoError(RuntimeError):
    """A step of the demo failed."""


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'))
    return parser.parse_args()


def run(title: str, script: str, *arguments: str | Path) -> None:
    """Runs one of the project's tools and shows its command."""
    command = [sys.executable, str(ROOT / 'tools' / script), *map(str, arguments)]
    print(f'\n=== {title}\n$ python {shlex.join([f"tools/{script}", *command[2:]])}', flush=True)
    if subprocess.run(command, check=False).returncode:
        raise DemoError(f'tools/{script} failed; its message stands above')


def data_options(data: Path) -> list[str]:
    """Options that point a config to the demo's data."""
    loaders = [f'{split}_dataloader.dataset.data_root={data}' for split in ('train', 'test')]
    annotations = data / 'valid' / 'instances.json'
    return ['--cfg-options', *loaders, f'test_evaluator.ann_file={annotations}']


def score(title: str, checkpoint: Path, metrics: Path, options: list[str]) -> float:
    """Average precision of a checkpoint on the unseen videos."""
    run(
        title,
        'test.py',
        CONFIG,
        checkpoint,
        '--work-dir',
        metrics.parent,
        '--out',
        metrics,
        *options,
    )
    return json.loads(metrics.read_text())['youtube_vis/AP']


def write_video(path: Path) -> None:
    """Writes a generated video that was never trained on, larger than the training videos."""
    video = generate_video('demo', SEED + 1, 0, size=VIDEO_SIZE)
    with VideoWriter(path, fps=VIDEO_RATE) as writer:
        for frame in video.frames:
            writer.write(frame)


def main() -> None:
    """Runs all steps and says where the results lie."""
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
        'Score the shipped weights on unseen videos', WEIGHTS, out / 'before.json', options
    )
    run('Train on', 'train.py', CONFIG, '--work-dir', training, *options, f'load_from={WEIGHTS}')
    checkpoint = Path((training / 'last_checkpoint').read_text().strip())
    after = score('Score again', checkpoint, out / 'after.json', options)
    video, overlay, tracks = out / 'video.mp4', out / 'overlay.mp4', out / 'tracks.json'
    write_video(video)
    run(
        'Segment a video',
        'segment_video.py',
        *(video, '--config', CONFIG, '--checkpoint', checkpoint),
        *('--out', overlay, '--json', tracks),
    )
    print(
        f'\nAP on {VALID_VIDEOS} unseen videos: {before:.3f} before, {after:.3f} after training on'
    )
    print(f'time       {(time.monotonic() - start) / 60:.1f} minutes')
    print(f'overlay    {overlay}\ntracks     {tracks}')
    print(f'scores     {out / "before.json"}, {out / "after.json"}\ncheckpoint {checkpoint}')


if __name__ == '__main__':
    sys.exit(run_command(main))
