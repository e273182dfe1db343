"""Draw where axial-trajectory attention looks for a point, in each frame of a clip."""

import argparse
import sys
from itertools import islice
from pathlib import Path

from axialvs.utils.cli import number_from, run_command
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import check_writable, output_file

VIDEO_RATE = 2  # frames per second of a clip


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('video', help='video file or folder of images')
    add(
        '--frame',
        type=number_from(0),
        default=0,
        help='frame of the point and start of the clip, from 0',
    )
    add(
        '--point',
        type=number_from(0, kind=float),
        nargs=2,
        required=True,
        metavar=('X', 'Y'),
        help='position in pixels',
    )
    add('--out', type=output_file, required=True, help='image, or video if it ends in .mp4')
    add('--checkpoint', default='axialvs-wc_tiny_movingshapes', help='weights: file or known name')
    add('--config', help="config of the model (default: the known checkpoint's)")
    add(
        '--length',
        type=number_from(1),
        metavar='T',
        help="frames of the clip (default: the config's)",
    )
    add(
        '--step',
        type=number_from(1),
        default=1,
        help='use every STEP-th frame of the video (default: 1)',
    )
    add('--layer', type=int, help='number in the printed list of layers (default: the last)')
    add('--head', type=int, help='only this attention head (default: the mean of all)')
    add(
        '--height',
        type=number_from(1, 2**15),
        default=240,
        help='height of a frame in the output, pixels',
    )
    add('--device', help='cpu, cuda, ... (default: a GPU if there is one, else cpu)')
    return parser.parse_args()


def main() -> None:
    """Draw the trajectory and list all layers."""
    args = parse_args()
    check_writable(args.out)
    from axialvs.apis import init_segmenter
    from axialvs.inference.pipeline import open_video
    from axialvs.inference.trajectories import ClipAttention
    from axialvs.inference.video_writer import VideoWriter
    from axialvs.visualization.trajectory_sheet import Point, heat_frames, trajectory_sheet

    model = init_segmenter(args.config, args.checkpoint, args.device)
    end = args.frame + args.step * (args.length or model.clip_length)
    frames = list(islice(open_video(args.video), args.frame, end, args.step))
    if not frames:
        raise AxialVSError(f'{args.video}: has no frame {args.frame}')
    images = [frame.image for frame in frames]
    trajectories = ClipAttention(model, images).trajectories(0, tuple(args.point))
    if args.layer is not None and not 0 <= args.layer < len(trajectories):
        raise AxialVSError(f'--layer {args.layer}: must be from 0 to {len(trajectories) - 1}')
    shown = len(trajectories) - 1 if args.layer is None else args.layer
    for number, x in enumerate(trajectories):
        rows, columns = x.heat().shape[1:]
        mark = '*' if number == shown else ' '
        print(f'{mark}{number:3}  {x.layer}, {columns}x{rows} tokens, {len(x.height)} heads')
    trajectory, heads = trajectories[shown], 'mean of heads'
    if args.head is not None:
        if not 0 <= args.head < len(trajectory.height):
            raise AxialVSError(
                f'--head {args.head}: must be from 0 to {len(trajectory.height) - 1}'
            )
        trajectory, heads = trajectory.head(args.head), f'head {args.head}'
    point = Point(0, *args.point)
    heat = trajectory.heat().cpu().numpy()
    if args.out.suffix.lower() == '.mp4':
        with VideoWriter(args.out, VIDEO_RATE) as writer:
            for image in heat_frames(images, heat, point):
                writer.write(image)
    else:
        from PIL import Image

        height, width = (x.mean(0).cpu().numpy() for x in trajectory[1:])
        sheet = trajectory_sheet(
            images,
            height,
            width,
            heat,
            point,
            f'{Path(args.video).name}, layer {shown}, {heads}',
            [f'frame {frame.index}' for frame in frames],
            args.height,
        )
        Image.fromarray(sheet).save(args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    sys.exit(run_command(main))
