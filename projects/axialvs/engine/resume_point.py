"""Finds the checkpoint that an interrupted run goes on from."""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from mmengine.logging import print_log

from axialvs.checkpoints.loading import DamagedCheckpointError, load_checkpoint_safely
from axialvs.engine.checkpoint_hook import LAST_CHECKPOINT

# What the checkpoint hook writes regularly; the best weights lack the optimiser's state.
_REGULAR = re.compile(r'(?:iter|epoch)_(\d+)\.pth')


def find_resume_checkpoint(work_dir: str | Path) -> Path | None:
    """The checkpoint that a run in this folder would go on from.

    That is what `last_checkpoint` names; a folder may have been moved since, so it is looked for
    beside it too. If it is cut off or damaged, the newest whole one before it is taken, and that
    is logged; so is the newest whole one where there is no `last_checkpoint`, because a process
    was killed before its first one.

    Returns:
        None where nothing was saved yet.

    Raises:
        FileNotFoundError: What `last_checkpoint` names is gone.
        DamagedCheckpointError: There are checkpoints, and none is whole.
    """
    pointer = Path(work_dir) / LAST_CHECKPOINT
    saved = sorted(_steps_of(pointer.parent), reverse=True)
    if not pointer.is_file():
        return _newest_whole([path for _, path in saved], f'{pointer} is missing')
    named = Path(pointer.read_text().strip())
    path = next((p for p in (named, pointer.parent / named.name) if p.exists()), None)
    if path is None:
        others = [str(path) for path in sorted(pointer.parent.glob('*.pth'))]
        raise FileNotFoundError(
            f'{pointer} names {named}, which does not exist; give the checkpoint to go on from '
            f'with --resume PATH, in this folder there is {", ".join(others) or "none"}'
        )
    fault = _fault_of(path)
    if fault is None:
        return path
    step = _REGULAR.fullmatch(path.name)
    before = [other for number, other in saved if step and number < int(step.group(1))]
    earlier = _newest_whole(before, str(fault))
    if earlier is None:
        raise DamagedCheckpointError(f'{fault}. {pointer.parent} has no whole one before it')
    return earlier


def _steps_of(folder: Path) -> Iterable[tuple[int, Path]]:
    for path in folder.glob('*.pth'):
        found = _REGULAR.fullmatch(path.name)
        if found:
            yield int(found.group(1)), path


def _newest_whole(paths: list[Path], reason: str) -> Path | None:
    """The first whole one of these, and a line in the log; None where there is no file."""
    faults = []
    for path in paths:
        fault = _fault_of(path)
        if fault is None:
            text = '; '.join(
                [reason, *faults, f'going on from {path}, the newest whole checkpoint']
            )
            print_log(text, logger='current', level=logging.WARNING)
            return path
        faults.append(str(fault))
    if faults:
        raise DamagedCheckpointError('; '.join([reason, *faults]))
    return None


def _fault_of(path: Path) -> DamagedCheckpointError | None:
    """What is wrong with a file; a folder, which holds the shards of several processes, passes."""
    if path.is_dir():
        return None
    try:
        load_checkpoint_safely(path, lazily=True)
    except DamagedCheckpointError as error:
        return error
    return None
