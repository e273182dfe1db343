"""STQ on the cases of DeepLab2's unit test, drawn as one letter per pixel."""

import numpy as np
import pytest

from axialvs.evaluation.panoptic_counts import Tubes, count_pairs
from axialvs.evaluation.stq import STQCounts, stq_counts

SKY, PLANTS, CAR = range(3)
LETTERS = '.v0123456789'  # sky, plants, the crowd of cars, cars
CLASSES = np.array([SKY, PLANTS] + [CAR] * 10)

TRUTH = [
    '........ ........ ...2.vvv .2222vvv 222222vv 2222222v 2222222v 222222vv',
    '........ ........ .2..vv.. 222vvvv. 2222vvvv 22222vvv 22222vvv 2222vvvv',
    '........ ........ ........ 2.vvv... 22vvvv.. 222vvvv. 222vvvvv 222vvvvv',
]
PREDICTED = [
    '........ ........ .....v.. ...22vvv .22221vv 2222211v 2222111v 2222111v',
    '........ ........ ....vv.. .222vvvv 2222vvvv 22222vvv 222211vv 22221vvv',
    '........ ........ ....v... ..vvvv.. 222vvv.. 222vvvvv 2222vvvv 2222vvvv',
]


def metrics(gt: list[str], predicted: list[str]) -> tuple[float, float, float]:
    """Return STQ, AQ and SQ of one video."""
    maps = [
        np.array([LETTERS.index(c) + 1 for c in ''.join(frames).replace(' ', '')], np.uint32)
        for frames in (gt, predicted)
    ]
    shared = np.zeros((len(LETTERS) + 1,) * 2, dtype=np.int64)
    *pairs, pixels = count_pairs(*maps)
    shared[tuple(pairs)] = pixels
    tubes = Tubes(CLASSES, CLASSES, np.array([letter == '0' for letter in LETTERS]))
    counts = STQCounts.zero(3)
    counts.add(stq_counts(shared, tubes, np.array([False, False, True])))
    aq, sq = counts.association_quality(), float(np.nanmean(counts.class_ious()))
    return (aq * sq) ** 0.5, aq, sq


def test_golden_frames():
    expected = 0.66841773352, 0.55366581415, 0.8069529580309542
    assert metrics(TRUTH, PREDICTED) == pytest.approx(expected, abs=1e-11)


def test_perfect():
    assert metrics(TRUTH, TRUTH) == (1, 1, 1)


@pytest.mark.parametrize(
    ('gt', 'predicted', 'expected'),
    [
        ('11111', '11222', (0.72111026, 0.52, 1)),
        ('11111', '12222', (0.82462113, 0.68, 1)),
        ('11111', '12345', (0.447213596, 0.2, 1)),
        ('11111', '12122', (0.72111026, 0.52, 1)),
        ('11111', '.1111', (0.50596443, 0.64, 0.4)),
        ('011111', '111111', (1, 1, 1)),
        ('011111', '222211', (0.72111026, 0.52, 1)),
        ('011111', '22.111', (0.40824829, 0.4, 5 / 12)),
        ('.1111', '11111', (0.56568542, 0.8, 0.4)),
        ('.1111', '22211', (0.42426407, 0.45, 0.4)),
        ('.1111', '22.11', (0.3, 0.3, 0.3)),
    ],
)
def test_rows_of_pixels(gt, predicted, expected):
    assert metrics([gt], [predicted]) == pytest.approx(expected, abs=1e-8)
