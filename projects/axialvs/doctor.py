"""Says what is installed, what of it will be used, and how to mend what is missing.

Run as `python -m axialvs.doctor`; the exit code is 0 where axialvs can be used. It imports nothing
at its top that could be broken.
"""

import importlib
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

OLDEST_PYTHON = (3, 11)
HEADLESS_OPENCV = 'pip install --force-reinstall --no-deps "opencv-python-headless<4.13"'

# Distribution, the module that it installs.
LIBRARIES = (
    ('torch', 'torch'),
    ('numpy', 'numpy'),
    ('opencv-python-headless', 'cv2'),
    ('onedl-mmengine', 'mmengine'),
    ('onedl-mmcv', 'mmcv'),
    ('onedl-mmdetection', 'mmdet'),
    ('scipy', 'scipy'),
    ('pycocotools', 'pycocotools'),
    ('ftfy', 'ftfy'),
    ('av', 'av'),
    ('tqdm', 'tqdm'),
)
# Distributions that install the same modules as the maintained forks.
RIVALS = ('mmengine', 'mmengine-lite', 'mmcv', 'mmcv-full', 'mmcv-lite', 'mmdet')

_GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Args:
        subject: What was looked at.
        value: What was found.
        mend: The command or step that mends it; None where nothing is wrong.
        is_fatal: Whether axialvs cannot be used until it is mended.
    """

    subject: str
    value: str
    mend: str | None = None
    is_fatal: bool = False


def examine() -> list[Finding]:
    """Everything that the doctor looks at, in the order of the report."""
    findings = [examine_python()]
    findings += [examine_library(*library) for library in LIBRARIES]
    findings += list(examine_rivals())
    if any(finding.is_fatal for finding in findings):
        return findings  # what follows imports these libraries
    findings += [
        _guarded('OpenCV build', examine_opencv),
        _guarded('video encoding', examine_video_encoding),
        _guarded('mmcv operators', examine_operators),
        _guarded('axialvs', examine_package),
    ]
    findings += list(examine_gpus())
    if not any(finding.is_fatal for finding in findings):
        findings += list(examine_backends())
    return findings


def examine_python() -> Finding:
    """The interpreter."""
    version = f'{platform.python_version()} on {platform.platform()}'
    if sys.version_info < OLDEST_PYTHON:
        wanted = '.'.join(map(str, OLDEST_PYTHON))
        return Finding('Python', version, f'use Python {wanted} or newer', is_fatal=True)
    return Finding('Python', version)


def examine_library(distribution: str, module: str) -> Finding:
    """Whether a library can be imported, and its version."""
    install = HEADLESS_OPENCV if module == 'cv2' else f'pip install {distribution}'
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            return Finding(distribution, 'not installed', install, is_fatal=True)
        return Finding(
            distribution, f'lacks {error.name}', f'pip install {error.name}', is_fatal=True
        )
    except Exception as error:
        reason = ' '.join(str(error).split())
        return Finding(distribution, f'cannot be imported: {reason}', install, is_fatal=True)
    version = getattr(imported, '__version__', None) or _installed_version(distribution)
    return Finding(distribution, version or 'unknown version')


def examine_rivals() -> Iterator[Finding]:
    """The original libraries beside their forks: whichever was installed last is imported."""
    found = [name for name in RIVALS if _installed_version(name)]
    if found:
        forks = 'onedl-mmengine onedl-mmcv onedl-mmdetection'
        yield Finding(
            'original OpenMMLab packages',
            f'{", ".join(found)} share their folders with the forks that axialvs uses',
            f'pip uninstall {" ".join(found)}, then '
            f'pip install --force-reinstall --no-deps {forks}',
            is_fatal=True,
        )


def examine_opencv() -> Finding:
    """Which of the two builds of OpenCV owns `cv2`."""
    import cv2

    gui = next(
        (line.split()[-1] for line in cv2.getBuildInformation().splitlines() if 'GUI:' in line),
        'unknown',
    )
    if gui == 'NONE':
        return Finding('OpenCV build', 'headless, needs no display library')
    return Finding(
        'OpenCV build', f'with windows ({gui}); fails on machines without libGL', HEADLESS_OPENCV
    )


def examine_video_encoding() -> Finding:
    """Whether overlays can be written as H.264, which browsers play."""
    import av

    if 'libx264' in av.codecs_available:
        return Finding('video encoding', 'H.264 (libx264)')
    return Finding(
        'video encoding', 'PyAV lacks libx264', 'pip install --force-reinstall av', is_fatal=False
    )


def examine_operators() -> Finding:
    """Whether mmcv has its compiled operators; without a GPU they are not needed."""
    import torch

    from axialvs.utils import mmcv_ops

    reason = mmcv_ops.missing_reason()
    if reason is None:
        return Finding('mmcv operators', 'compiled')
    needed = torch.cuda.is_available()
    return Finding(
        'mmcv operators',
        f'none: {reason}' + ('' if needed else '; nothing needs them on a CPU'),
        mmcv_ops.INSTALL_COMMAND if needed else None,
    )


def examine_package() -> Finding:
    """Whether the package's own parts can be imported and are registered."""
    import axialvs

    for part in ('register', 'apis'):
        importlib.import_module(f'axialvs.{part}')
    return Finding('axialvs', f'{axialvs.__version__} in {axialvs.__path__[0]}')


