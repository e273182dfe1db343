"""Kill a training repeatedly, resume it, and compare the result with an uninterrupted run.

python tests/engine/kill_and_resume.py --kills 10

A small segmenter trains on generated videos by tools/train.py, with flips, colors, loader workers,
validation and the best weights kept. SIGKILL is sent at random moments: in an iteration, in a
validation, while a checkpoint is being written, and between its renaming and `last_checkpoint`.
Each time the same command with --resume continues. No seed is given: the run draws one. In the end
an undisturbed run with that seed must have the same weights, optimizer, schedule, losses, best
weights and files, bit by bit, and no process may be left running.
"""

import argparse
import contextlib
import os
import random
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine import Config
from mmengine.logging import HistoryBuffer

TESTS = Path(__file__).resolve().parents[1]
TRAIN = TESTS.parent / 'tools' / 'train.py'
sys.path.insert(0, str(TESTS))

import axialvs.register  # noqa: E402, F401 - before mmdet's models
from axialvs.checkpoints.loading import load_checkpoint_safely  # noqa: E402
from forked import fork  # noqa: E402
from generated_videos import point_at, write_videos  # noqa: E402
from tiny_segmenter import tiny_config  # noqa: E402

SAVE_INTERVAL = 2
VALIDATION_INTERVAL = 6
SLOW_DISK = 0.05  # additional seconds per fsync, so that saves can be interrupted
PATIENCE = 300  # timeout in seconds for any event
WORKERS_END = 30  # seconds for workers to notice that their parent has exited
_ITERATION = re.compile(r'Iter\(train\)\s*\[\s*(\d+)/')
_CLIP_OF_VALIDATION = re.compile(r'Iter\(val\)\s*\[\s*(\d+)/\d+\]\s+eta')
_RESUMED = re.compile(r'resumed epoch: \d+, iter: (\d+)')


def write_config(folder: Path, iterations: int, workers: int, keep: int) -> Path:
    """Write a tiny config with everything that has state: shuffling, schedule, best weights."""
    split = write_videos(folder / 'videos', [4, 5, 3])
    config = tiny_config()
    point_at(config, train=split, test=split)
    config.train_dataloader.update(
        batch_size=2, num_workers=workers, persistent_workers=workers > 0
    )
    config.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=iterations, val_interval=VALIDATION_INTERVAL
    )
    config.default_hooks.logger.interval = 1
    config.default_hooks.checkpoint.update(
        interval=SAVE_INTERVAL, max_keep_ckpts=keep, save_best='youtube_vis/AP', rule='greater'
    )
    # Dropout changes weights between iterations by random draws, as sampled points do.
    config.model.panoptic_head.pixel_decoder.temporal_layer.dropout = 0.1
    config.optim_wrapper.optimizer.lr = 1e-3
    config.param_scheduler = [dict(type='LinearLR', by_epoch=False, end=iterations)]
    config.randomness = dict(seed=None)
    path = folder / 'config.py'
    config.dump(path)
    return path


