"""Plot losses and metrics of training runs, and print a summary of each run.

Each plot shows all runs. A resumed run is one curve. Names can be abbreviated:
loss, loss_cls, d0.loss_mask, grad_norm, lr, time, memory, AP, AR10.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from axialvs.engine.run_log import Curve, RunLog, read_run
from axialvs.utils.cli import number_from, run_command, script_parser
from axialvs.utils.errors import AxialVSError
from axialvs.utils.files import output_file

_ENDINGS = ('.png', '.pdf', '.svg')
_DEFAULT_KEYS = ('loss', 'grad_norm', 'lr', 'AP')
_COLUMNS = 2
_SIZE = (5.5, 3.4)  # of one plot, inches
_DPI = 120


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = script_parser(__doc__)
    parser.add_argument(
        'runs', metavar='WORK_DIR', nargs='+', type=Path, help='work dirs, or scalars.json files'
    )
    parser.add_argument(
        '--keys',
        nargs='+',
        help=f'what to plot (default: those of {", ".join(_DEFAULT_KEYS)} that a run has)',
    )
    parser.add_argument('--names', nargs='+', help='names of the runs (default: their folders)')
    parser.add_argument(
        '--smooth',
        type=number_from(1),
        default=1,
        metavar='N',
        help='running mean over N points (default: 1)',
    )
    parser.add_argument('--out', type=output_file, metavar='PNG', help='PNG, PDF or SVG')
    args = parser.parse_args()
    if args.out is not None and args.out.suffix.lower() not in _ENDINGS:
        parser.error(f'--out {args.out}: supported are {", ".join(_ENDINGS)}')
    return args


def main() -> None:
    """Print the summary and plot the curves."""
    args = parse_args()
    runs = [read_run(path) for path in args.runs]
    names = args.names or [path.resolve().name for path in args.runs]
    if len(names) != len(runs):
        raise AxialVSError(f'--names: {len(names)} names for {len(runs)} runs')
    for name, run in zip(names, runs, strict=True):
        print('\n'.join([name, *(f'  {line}' for line in summary(run))]))
    if args.out:
        draw(args.out, runs, names, chosen_keys(runs, args.keys), args.smooth)
        print(f'wrote {args.out}')


def chosen_keys(runs: Sequence[RunLog], keys: Sequence[str] | None) -> list[str]:
    """Select the keys to plot.

    Raises:
        AxialVSError: if no run has a requested key.
    """
    if keys is None:
        keys = [key for key in _DEFAULT_KEYS if any(run.find(key) for run in runs)]
    for key in keys:
        if not any(run.find(key) for run in runs):
            known = sorted({name for run in runs for name in run.curves})
            raise AxialVSError(f'--keys {key}: no run has it; available: {", ".join(known)}')
    return list(keys)


def summary(run: RunLog) -> list[str]:
    """Summarize iterations, time, memory and best scores of a run."""
    training = [curve.steps[-1] for name, curve in run.curves.items() if name.startswith('train/')]
    last = max(training, default=0)
    resumed = f', resumed {run.parts - 1} times' if run.parts > 1 else ''
    lines = [f'{last} iterations{resumed}']
    if 'train/time' in run.curves:
        lines.append(_times(run.curves['train/time'], run.curves.get('train/data_time')))
    if 'train/memory' in run.curves:
        lines.append(f'memory: up to {run.curves["train/memory"].values.max():.0f} MB')
    for name, curve in run.curves.items():
        if name.startswith('train/') and not np.isfinite(curve.values).all():
            first = curve.steps[~np.isfinite(curve.values)][0]
            lines.append(f'{name} is not finite from iteration {first} on')
        if name.startswith('val/') and name.endswith('/AP') and not np.isnan(curve.values).all():
            best = int(np.nanargmax(curve.values))
            lines.append(
                f'{name}: best {curve.values[best]:.4f} at iteration {curve.steps[best]}, '
                f'last {curve.values[-1]:.4f} at {curve.steps[-1]}'
            )
    return lines


def _times(time: Curve, data_time: Curve | None) -> str:
    """Summarize total and mean times; each value is a mean since the previous one."""
    iterations = np.diff(time.steps, prepend=0)
    total = float((iterations * time.values).sum())
    text = (
        f'time: {total / 3600:.2f} h in training steps, {total / iterations.sum():.3f} s each '
        f'({time.values.min():.3f} to {time.values.max():.3f})'
    )
    if data_time is not None:
        share = (np.diff(data_time.steps, prepend=0) * data_time.values).sum() / total
        text += f'; {share:.0%} waiting for data'
    return text


def draw(
    out: Path, runs: Sequence[RunLog], names: Sequence[str], keys: Sequence[str], smooth: int
) -> None:
    """Plot one diagram per key, with the same color for a run in all of them."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    columns = min(_COLUMNS, len(keys))
    rows = -(-len(keys) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(_SIZE[0] * columns, _SIZE[1] * rows), squeeze=False
    )
    for key, axis in zip(keys, axes.flat, strict=False):
        for number, (run, name) in enumerate(zip(runs, names, strict=True)):
            found = run.find(key)
            if found is not None:
                axis.set_title(found, fontsize=10)
                _draw_curve(axis, run.curves[found], f'C{number}', name, smooth)
        axis.set_xlabel('iteration')
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    for axis in axes.flat[len(keys) :]:
        axis.remove()
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=_DPI)
    plt.close(figure)


def _draw_curve(axis: Any, curve: Curve, color: str, name: str, smooth: int) -> None:
    marker = 'o' if len(curve.steps) < 30 else None
    if smooth == 1:
        axis.plot(curve.steps, curve.values, color=color, label=name, marker=marker, markersize=3)
        return
    axis.plot(curve.steps, curve.values, color=color, alpha=0.25)
    means = running_mean(curve.values, smooth)
    axis.plot(curve.steps, means, color=color, label=name, marker=marker, markersize=3)


def running_mean(values: np.ndarray, number: int) -> np.ndarray:
    """Compute the running mean of each value and up to `number` - 1 preceding ones."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - number, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


if __name__ == '__main__':
    sys.exit(run_command(main))
