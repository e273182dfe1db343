"""Train a temporal attention by itself to detect objects that are only visible by motion.

All cells of the static background and of the moving object have random features, so the object is
invisible in a single frame. Reports the average precision of object cells in new clips.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from axialvs.datasets.moving_shapes.camouflage import STEPS
from axialvs.utils.cli import run_command
from axialvs.utils.files import write_atomically
from axialvs.utils.markdown import markdown_table

if TYPE_CHECKING:
    from torch import Generator, Tensor

NAMES = ('none', 'DividedSpaceTime', 'JointSpaceTime', 'WindowSpaceTime', 'Trajectory')
NAMES += ('AxialTrajectory',)
SIZE = (3, 6, 8)  # T, H, W
FEATURES = 8
BATCH_SIZE = 16
TEST_CLIPS = 128
OBJECT_SIDES = (2, 3)


@dataclass(frozen=True)
class Result:
    """Average precision of one training in percent, and its CPU time in seconds."""

    ap: float
    middle_ap: float
    """Average precision of the middle frame, the only one with a past and a future frame."""
    seconds: float


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'types', nargs='*', default=NAMES, metavar='TYPE', help=f'({" ".join(NAMES)})'
    )
    parser.add_argument('--layers', type=int, default=1)
    parser.add_argument('--channels', type=int, default=32)
    parser.add_argument('--iterations', type=int, nargs='+', default=[600])
    parser.add_argument('--lr', type=float, default=3e-3)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--out', type=Path, metavar='OUT.md', help='table to write')
    return parser.parse_args()


def main() -> None:
    """Train each attention with each seed and print a table."""
    args = parse_args()
    import axialvs.register  # noqa: F401
    from axialvs.utils.env import limit_threads

    limit_threads(1)
    rows = []
    for name in args.types:
        for iterations in args.iterations:
            results = [
                train(name, args.layers, args.channels, iterations, args.lr, seed)
                for seed in args.seeds
            ]
            rows.append(
                {
                    'attention': name,
                    'iterations': iterations,
                    'mean AP': f'{statistics.mean(x.ap for x in results):.1f}',
                    'middle frame': f'{statistics.mean(x.middle_ap for x in results):.1f}',
                    'AP of each seed': ', '.join(f'{x.ap:.1f}' for x in results),
                    'CPU s': f'{statistics.mean(x.seconds for x in results):.0f}',
                }
            )
            print(rows[-1], flush=True)
            if args.out:
                write_atomically(args.out, markdown_table(rows).encode())
    print(markdown_table(rows), end='')


def train(name: str, layers: int, channels: int, iterations: int, lr: float, seed: int) -> Result:
    """Train one attention between a linear embedding and a classifier of cells."""
    import torch
    import torch.nn.functional as F
    from mmdet.models.layers.positional_encoding import SinePositionalEncoding3D
    from torch import nn

    from axialvs.layers.temporal.encoder import build_temporal_encoder

    start = time.process_time()
    torch.manual_seed(seed)
    embed = nn.Linear(FEATURES, channels)
    layer = dict(type=name, num_layers=layers, num_heads=4, feedforward_channels=4 * channels)
    if name == 'WindowSpaceTime':
        layer['window_size'] = 4  # smaller than the map
    encoder = build_temporal_encoder(channels, layer)
    head = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, 1))
    encoding = SinePositionalEncoding3D(num_feats=channels // 2, normalize=True)
    position = encoding(torch.zeros(1, *SIZE, dtype=torch.bool)).permute(0, 1, 3, 4, 2)
    model = nn.ModuleList([embed, head] + ([] if encoder is None else [encoder]))

    def predict(clips: 'Tensor') -> 'Tensor':
        features = embed(clips)
        return head(features if encoder is None else encoder(features, position)).squeeze(-1)

    optimizer = torch.optim.AdamW(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, iterations, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(iterations):
        clips, masks = camouflaged_clips(BATCH_SIZE, generator)
        loss = F.binary_cross_entropy_with_logits(predict(clips), masks.float())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    clips, masks = camouflaged_clips(TEST_CLIPS, torch.Generator().manual_seed(2**31))
    with torch.no_grad():
        scores = torch.cat([predict(part) for part in clips.split(BATCH_SIZE)])
    middle = SIZE[0] // 2
    return Result(
        100 * average_precision(scores, masks),
        100 * average_precision(scores[:, middle], masks[:, middle]),
        time.process_time() - start,
    )


def camouflaged_clips(number: int, generator: 'Generator') -> tuple['Tensor', 'Tensor']:
    """Generate clips (B, T, H, W, C) of random cells, and the object's masks (B, T, H, W).

    Args:
        number: B.
        generator: random generator.
    """
    import torch

    frames, height, width = SIZE

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    background = torch.randn(number, 1, height, width, FEATURES, generator=generator)
    clips = background.expand(-1, frames, -1, -1, -1).clone()
    masks = torch.zeros(number, *SIZE, dtype=torch.bool)
    for clip, mask in zip(clips, masks, strict=True):
        sides = draw(*OBJECT_SIDES), draw(*OBJECT_SIDES)
        step = STEPS[draw(0, len(STEPS) - 1)]
        texture = torch.randn(*sides, FEATURES, generator=generator)
        travels = [(frames - 1) * x for x in step]
        first = [
            draw(max(0, -travel), extent - side - max(0, travel))
            for extent, side, travel in zip((height, width), sides, travels, strict=True)
        ]
        for t in range(frames):
            cells = tuple(
                slice(start + t * move, start + t * move + side)
                for start, move, side in zip(first, step, sides, strict=True)
            )
            clip[(t, *cells)], mask[(t, *cells)] = texture, True
    return clips, masks


def average_precision(scores: 'Tensor', positive: 'Tensor') -> float:
    """Compute average precision: the mean precision at each positive."""
    import torch

    hits = positive.flatten()[scores.flatten().argsort(descending=True, stable=True)]
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return precision[hits].mean().item()


if __name__ == '__main__':
    sys.exit(run_command(main))