class Training:
    """A run of tools/train.py in a separate process and session; its output goes to a file."""

    def __init__(self, config: Path, work_dir: Path, *options: str) -> None:
        self.work_dir = work_dir
        self.log = config.parent / f'{work_dir.name}_{time.time_ns()}.log'
        arguments = [
            str(TRAIN),
            str(config),
            '--work-dir',
            str(work_dir),
            '--verbose',
            *options,
        ]
        with open(self.log, 'wb') as file:
            self.pid = fork(partial(_become, arguments), file)

    def has_ended(self) -> bool:
        """Return whether the process has exited by itself; raise an error if it failed."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid and status:
            raise SystemExit(f'training failed with status {status}:\n{self.said()[-3000:]}')
        return bool(pid)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Suspend the process, so that its observed state does not change."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # it was killed
                os.kill(self.pid, signal.SIGCONT)

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ''

    def iteration(self) -> int:
        found = _ITERATION.findall(self.said())
        return int(found[-1]) if found else 0

    def validated_clips(self) -> int:
        """Return the number of clips finished by the current validation, 0 outside of one."""
        lines = [line for line in self.said().splitlines() if 'Iter(' in line]
        found = _CLIP_OF_VALIDATION.search(lines[-1]) if lines else None
        return int(found.group(1)) if found else 0

    def iteration_after_start(self) -> int:
        """Return the logged iteration that the process resumes from, 0 for a new run."""
        self.wait_for(lambda: 'Checkpoints will be saved to' in self.said())
        found = _RESUMED.search(self.said())
        return int(found.group(1)) if found else 0

    def wait_for(self, event: Callable[[], bool]) -> bool:
        """Wait for an event; return False if the run ended first."""
        until = time.monotonic() + PATIENCE
        while not event():
            if self.has_ended():
                return False
            if time.monotonic() > until:
                raise SystemExit(f'nothing happened for {PATIENCE} s:\n{self.said()[-3000:]}')
            time.sleep(0.001)
        return True


def _become(arguments: list[str]) -> None:
    """Run the command in the forked process."""
    os.setsid()
    fsync = os.fsync

    def slow_fsync(descriptor: int) -> None:
        time.sleep(SLOW_DISK)
        fsync(descriptor)

    os.fsync = slow_fsync
    sys.argv = arguments
    runpy.run_path(arguments[0], run_name='__main__')


def kill_in_iteration(run: Training, rng: random.Random, last: int) -> str | None:
    """Kill at any point of a later iteration, or of the save or validation after it."""
    started = run.iteration_after_start()
    if not run.wait_for(lambda: run.iteration() > started):
        return None
    begun = time.monotonic()
    target = min(started + 1 + rng.randint(1, 3), last - 1)
    if not run.wait_for(lambda: run.iteration() >= target):
        return None
    time.sleep(rng.uniform(0, 1) * (time.monotonic() - begun))
    if run.has_ended():
        return None
    run.kill()
    return f'in iteration {run.iteration() + 1} or behind it'


def kill_in_save(moment: str) -> Callable[[Training, random.Random, int], str | None]:
    """Kill while a temporary file is written, or between its renaming and `last_checkpoint`."""

    def partials(run: Training) -> list[str]:
        return [path.name for path in run.work_dir.glob('*.pth.*.partial')]

    def unnamed(run: Training) -> list[str]:
        pointer = run.work_dir / 'last_checkpoint'
        named = _step(pointer.read_text()) if pointer.exists() else 0
        return [path.name for path in run.work_dir.glob('iter_*.pth') if _step(path.name) > named]

    look = partials if moment == 'writing' else unnamed

    def kill(run: Training, rng: random.Random, last: int) -> str | None:
        leave = rng.randint(0, 1)  # saves to skip
        while True:
            if not run.wait_for(lambda: run.iteration() > 0 and bool(look(run))):
                return None
            with run.held():
                time.sleep(0.01)  # until it is stopped
                found = look(run)
                if found and not leave:
                    run.kill()
                    return f'{moment} {found[0].partition(".pth")[0]}.pth'
            leave = max(0, leave - bool(found))
            if not run.wait_for(lambda: not look(run)):
                return None

    return kill


def kill_in_validation(run: Training, rng: random.Random, last: int) -> str | None:
    """Kill between two clips of a validation, including one that a resumed run repeats."""
    clip = rng.randint(1, 4)
    if not run.wait_for(lambda: run.validated_clips() >= clip):
        return None
    with run.held():
        time.sleep(0.01)  # until it is stopped
        seen = run.validated_clips()
        if seen:
            run.kill()
    return f'in a validation behind clip {seen}' if seen else kill_in_validation(run, rng, last)


MOMENTS = [
    kill_in_iteration,
    kill_in_save('writing'),
    kill_in_validation,
    kill_in_save('renamed'),
]


def kill_and_resume(config: Path, work_dir: Path, kills: int, rng: random.Random) -> list[Training]:
    """Train to the end with a number of kills; print the time and effect of each."""
    iterations = Config.fromfile(config).train_cfg.max_iters
    runs: list[Training] = []
    number = 0
    while True:
        run = Training(config, work_dir, '--resume')
        runs.append(run)
        if number < kills:
            moment = MOMENTS[number % len(MOMENTS)](run, rng, iterations)
        else:
            run.wait_for(lambda: False)
            moment = None
        found = _RESUMED.search(run.said())
        origin = f'from iteration {found.group(1)}' if found else 'from the beginning'
        if moment is None:
            print(f'went on {origin} and came to the end')
            if number < kills:
                raise SystemExit(f'the run ended after {number} kills: give more --iterations')
            return runs
        number += 1
        print(f'kill {number}: went on {origin}, died {moment}', flush=True)


def differences(ours: object, theirs: object, name: str = '') -> list[str]:
    """Return the names of entries that differ bitwise between two checkpoints."""
    if isinstance(ours, torch.Tensor):
        same = ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    elif isinstance(ours, np.ndarray):
        same = np.array_equal(ours, theirs)
    elif isinstance(ours, dict):
        if ours.keys() != theirs.keys():
            return [f'{name}: keys']
        return [d for key in ours for d in differences(ours[key], theirs[key], f'{name}/{key}')]
    elif isinstance(ours, list | tuple):
        if len(ours) != len(theirs):
            return [f'{name}: length']
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [d for i, pair in pairs for d in differences(*pair, f'{name}/{i}')]
    elif isinstance(ours, HistoryBuffer):
        return differences(list(ours.data), list(theirs.data), name)
    else:
        same = ours == theirs
    return [] if same else [name]


def state_of(work_dir: Path, iterations: int) -> dict:
    """Return the final state that must be equal for equivalent runs."""
    last = load_checkpoint_safely(work_dir / f'iter_{iterations}.pth')
    scalars = last['message_hub']['log_scalars']
    state = {key: last[key] for key in ('state_dict', 'optimizer', 'param_schedulers')}
    state['seed'] = last['meta']['seed']
    state['curves'] = {key: scalars[key] for key in scalars if re.search('loss|lr|grad', key)}
    state['files'] = sorted(path.name for path in work_dir.glob('*.pth*'))
    state['best'] = {
        path.name: load_checkpoint_safely(path)['state_dict'] for path in work_dir.glob('best*.pth')
    }
    return state


def survivors(runs: list[Training]) -> list[int]:
    """Return the processes of these runs' sessions that are still alive."""
    sessions = {run.pid for run in runs}
    left = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(')')[-1].split()
            if int(fields[3]) in sessions and fields[0] != 'Z':
                left.append(int(path.parent.name))
    return left


