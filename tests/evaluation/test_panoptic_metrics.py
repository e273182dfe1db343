"""VPQ, STQ and PQ of the test loop equal those from files, in one process and in two."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from panoptic_cases import CATEGORIES, Side, random_case, score, write, write_png

from axialvs.datasets.annotations.panoptic import read_ground_truth
from axialvs.evaluation.panoptic_files import read_predictions
from axialvs.evaluation.panoptic_metrics import id_map
from axialvs.evaluation.panoptic_scores import evaluate_panoptic
from axialvs.utils.rle import encode_masks
from forked import run_ranks

# Labels in a different order than the categories, and one missing in the ground truth.
META = {'category_ids': [*(c['id'] for c in CATEGORIES[::-1]), None]}
LACKING = len(CATEGORIES)


def sample_of(index, side: Side) -> TrackDataSample:
    """Return the sample of a finished video; the largest ids come first."""
    tracks = InstanceData()
    ids = sorted(set(np.unique(side.ids).tolist()) - {0}, reverse=True)
    labels = [META['category_ids'].index(side.classes[i]) for i in ids]
    tracks.labels = torch.tensor([LACKING, *labels])
    tracks.scores = torch.ones(len(ids) + 1)
    nothing = [None] * len(side.ids)
    tracks.segmentations = [nothing, *(encode_masks(side.ids == i) for i in ids)]
    sample = TrackDataSample(metainfo={'video_id': index})
    sample.pred_tracks = tracks
    return sample


def run(folder, predicted, videos=None, **options):
    paths = {'ann_file': str(folder / 'gt.json'), 'mask_prefix': str(folder / 'gt')}
    evaluator = Evaluator(dict(type='VideoPanopticMetric', **paths, **options))
    evaluator.dataset_meta = META
    for index, side in enumerate(predicted):
        if videos is None or index in videos:
            unfinished = TrackDataSample(metainfo={'video_id': f'video{index}'})
            evaluator.process([unfinished, sample_of(f'video{index}', side)])
    return evaluator.evaluate(1000)


@pytest.mark.parametrize('seed', range(4))
def test_matches_scores_of_files(tmp_path, seed):
    gt, predicted = random_case(seed)
    expected = score(tmp_path, gt, predicted).summary()
    metrics = run(tmp_path, predicted)
    assert metrics == pytest.approx({f'panoptic/{k}': v for k, v in expected.items()}, abs=1e-9)


def test_written_files_have_the_same_scores(tmp_path):
    gt, predicted = random_case(1)
    expected = score(tmp_path, gt, predicted).summary()
    prefix = str(tmp_path / 'out' / 'predictions')
    for name in (prefix, f'{prefix}_2'):  # the first run is kept
        run(tmp_path, predicted, outfile_prefix=prefix)
        gt = read_ground_truth(tmp_path / 'gt.json', tmp_path / 'gt')
        written = read_predictions(f'{name}.json', name, gt)
        assert evaluate_panoptic(gt, written, 1).summary() == pytest.approx(expected, abs=1e-9)


def test_two_processes(tmp_path):
    seed = next(s for s in range(99) if len(random_case(s)[0]) == 3)
    gt, predicted = random_case(seed)
    expected = score(tmp_path, gt, predicted).summary()
    ended = run_ranks(lambda rank: _as_one_of_two(rank, predicted, tmp_path))
    assert [process.code for process in ended] == [0, 0], ended
    for rank in (0, 1):
        metrics = json.loads((tmp_path / f'rank_{rank}.json').read_text())
        assert metrics['panoptic/vpq'] == pytest.approx(expected['vpq'])
        assert metrics['panoptic/stq'] == pytest.approx(expected['stq'])


def test_missing_and_mismatched_videos(tmp_path):
    side = Side(np.full((2, 4, 4), 9), {9: 4})
    write(tmp_path, [side, side], 'gt')
    with pytest.raises(ValueError, match='video1'):
        run(tmp_path, [side])
    assert run(tmp_path, [side], partial=True)['panoptic/vpq1'] == 100
    with pytest.raises(ValueError, match='video2'):
        run(tmp_path, [side] * 3)
    with pytest.raises(ValueError, match='frames'):
        run(tmp_path, [side, Side(side.ids[:1], side.classes)])
    with pytest.raises(ValueError, match='4x4'):
        run(tmp_path, [side, Side(np.full((2, 5, 4), 9), side.classes)])


def test_first_of_overlapping_masks_owns_the_pixels():
    masks = np.zeros((2, 2, 3), bool)
    masks[0, :, :2] = masks[1, :, 1:] = True
    expected = [[1, 1, 2], [1, 1, 2]]
    assert id_map([*encode_masks(masks), None], (2, 3)).tolist() == expected


def test_pq_of_images(tmp_path):
    """A thing is found with an IoU of 3/4, stuff is exact, another thing is missed."""
    gt = np.array([[1, 1, 1, 1], [2, 2, 3, 3]])
    write_png(tmp_path / '7.png', gt)
    segments = [{'id': i, 'category_id': c} for i, c in ((1, 4), (2, 0), (3, 5))]
    annotations = [{'image_id': 7, 'file_name': '7.png', 'segments_info': segments}]
    content = {'categories': CATEGORIES, 'annotations': annotations}
    (tmp_path / 'gt.json').write_text(json.dumps(content))
    paths = {'ann_file': str(tmp_path / 'gt.json'), 'mask_prefix': str(tmp_path)}
    evaluator = Evaluator(dict(type='ImagePanopticMetric', **paths))
    evaluator.dataset_meta = META
    found = np.array([[[5, 5, 5, 0], [6, 6, 0, 0]]])
    evaluator.process([sample_of(7, Side(found, {5: 4, 6: 0}))])
    assert evaluator.evaluate(1) == pytest.approx(
        {
            'coco_panoptic/PQ': 100 * (0.75 + 1 + 0) / 3,
            'coco_panoptic/PQ_th': 100 * 0.75 / 2,
            'coco_panoptic/PQ_st': 100,
        }
    )


def _as_one_of_two(rank: int, predicted: list[Side], folder: Path) -> None:
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder / "store"}', rank=rank, world_size=2
    )
    metrics = run(folder, predicted, {0} if rank == 0 else {1, 2})
    (folder / f'rank_{rank}.json').write_text(json.dumps(metrics))
    torch.distributed.destroy_process_group()
