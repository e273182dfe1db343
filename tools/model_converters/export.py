"""Export the network of one clip to a .pt2 or .onnx file of a fixed size, and check its output."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from axialvs.utils.cli import number_from, run_command
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import check_writable, output_file

if TYPE_CHECKING:
    from torch import Tensor

OUTPUTS = ('class_logits', 'mask_logits', 'queries')
TOLERANCE = 1e-3  # relative to the largest value of an output


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config file or name')
    add('checkpoint', help='weights: a file or a known name')
    add('--out', type=output_file, required=True, help='file to write, .pt2 or .onnx')
    add(
        '--size',
        type=number_from(1),
        nargs=2,
        required=True,
        metavar=('HEIGHT', 'WIDTH'),
        help="of the network's input, that is of resized and padded frames",
    )
    add(
        '--length',
        type=number_from(1),
        metavar='T',
        help="frames of a clip (default: the config's)",
    )
    args = parser.parse_args()
    if args.out.suffix not in ('.pt2', '.onnx'):
        parser.error(f'--out {args.out}: must end in .pt2 or .onnx')
    return args


def main() -> None:
    """Export, run the file on random frames and compare with the model."""
    args = parse_args()
    check_writable(args.out)
    if args.out.suffix == '.onnx':
        _check_onnx()
    import torch
    from torch import nn

    from axialvs.apis import init_segmenter

    class Clip(nn.Module):
        """Run `predict_clip` with plain tensors as outputs."""

        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, frames: 'Tensor') -> tuple['Tensor', ...]:
            prediction = self.model.predict_clip(frames)
            return tuple(getattr(prediction, name) for name in OUTPUTS)

    model = init_segmenter(args.config, args.checkpoint, 'cpu')
    clip = Clip(model).eval()
    length = args.length or model.clip_length
    frames = torch.randn(length, 3, *args.size, generator=torch.Generator().manual_seed(0))
    start = time.monotonic()
    with torch.no_grad():
        expected = clip(frames)
        program = torch.export.export(clip, (frames,))
        if args.out.suffix == '.pt2':
            torch.export.save(program, args.out)
            found = torch.export.load(args.out).module()(frames)
        else:
            torch.onnx.export(
                program,
                (frames,),
                args.out,
                dynamo=True,
                optimize=False,
                input_names=['frames'],
                output_names=list(OUTPUTS),
                external_data=False,
                verbose=False,
            )
            found = _run_onnx(args.out, frames)
    print(f'exported in {time.monotonic() - start:.0f} s: frames {tuple(frames.shape)}')
    for name, ours, theirs in zip(OUTPUTS, found, expected, strict=True):
        error = float((ours - theirs).abs().max() / theirs.abs().max())
        print(f'{name:13}{tuple(theirs.shape)!s:22}relative error {error:.1e}')
        if not error < TOLERANCE:
            raise AxialVSError(f'{args.out}: {name} has a relative error of {error:.1e}')
    print(f'wrote {args.out} ({args.out.stat().st_size / 2**20:.1f} MiB)')


def _check_onnx() -> None:
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise AxialVSError(
            f'{error.name} is not installed; run: pip install onnx onnxscript onnxruntime'
        ) from error


def _run_onnx(path: Path, frames: 'Tensor') -> list['Tensor']:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])
    return [torch.from_numpy(x) for x in session.run(list(OUTPUTS), {'frames': frames.numpy()})]


if __name__ == '__main__':
    sys.exit(run_command(main))