def _step(name: str) -> int:
    return int(re.search(r'iter_(\d+)\.pth', name).group(1))


def main() -> int:
    """Run both trainings and compare them; 0 if they are equal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--iterations', type=int, help='of the run; 6 a kill by default')
    parser.add_argument('--workers', type=int, default=2, help='of the data loader')
    parser.add_argument('--keep', type=int, default=1, help='checkpoints that stay')
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    parser.add_argument('--folder', type=Path, help='keeps everything, for a look at it')
    parser.add_argument('--fresh', action='store_true', help='undisturbed run: new interpreter')
    args = parser.parse_args()
    iterations = args.iterations or 6 * args.kills
    with contextlib.ExitStack() as stack:
        folder = args.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        config = write_config(folder, iterations, args.workers, args.keep)
        runs = kill_and_resume(config, folder / 'killed', args.kills, random.Random(args.seed))
        killed = state_of(folder / 'killed', iterations)
        options = ['--seed', str(killed['seed'])]
        if args.fresh:
            command = [sys.executable, TRAIN, config, '--work-dir', folder / 'whole', *options]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        else:
            Training(config, folder / 'whole', *options).wait_for(lambda: False)
        different = differences(killed, state_of(folder / 'whole', iterations))
        until = time.monotonic() + WORKERS_END
        while survivors(runs) and time.monotonic() < until:
            time.sleep(0.1)
        left = survivors(runs)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    tensors = len(killed['state_dict']), len(killed['optimizer']['state'])
    print(
        f'compared {tensors[0]} weights and buffers, {tensors[1]} optimizer states, '
        f'{len(killed["curves"])} curves, files {", ".join(killed["files"])}'
    )
    print(f'different: {", ".join(different) or "nothing"}; processes left: {left or "none"}')
    return 1 if different or left else 0


if __name__ == '__main__':
    sys.exit(main())