def examine_gpus() -> Iterator[Finding]:
    """The GPUs that torch sees."""
    import torch

    for index in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(index)
        yield Finding(f'GPU {index}', f'{gpu.name}, {gpu.total_memory / _GIB:.0f} GiB')
    if torch.cuda.is_available():
        return
    if torch.version.cuda is None and shutil.which('nvidia-smi'):
        yield Finding(
            'GPU',
            'there is a driver, but this torch is a CPU build',
            'install a CUDA build of torch: pip install --force-reinstall torch',
        )
    else:
        yield Finding(
            'GPU', f'none that torch {torch.__version__} sees; everything runs on the CPU'
        )


def examine_backends() -> Iterator[Finding]:
    """Which deformable attention runs for each device and number format, and why."""
    import torch

    from axialvs.functional.ms_deform_attn import select_implementation

    cases = [('cpu', torch.float32)]
    if torch.cuda.is_available():
        cases += [('cuda', kind) for kind in (torch.float32, torch.float16, torch.bfloat16)]
    for device, dtype in cases:
        backend, reason = select_implementation(device, dtype)
        name = {'mmcv': "mmcv's compiled operator", 'torch': 'the path in PyTorch'}.get(backend)
        kind = str(dtype).removeprefix('torch.')
        yield Finding(f'deformable attention, {device} {kind}', f'{name or backend} ({reason})')


def report(findings: list[Finding]) -> str:
    """The findings as text, what has to be mended last."""
    width = max(len(finding.subject) for finding in findings)
    lines = [f'{finding.subject:<{width}}  {finding.value}' for finding in findings]
    wrong = [finding for finding in findings if finding.mend]
    if wrong:
        lines += ['', 'To mend:']
        lines += [f'  {finding.subject}: {finding.mend}' for finding in wrong]
    usable = not any(finding.is_fatal for finding in findings)
    lines += ['', 'axialvs can be used.' if usable else 'axialvs cannot be used yet.']
    return '\n'.join(lines)


def main() -> int:
    """Prints the report; 0 where axialvs can be used."""
    findings = examine()
    print(report(findings))
    return int(any(finding.is_fatal for finding in findings))


def _guarded(subject: str, examination: Callable[[], Finding]) -> Finding:
    """An examination whose own failure is a finding."""
    try:
        return examination()
    except Exception as error:
        reason = f'{type(error).__name__}: {" ".join(str(error).split())}'
        return Finding(
            subject, reason, 'install what requirements/runtime.txt lists', is_fatal=True
        )


def _installed_version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


if __name__ == '__main__':
    sys.exit(main())
