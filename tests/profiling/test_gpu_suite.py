"""The suite for a GPU, as far as it runs without one: nothing that goes wrong is lost."""

import pytest
import torch

from axialvs.profiling.gpu_suite import FAILED, _or_failure
from axialvs.profiling.memory import held_bytes
from axialvs.profiling.operation_times import operation_times


def test_a_part_that_breaks_off_keeps_its_tables(capsys):
    def measure():
        yield 'first', [{'ms': 1.0}]
        torch.ones(2) @ torch.ones(3)

    (kept, rows), (title, failed) = _or_failure('part', measure)
    assert (kept, rows) == ('first', [{'ms': 1.0}])
    assert title == 'part: broken off'
    assert failed[0][FAILED].startswith('RuntimeError: ')
    assert 'Traceback' in capsys.readouterr().err


def test_what_is_no_longer_compiled_is_said():
    compiled = torch.compile(lambda x: x + 1, backend='eager')

    def measure():
        with torch._dynamo.config.patch(recompile_limit=1):
            yield (
                'sums',
                [
                    {'sum': float(compiled(torch.ones(2, dtype=dtype)).sum())}
                    for dtype in (torch.float32, torch.float64)
                ],
            )

    measured, (title, warnings) = _or_failure('part', measure)
    assert measured[0] == 'sums'
    assert title == 'part: warnings of the compiler'
    assert 'recompile_limit' in warnings[0]['warning']


def test_held_is_what_is_left_of_a_call():
    kept = []

    def build():
        passing = torch.ones(1000, 256)
        kept.append(passing[:10] + 1)

    assert held_bytes(build) == pytest.approx(10 * 256 * 4, rel=0.01)


def test_longest_operations_come_first():
    matrix = torch.randn(400, 400)
    call, total, *operations = operation_times(lambda: (matrix @ matrix).sum(), 'cpu')
    assert operations[0]['operation'] == 'aten::mm'
    assert call['ms'] > 0
    assert sum(row['ms'] for row in operations) == pytest.approx(total['ms'])
    assert sum(row['share'] for row in operations) == pytest.approx(1)
