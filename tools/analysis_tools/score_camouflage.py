"""Evaluate a model on objects of level "camouflage" at decreasing contrast.

For each object and clip: the IoU of the highest-scoring query, and the average precision of the
object's pixels, over all frames and in the middle one.
"""

import argparse
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from axialvs.datasets.moving_shapes import get_level
from axialvs.datasets.moving_shapes.camouflage import camouflaged_frames
from axialvs.utils.cli import run_command
from axialvs.utils.files import output_file, write_atomically
from axialvs.utils.markdown import markdown_table

if TYPE_CHECKING:
    from axialvs.datasets.moving_shapes import Level
    from axialvs.models.clip_segmenter import ClipSegmenter

SEED = 99


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', type=Path)
    parser.add_argument('checkpoint')
    parser.add_argument('--contrasts', type=float, nargs='+', default=[0, 0.25, 0.5, 0.75, 1])
    parser.add_argument('--clips', type=int, default=200, help='clips for each contrast')
    parser.add_argument('--size', type=int, nargs=2, default=(96, 64), metavar=('W', 'H'))
    parser.add_argument('--out', type=output_file, metavar='OUT.md', help='table to write')
    return parser.parse_args()


def main() -> None:
    """Evaluate every contrast and print a table."""
    args = parse_args()
    from axialvs.apis import init_segmenter

    model = init_segmenter(args.config, args.checkpoint, 'cpu')
    level = replace(
        get_level('camouflage', tuple(args.size), model.clip_length), num_objects=(1, 1)
    )
    rows = [{'contrast': x} | score(model, level, x, args.clips) for x in args.contrasts]
    print(table := markdown_table(rows), end='')
    if args.out:
        write_atomically(args.out, table.encode())


def score(
    model: 'ClipSegmenter', level: 'Level', contrast: float, num_clips: int
) -> dict[str, str]:
    """Evaluate one contrast; return a row of the table, in percent."""
    import numpy as np
    import torch
    from probe_motion import average_precision

    ious, scores, targets = [], [], []
    for index in range(num_clips):
        frames, masks = camouflaged_frames(level, contrast, np.random.default_rng([SEED, index]))
        clip = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
        normalizer = model.data_preprocessor
        with torch.no_grad():
            prediction = model.predict_clip((clip - normalizer.mean) / normalizer.std)
        likelihood = prediction.class_logits.softmax(-1)[:, 0]
        stride = level.size[0] // prediction.mask_logits.shape[-1]
        target = torch.from_numpy(masks[0][:, stride // 2 :: stride, stride // 2 :: stride])
        mask = prediction.mask_logits[likelihood.argmax()] > 0
        ious.append(((mask & target).sum() / (mask | target).sum()).item())
        pixels = likelihood[:, None, None, None] * prediction.mask_logits.sigmoid()
        scores.append(pixels.amax(0))
        targets.append(target)
    score, target = torch.stack(scores), torch.stack(targets)
    middle = level.num_frames // 2
    values = {
        'IoU': statistics.mean(ious),
        'AP of pixels': average_precision(score, target),
        'middle frame': average_precision(score[:, middle], target[:, middle]),
        'share of the object': target.float().mean().item(),
    }
    return {name: f'{100 * value:.1f}' for name, value in values.items()}


if __name__ == '__main__':
    sys.exit(run_command(main))
