"""Tests of the fused kernels compiled and launched for a GPU, on a machine without one."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# Triton is not imported here, since other tests need its interpreter.
pytestmark = pytest.mark.skipif(find_spec('triton') is None, reason='Triton is not installed')

SCRIPT = Path(__file__).parents[1] / 'recorded_launches.py'
# Limit per block for compute capabilities 8.6, 8.9 and 12.0, the smallest from 8.0 on.
SHARED_BYTES = 99 * 1024


@pytest.fixture(scope='module')
def launches(tmp_path_factory) -> list[list]:
    """Return name, bytes of shared memory and arguments of each launch."""
    environment = {k: v for k, v in os.environ.items() if k != 'TRITON_INTERPRET'}
    environment['TRITON_CACHE_DIR'] = str(tmp_path_factory.mktemp('triton'))
    output = subprocess.check_output([sys.executable, SCRIPT], env=environment, text=True)
    return [json.loads(line) for line in output.splitlines()]


def test_shared_memory_fits_the_smallest_gpus(launches):
    assert 0 < max(shared for _, shared, *_ in launches) <= SHARED_BYTES


def test_direct_launches_match_triton(launches):
    assert [launch[0] for launch in launches] == ['points_forward', 'points_backward'] * 2
    assert launches[2:] == launches[:2]
