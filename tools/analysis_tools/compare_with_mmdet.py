"""Times near-online segmentation against mmdet's Mask2Former-VIS in one run.

python tools/analysis_tools/compare_with_mmdet.py [CONFIG] [--frames 20]

Both get the same random frames and random weights: time does not depend on them. mmdet segments the
video as one clip and gives its 10 tracks as arrays; ours goes clip by clip and gives the masks of
the 100 best (query, class) pairs as run-length codes. Each runs in a process of its own, in turns.
CPU seconds count all threads and the building of the model; other jobs on the machine hardly change
them.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmengine import Config
from mmengine.utils import get_installed_path
from tqdm import tqdm

import axialvs.register  # noqa: F401, registers its parts
from axialvs.apis import init_segmenter
from axialvs.profiling.alone import run_alone
from axialvs.profiling.printing import print_beside_bars
from axialvs.utils.cli import run_command
from axialvs.utils.config_files import find_config
from axialvs.utils.env import peak_resident_bytes

DEFAULT_CONFIG = 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021'
STOCK_CONFIG = '.mim/configs/mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2021.py'
NETWORK_SIZE = (384, 640)
RESIZED = (360, 640)
ORIGINAL = (720, 1280)
CONTENDERS = ('stock', 'ours')


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', default=DEFAULT_CONFIG)
    parser.add_argument('--frames', type=int, default=20)
    parser.add_argument('--rounds', type=int, default=2, help='each is run so many times, in turns')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    parser.add_argument('--only', choices=CONTENDERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if min(args.frames, args.rounds, args.threads) < 1:
        parser.error('--frames, --rounds and --threads are at least 1')
    return args


def samples_of(clip_start: int, num_frames: int, length: int) -> TrackDataSample:
    """Meta information of a clip's frames."""
    sample = TrackDataSample()
    sample.video_data_samples = [
        DetDataSample(
            metainfo=dict(
                batch_input_shape=NETWORK_SIZE,
                img_shape=RESIZED,
                ori_shape=ORIGINAL,
                video_id=1,
                video_length=length,
                clip_start=clip_start,
                clip_is_last=clip_start + num_frames >= length,
                num_padded_frames=0,
            )
        )
        for _ in range(num_frames)
    ]
    return sample


def time_ours(frames: torch.Tensor, config: str) -> float:
    """Seconds for all clips and the finished tracks."""
    model = init_segmenter(find_config(config), device='cpu')
    length = len(frames)
    start = time.perf_counter()
    for first in range(0, length, model.clip_length):
        clip = frames[first : first + model.clip_length]
        outputs = model.predict(clip[None], [samples_of(first, len(clip), length)])
    seconds = time.perf_counter() - start
    assert len(outputs[0].pred_tracks.segmentations[0]) == length
    return seconds


def time_stock(frames: torch.Tensor) -> float:
    """Seconds of mmdet's prediction of the video as one clip."""
    from mmdet.registry import MODELS
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')
    config = Config.fromfile(str(Path(get_installed_path('mmdet')) / STOCK_CONFIG))
    config.model.init_cfg = config.model.backbone.init_cfg = None
    model = MODELS.build(config.model).eval()
    sample = samples_of(0, len(frames), len(frames))
    start = time.perf_counter()
    model.predict(frames[None], [sample])
    return time.perf_counter() - start


@torch.no_grad()
def run_one(args: argparse.Namespace) -> None:
    """Times one contender and prints seconds and peak memory as JSON."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    frames = torch.randn(args.frames, 3, *NETWORK_SIZE)
    before = time.process_time()
    seconds = time_ours(frames, args.config) if args.only == 'ours' else time_stock(frames)
    cpu_seconds = time.process_time() - before
    peak = peak_resident_bytes() / 2**30
    print(json.dumps({'seconds': seconds, 'cpu_seconds': cpu_seconds, 'peak_gib': peak}))


def main() -> None:
    """Runs both in turns and prints a table with their ratio."""
    args = parse_args()
    if args.only:
        run_one(args)
        return
    find_config(args.config)  # a wrong name is said before a process is started
    print(
        f'{args.frames} frames, network {NETWORK_SIZE}, masks {ORIGINAL}, {args.threads} threads',
        flush=True,
    )
    runs: dict[str, list[dict]] = {name: [] for name in CONTENDERS}
    with tqdm(CONTENDERS * args.rounds, unit=' runs', file=sys.stderr) as bar:
        for name in bar:
            bar.set_description(name)
            runs[name].append(run_alone(name, ['--only', name]))
            print_beside_bars(f'{name}: {runs[name][-1]["seconds"] / args.frames:.2f} s a frame')
    best = {name: min(x['seconds'] for x in runs[name]) for name in CONTENDERS}
    print('| | s a frame | CPU s a frame | peak memory, GiB | all runs, s a frame |')
    print('|---|---|---|---|---|')
    for name in CONTENDERS:
        every = ', '.join(f'{x["seconds"] / args.frames:.2f}' for x in runs[name])
        peak = max(x['peak_gib'] for x in runs[name])
        cpu = min(x['cpu_seconds'] for x in runs[name]) / args.frames
        print(f'| {name} | {best[name] / args.frames:.2f} | {cpu:.2f} | {peak:.2f} | {every} |')
    print(f'ratio ours / stock: {best["ours"] / best["stock"]:.2f}')


if __name__ == '__main__':
    sys.exit(run_command(main))
