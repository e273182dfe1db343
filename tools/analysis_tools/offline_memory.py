"""Measures peak memory of an offline model over the length of a video: offline_memory.py --help.

Each length runs in a process of its own, so that one does not hide another. Growth is given in
times the mask features of a frame, which is what an offline model has to keep.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from axialvs.apis import init_segmenter, segment_video
from axialvs.cli import run_command
from axialvs.config_files import find_config
from axialvs.inference.frame_preparation import FramePreparation
from axialvs.profiling.memory import peak_resident_bytes

MIB = 2**20
OBJECTS = 4  # of a training video
FEATURE_STRIDE = 4
FLOAT_BYTES = 4
# To the C library: give large blocks back at once, so that the peak is of what is in use.
RETURN_FREED_MEMORY = {'MALLOC_MMAP_THRESHOLD_': '65536'}


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of an offline model')
    parser.add_argument('--video', help='measure inference on this video; training otherwise')
    parser.add_argument(
        '--frames', type=int, nargs='+', default=[4, 8, 16, 32], help='lengths to measure'
    )
    parser.add_argument('--checkpoint', help='weights for inference (random)')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(96, 160), metavar=('H', 'W'), help='training frames'
    )
    parser.add_argument(
        '--cfg-options', default='{}', metavar='JSON', help='settings of the model, as JSON'
    )
    parser.add_argument('--out', type=Path, help='also write the figures to this JSON file')
    parser.add_argument('--one', type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measures one length, or starts a process for each and prints the table."""
    args = parse_args()
    if args.one is not None:
        print(json.dumps(measure(args, args.one)))
        return
    figures = [run_alone(length) for length in args.frames]
    print(f'{"frames":>8} {"peak MiB":>10} {"growth in mask features a frame":>34}')
    for before, now in zip([None, *figures], figures, strict=False):
        print(f'{now["frames"]:>8} {now["peak_mib"]:>10.1f} {growth(before, now):>34}')
    if args.out:
        args.out.write_text(json.dumps(figures, indent=2) + '\n')


def run_alone(length: int) -> dict:
    """Runs this command for one length in a new process."""
    command = [sys.executable, *sys.argv, '--one', str(length)]
    environment = {**os.environ, **RETURN_FREED_MEMORY}
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
    return json.loads(output.strip().splitlines()[-1])


def growth(before: dict | None, now: dict) -> str:
    """Peak memory that each frame more cost, in mask features."""
    if before is None:
        return ''
    frames = now['frames'] - before['frames']
    mib_a_frame = (now['peak_mib'] - before['peak_mib']) / frames
    return f'{mib_a_frame / now["feature_mib"]:.2f}'


def measure(args: argparse.Namespace, length: int) -> dict:
    """Peak resident memory of one length, and the mask features of one frame."""
    init_default_scope('mmdet')
    config = Config.fromfile(find_config(args.config))
    config.merge_from_dict({'model': json.loads(args.cfg_options)})
    if args.video:
        model = init_segmenter(config, args.checkpoint, 'cpu')
        result = segment_video(model, args.video, mode='offline', max_frames=length)
        result.tracks()
        length = result.num_frames
        height, width = model_input_size(model, result.reader.height, result.reader.width)
    else:
        height, width = args.size
        train_once(config, length, height, width)
    channels = config.model.panoptic_head.out_channels
    feature_bytes = channels * (height // FEATURE_STRIDE) * (width // FEATURE_STRIDE) * FLOAT_BYTES
    peak = peak_resident_bytes() / MIB
    return dict(frames=length, peak_mib=peak, feature_mib=feature_bytes / MIB)


def model_input_size(model: torch.nn.Module, height: int, width: int) -> tuple[int, int]:
    """Height and width that the network sees of frames of the given size."""
    prepare = FramePreparation.from_config(model.cfg, model.data_preprocessor)
    return prepare([np.zeros((height, width, 3), dtype=np.uint8)])[1].padded


def train_once(config: Config, length: int, height: int, width: int) -> None:
    """One forward and backward pass on noise.

    The gradients' own memory is there before, as in every step but a run's first: with one clip
    they would otherwise take the place of what that clip has given back.
    """
    model = MODELS.build(config.model).train()
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 0)  # written, so that it is resident
    losses = model.loss(torch.randn(1, length, 3, height, width), [objects(length, height, width)])
    sum(losses.values()).backward()


def objects(length: int, height: int, width: int) -> TrackDataSample:
    """Boxes that stay where they are."""
    masks = np.zeros((OBJECTS, height, width), dtype=np.uint8)
    for i, mask in enumerate(masks):
        mask[i * height // OBJECTS : (i + 1) * height // OBJECTS, : width // 2] = 1
    sample = TrackDataSample()
    sample.video_data_samples = [
        DetDataSample(
            gt_instances=InstanceData(
                labels=torch.zeros(OBJECTS, dtype=torch.long),
                instances_ids=torch.arange(OBJECTS),
                masks=BitmapMasks(masks, height, width),
            )
        )
        for _ in range(length)
    ]
    return sample


if __name__ == '__main__':
    sys.exit(run_command(main))
