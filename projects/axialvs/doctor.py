"""Environment report: what is installed, what will be used, and how to fix what is missing.

Run as `python -m axialvs.doctor`; the exit code is 0 if axialvs can be used. Imports that may fail
are inside the checks.
"""

import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

HEADLESS_OPENCV = 'pip install --force-reinstall --no-deps "opencv-python-headless<4.13"'

# Module of each distribution.
LIBRARIES = {
    **{name: name for name in ('torch', 'numpy', 'scipy', 'pycocotools', 'rlemasklib')},
    **{name: name for name in ('ftfy', 'av', 'tqdm')},
    'opencv-python-headless': 'cv2',
    'onedl-mmengine': 'mmengine',
    'onedl-mmcv': 'mmcv',
    'onedl-mmdetection': 'mmdet',
}
# They install the same modules as the maintained forks; the one installed last is imported.
ORIGINALS = ('mmengine', 'mmengine-lite', 'mmcv', 'mmcv-full', 'mmcv-lite', 'mmdet')
_ENVIRONMENT = ('sys.platform', 'Python', 'CUDA_HOME', 'NVCC', 'GCC')


class Finding(NamedTuple):
    """One line of the report."""

    subject: str
    value: str
    fix: str | None = None  # None if nothing is wrong
    is_fatal: bool = False  # whether axialvs cannot be used without the fix


def examine() -> list[Finding]:
    """Run all checks, in the order of the report."""
    findings = [check_library(*library) for library in LIBRARIES.items()]
    findings += check_originals()
    for check in (check_environment, check_opencv, check_video, check_operators, check_package):
        if any(finding.is_fatal for finding in findings):
            break  # the next check imports what is broken
        findings += _guarded(check)
    return findings


def check_library(distribution: str, module: str) -> Finding:
    """Check that a library can be imported, and report its version."""
    install = HEADLESS_OPENCV if module == 'cv2' else f'pip install {distribution}'
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            return Finding(distribution, 'not installed', install, is_fatal=True)
        fix = f'pip install {error.name}'
        return Finding(distribution, f'lacks {error.name}', fix, is_fatal=True)
    except Exception as error:
        reason = ' '.join(str(error).split())
        return Finding(distribution, f'cannot be imported: {reason}', install, is_fatal=True)
    version = getattr(imported, '__version__', None) or _version(distribution)
    return Finding(distribution, version or 'unknown version')


def check_originals() -> Iterator[Finding]:
    """Check whether original OpenMMLab packages shadow their forks."""
    installed = [name for name in ORIGINALS if _version(name)]
    if installed:
        forks = 'onedl-mmengine onedl-mmcv onedl-mmdetection'
        yield Finding(
            'original OpenMMLab packages',
            f'{", ".join(installed)} share their folders with the forks that axialvs uses',
            f'pip uninstall {" ".join(installed)}, then '
            f'pip install --force-reinstall --no-deps {forks}',
            is_fatal=True,
        )


def check_environment() -> Iterator[Finding]:
    """Report Python, compilers and GPUs."""
    import torch
    from mmengine.utils.dl_utils import collect_env

    environment = collect_env()
    gpus = {name: value for name, value in environment.items() if name.startswith('GPU ')}
    for name in (*_ENVIRONMENT, *gpus):
        if name in environment:
            yield Finding(name, ' '.join(str(environment[name]).split()))
    if not torch.cuda.is_available():
        fix = None
        if torch.version.cuda is None and shutil.which('nvidia-smi'):
            fix = 'install a CUDA build of torch: pip install --force-reinstall torch'
        yield Finding('GPU', f'none visible to torch {torch.__version__}; running on the CPU', fix)


def check_opencv() -> Iterator[Finding]:
    """Report which of the two OpenCV builds provides `cv2`."""
    import cv2

    lines = cv2.getBuildInformation().splitlines()
    gui = next((line.split()[-1] for line in lines if 'GUI:' in line), 'unknown')
    value = 'headless' if gui == 'NONE' else f'with windows ({gui}); fails without libGL'
    yield Finding('OpenCV build', value, None if gui == 'NONE' else HEADLESS_OPENCV)


def check_video() -> Iterator[Finding]:
    """Check whether overlays can be written as H.264, which browsers play."""
    import av

    if 'libx264' in av.codecs_available:
        yield Finding('video encoding', 'H.264 (libx264)')
    else:
        fix = 'pip install --force-reinstall av'
        yield Finding('video encoding', 'PyAV lacks libx264', fix)


def check_operators() -> Iterator[Finding]:
    """Check whether mmcv has its compiled operators; only GPUs need them."""
    import torch

    from axialvs.utils import mmcv_ops

    reason = mmcv_ops.missing_reason()
    needed = reason is not None and torch.cuda.is_available()
    value = 'compiled' if reason is None else f'none: {reason}'
    yield Finding('mmcv operators', value, mmcv_ops.INSTALL_COMMAND if needed else None)


def check_package() -> Iterator[Finding]:
    """Check that the package can be imported, and report which attention kernels it uses."""
    import torch

    import axialvs

    for part in ('register', 'apis'):
        importlib.import_module(f'axialvs.{part}')
    yield Finding('axialvs', f'{axialvs.__version__} in {axialvs.__path__[0]}')

    from axialvs.functional.ms_deform_attn import select_implementation

    devices = {'cpu': [torch.float32]}
    if torch.cuda.is_available():
        devices['cuda'] = [torch.float32, torch.float16, torch.bfloat16]
    for device, dtypes in devices.items():
        for dtype in dtypes:
            name, reason = select_implementation(device, dtype)
            kind = str(dtype).removeprefix('torch.')
            yield Finding(f'deformable attention, {device} {kind}', f'{name}: {reason}')
    if torch.cuda.is_available():
        version, reason = _version('triton'), 'Triton is not installed'
        if version is not None:
            kernels = 'axialvs.functional.trajectory_attention_triton'
            reason = importlib.import_module(kernels).MISSING_REASON
        value = f'PyTorch: {reason}' if reason else f'fused kernel, Triton {version}'
        yield Finding('trajectory attention, cuda', value)


def report(findings: list[Finding]) -> str:
    """Format findings as aligned lines, then the fixes, then whether axialvs can be used."""
    width = max(len(finding.subject) for finding in findings)
    lines = [f'{finding.subject:{width}}  {finding.value}' for finding in findings]
    fixes = [f'  {finding.subject}: {finding.fix}' for finding in findings if finding.fix]
    if fixes:
        lines += ['', 'To fix:', *fixes]
    usable = not any(finding.is_fatal for finding in findings)
    return '\n'.join([*lines, '', f'axialvs {"can" if usable else "cannot"} be used.'])


def main() -> int:
    """Print the report; return 0 if axialvs can be used."""
    findings = examine()
    print(report(findings))
    return int(any(finding.is_fatal for finding in findings))


def _guarded(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Run a check; an exception becomes a finding."""
    try:
        return list(check())
    except Exception as error:
        reason = f'{type(error).__name__}: {" ".join(str(error).split())}'
        fix = 'install the packages of requirements/runtime.txt'
        return [Finding(check.__name__.removeprefix('check_'), reason, fix, is_fatal=True)]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


if __name__ == '__main__':
    sys.exit(main())
