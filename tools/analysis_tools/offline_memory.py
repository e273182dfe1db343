"""Measures peak memory of an offline model over the length of a video: offline_memory.py --help.

Each length runs in a process of its own, so that one does not hide another. Growth is given in
times the mask features of a frame, which is what an offline model has to keep.
"""

import argparse
import json
import sys

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine import Config
from mmengine.registry import init_default_scope
from tqdm import tqdm

from axialvs.apis import init_segmenter, segment_video
from axialvs.inference.pipeline import FramePreparation
from axialvs.profiling.alone import run_alone
from axialvs.profiling.printing import print_beside_bars
from axialvs.profiling.training_step import training_step
from axialvs.utils.cli import ConfigOptions, run_command
from axialvs.utils.config_files import find_config
from axialvs.utils.env import peak_resident_bytes
from axialvs.utils.files import output_file, write_atomically

MIB = 2**20
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
        '--cfg-options',
        nargs='+',
        action=ConfigOptions,
        metavar='KEY=VALUE',
        help='settings that replace those of the config, such as '
        'model.test_cfg.feature_memory=1048576',
    )
    parser.add_argument('--out', type=output_file, help='also write the figures to this JSON file')
    parser.add_argument('--one', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if min(*args.frames, *args.size) < 1:
        parser.error('--frames and --size: at least 1 each')
    return args


def main() -> None:
    """Measures one length, or starts a process for each and prints the table."""
    args = parse_args()
    if args.one is not None:
        print(json.dumps(measure(args, args.one)))
        return
    find_config(args.config)  # a wrong name is said before a process is started
    figures: list[dict] = []
    print(f'{"frames":>8} {"peak MiB":>10} {"growth in mask features a frame":>34}', flush=True)
    with tqdm(total=sum(args.frames), unit=' frames', file=sys.stderr) as bar:
        for length in args.frames:
            bar.set_description(f'{length} frames')
            now = run_alone(f'{length} frames', ['--one', length], RETURN_FREED_MEMORY)
            step = growth(figures[-1] if figures else None, now)
            print_beside_bars(f'{now["frames"]:>8} {now["peak_mib"]:>10.1f} {step:>34}')
            figures.append(now)
            bar.update(length)
    if args.out:
        write_atomically(args.out, (json.dumps(figures, indent=2) + '\n').encode())


def growth(before: dict | None, now: dict) -> str:
    """Peak memory that each frame more cost, in mask features."""
    frames = now['frames'] - before['frames'] if before else 0
    if not frames:  # a video may be shorter than what was asked for
        return ''
    mib_a_frame = (now['peak_mib'] - before['peak_mib']) / frames
    return f'{mib_a_frame / now["feature_mib"]:.2f}'


def measure(args: argparse.Namespace, length: int) -> dict:
    """Peak resident memory of one length, and the mask features of one frame."""
    init_default_scope('mmdet')
    config = Config.fromfile(find_config(args.config))
    config.merge_from_dict(args.cfg_options or {})
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
    prepare = FramePreparation(model)
    return prepare([np.zeros((height, width, 3), dtype=np.uint8)])[1].batch_input_shape


def train_once(config: Config, length: int, height: int, width: int) -> None:
    """One forward and backward pass on noise.

    The gradients' own memory is there before, as in every step but a run's first: with one clip
    they would otherwise take the place of what that clip has given back.
    """
    model = MODELS.build(config.model)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.full_like(parameter, 0)  # written, so that it is resident
    training_step(model, torch.randn(length, 3, height, width))


if __name__ == '__main__':
    sys.exit(run_command(main))
