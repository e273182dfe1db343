"""Hold out a part of a training set for validation.

The validation labels of YouTube-VIS and OVIS are not public. Writes two annotation files next to
FILE.json: FILE_main.json for training and FILE_holdout.json for validation. Videos are not cut, and
every class with two or more videos is in both files if possible. Images are not moved. The split
only depends on the file, the share and the seed.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from axialvs.data_tools.splitting import (
    NO_OBJECT,
    choose_holdout,
    classes_of_videos,
    part_paths,
    write_parts,
)
from axialvs.datasets.annotations.schema import SPLIT_PARTS, load_json
from axialvs.datasets.annotations.youtube_vis import VideoAnnotations, read_annotations
from axialvs.utils.cli import run_command, script_parser
from axialvs.utils.errors import AxialVSError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = script_parser(__doc__)
    parser.add_argument('ann_file', metavar='FILE.json', type=Path, help='official training file')
    parser.add_argument(
        '--share', type=float, default=0.1, help='fraction of held-out videos (default: 0.1)'
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--out-dir', type=Path, metavar='DIR', help='default: that of FILE.json')
    return parser.parse_args()


def main() -> None:
    """Split, write both files and print how classes are distributed."""
    args = parse_args()
    paths = part_paths(args.ann_file, args.out_dir)
    for path in paths.values():
        if path.exists():
            raise FileExistsError(
                f'{path} already exists; remove it or choose a different --out-dir'
            )
    annotations = read_annotations(args.ann_file)
    if annotations.instances is None:
        raise AxialVSError(
            f"{args.ann_file}: field 'annotations': is missing or null, so there is "
            'nothing to hold out. Give the training file.'
        )
    classes = classes_of_videos(annotations)
    holdout = choose_holdout(classes, args.share, args.seed)
    videos = {'main': classes.keys() - set(holdout), 'holdout': holdout}
    write_parts(load_json(args.ann_file), videos, paths)
    counts = {part: Counter(c for v in videos[part] for c in classes[v]) for part in SPLIT_PARTS}
    print(table(annotations, counts))
    for part, path in paths.items():
        print(f'{len(videos[part])} videos: {path}')


def table(annotations: VideoAnnotations, counts: Mapping[str, Mapping[int, int]]) -> str:
    """Return a row per class: its videos in both parts, and why a part has none."""
    rows = [(category.name, category.id) for category in annotations.categories]
    if any(NO_OBJECT in of_part for of_part in counts.values()):
        rows.append(('(no object)', NO_OBJECT))
    width = max(len(name) for name, _ in rows)
    lines = [f'{"videos with":{width}} {"main":>6} {"holdout":>8}']
    for name, identifier in rows:
        main, held = (counts[part][identifier] for part in SPLIT_PARTS)
        remark = '' if held or identifier == NO_OBJECT else f'  {_why(main)}'
        lines.append(f'{name:{width}} {main:6d} {held:8d}{remark}')
    return '\n'.join(lines)


def _why(main: int) -> str:
    """Return why the hold-out part has no video of a class."""
    if main == 0:
        return 'in no video'
    if main == 1:
        return 'only in one video, which stays in the main part'
    return 'its videos are needed in the main part for other classes'


if __name__ == '__main__':
    sys.exit(run_command(main))
