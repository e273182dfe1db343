"""The metric of the test loop equals the scores of files, in one process and in two."""

import json
from pathlib import Path

import pytest
import torch
from mmdet.registry import METRICS
from mmdet.structures import TrackDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from track_cases import box, gt_of, read, result, summary

from axialvs.evaluation.results import ResultsError, read_results
from forked import run_ranks

FIXTURE = Path(__file__).parents[1] / 'data' / 'parity' / 'youtube_vis_ap.json'
NUM_CLIPS = 1000  # of the dataset; not the number of videos


@pytest.fixture(scope='module')
def case():
    content = json.loads(FIXTURE.read_text())
    return content['ground_truth'], content['results'], content['expected']


def meta_of(gt: dict) -> dict:
    """Return dataset meta information with labels in a different order than ids."""
    categories = gt['categories'][::-1]
    return {
        'classes': tuple(category['name'] for category in categories),
        'category_ids': tuple(category['id'] for category in categories),
    }


def samples_of(gt: dict, results: list[dict], meta: dict) -> list[TrackDataSample]:
    """Return the model's outputs for an inner clip and the last clip of each video."""
    samples = []
    for video in gt['videos']:
        entries = [entry for entry in results if entry['video_id'] == video['id']]
        last = TrackDataSample(metainfo={'video_id': video['id']})
        labels = [meta['category_ids'].index(entry['category_id']) for entry in entries]
        last.pred_tracks = InstanceData(
            labels=torch.tensor(labels, dtype=torch.long),
            scores=torch.tensor([entry['score'] for entry in entries], dtype=torch.float64),
            segmentations=[entry['segmentations'] for entry in entries],
        )
        samples += [TrackDataSample(metainfo={'video_id': video['id']}), last]
    return samples


def run(path: Path, gt: dict, results: list[dict], videos=None, **options) -> dict:
    evaluator = Evaluator(dict(type='VideoInstanceMetric', ann_file=str(path), **options))
    evaluator.dataset_meta = meta = meta_of(gt)
    for sample in samples_of(gt, results, meta):
        if videos is None or sample.video_id in videos:
            evaluator.process([sample])
    return evaluator.evaluate(NUM_CLIPS)


@pytest.fixture
def path(case, tmp_path):
    read(tmp_path, case[0])
    return tmp_path / 'gt.json'


def test_metrics_of_the_fixture(case, path):
    gt, results, expected = case
    metrics = run(path, gt, results)
    expected = {f'youtube_vis/{name}': value for name, value in expected.items()}
    assert metrics == pytest.approx(expected, abs=1e-9, rel=0)


def test_classwise(case, path):
    gt, results, _ = case
    metrics = run(path, gt, results, classwise=True)
    names = [category['name'] for category in gt['categories']]
    of_classes = [metrics[f'youtube_vis/AP/{name}'] for name in names]
    assert sum(of_classes) / len(names) == pytest.approx(metrics['youtube_vis/AP'])


def test_written_files_have_the_same_scores(case, path, tmp_path):
    gt, results, _ = case
    metrics = run(path, gt, results, outfile_prefix=str(tmp_path / 'out' / 'r'))
    entries = json.loads((tmp_path / 'out' / 'r.json').read_text())
    again = summary(tmp_path, gt, entries)
    assert {f'youtube_vis/{name}': value for name, value in again.items()} == metrics
    annotations = read(tmp_path, gt)
    assert len(read_results(tmp_path / 'out' / 'r.zip', annotations)) == len(results)


def test_each_run_has_one_file(case, path, tmp_path):
    """Validations of a run replace its own file but not one of an earlier run."""
    gt, results, _ = case
    options = {'outfile_prefix': str(tmp_path / 'out' / 'r')}
    run(path, gt, [], **options)
    evaluator = Evaluator(dict(type='VideoInstanceMetric', ann_file=str(path), **options))
    evaluator.dataset_meta = meta_of(gt)
    for _ in range(2):
        for sample in samples_of(gt, results, evaluator.dataset_meta):
            evaluator.process([sample])
        evaluator.evaluate(NUM_CLIPS)
    names = sorted(file.name for file in (tmp_path / 'out').glob('*.json'))
    assert names == ['r.json', 'r_2.json']
    assert json.loads((tmp_path / 'out' / 'r.json').read_text()) == []


def test_format_only(case, tmp_path):
    gt, results, _ = case
    unlabeled = {key: gt[key] for key in ('videos', 'categories')}
    read(tmp_path, unlabeled)
    path = tmp_path / 'gt.json'
    prefix = str(tmp_path / 'r')
    assert run(path, gt, results, format_only=True, outfile_prefix=prefix) == {}
    assert len(json.loads((tmp_path / 'r.json').read_text())) == len(results)
    with pytest.raises(ValueError, match=r'no ground truth to evaluate with.*format_only=True'):
        run(path, gt, results)
    with pytest.raises(ValueError, match='format_only=True needs outfile_prefix'):
        METRICS.build(dict(type='VideoInstanceMetric', ann_file=str(path), format_only=True))


def test_missing_videos(case, path, tmp_path):
    gt, results, _ = case
    some = {1, 2, 5}
    with pytest.raises(
        ValueError, match=r'11 videos \(3, 4, 6, .*\.\.\.\) have no predictions.*partial'
    ):
        run(path, gt, results, videos=some)
    metrics = run(path, gt, results, videos=some, partial=True)
    less = {
        key: [x for x in gt[key] if x.get('video_id', x['id']) in some]
        for key in ('videos', 'annotations')
    }
    expected = summary(
        tmp_path, {**gt, **less}, [entry for entry in results if entry['video_id'] in some]
    )
    assert metrics == {f'youtube_vis/{name}': value for name, value in expected.items()}


def test_duplicate_video(case, path):
    gt, results, _ = case
    evaluator = Evaluator(dict(type='VideoInstanceMetric', ann_file=str(path)))
    evaluator.dataset_meta = meta = meta_of(gt)
    samples = samples_of(gt, results, meta)
    evaluator.process([*samples, samples[3]])
    with pytest.raises(ValueError, match=r'1 videos \(2\) were predicted more than once'):
        evaluator.evaluate(NUM_CLIPS)


def test_class_missing_in_the_file_is_ignored(tmp_path):
    masks = [box(0, 0, 90, 90)]
    gt = gt_of([1], [(1, 2, masks)], categories=(2,))
    read(tmp_path, gt)
    evaluator = Evaluator(dict(type='VideoInstanceMetric', ann_file=str(tmp_path / 'gt.json')))
    evaluator.dataset_meta = meta = {'classes': ('other', 'class 2'), 'category_ids': (None, 2)}
    entries = [result(1, None, 0.9, masks), result(1, 2, 0.5, masks)]
    evaluator.process(samples_of(gt, entries, meta))
    assert evaluator.evaluate(NUM_CLIPS)['youtube_vis/AP'] == pytest.approx(1.0)


def test_wrong_length_error_names_the_video(case, path):
    gt, results, _ = case
    broken = [{**results[0], 'segmentations': [None]}]
    with pytest.raises(ResultsError, match=r'prediction for video 1: entry 0, .*5 frames'):
        run(path, gt, broken, videos={1})


def test_two_processes_with_unequal_numbers_of_videos(case, path, tmp_path):
    """Process 0 has videos 1 to 3, process 1 all others; both name a missing video."""
    gt, results, _ = case
    ended = run_ranks(lambda rank: _as_one_of_two(rank, tmp_path, gt, results))
    assert [process.code for process in ended] == [0, 0], ended
    expected = run(path, *case[:2])
    for rank in (0, 1):
        answer = json.loads((tmp_path / f'rank_{rank}.json').read_text())
        assert answer['gpu'] == answer['cpu'] == expected
        assert '1 videos (14) have no predictions' in answer['lost']
    assert len(json.loads((tmp_path / 'r.json').read_text())) == len(case[1])


def _as_one_of_two(rank: int, folder: Path, gt: dict, results: list[dict]) -> None:
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder / "store"}', rank=rank, world_size=2
    )
    videos = {video['id'] for video in gt['videos']}
    share = {1, 2, 3} if rank == 0 else videos - {1, 2, 3}
    path = folder / 'gt.json'
    answer = {
        'gpu': run(path, gt, results, share, outfile_prefix=str(folder / 'r')),
        'cpu': run(
            path, gt, results, share, collect_device='cpu', collect_dir=str(folder / 'parts')
        ),
    }
    try:
        run(path, gt, results, share - {14})
    except ValueError as error:
        answer['lost'] = str(error)
    (folder / f'rank_{rank}.json').write_text(json.dumps(answer))
    torch.distributed.destroy_process_group()


def test_labels_beyond_the_dataset_classes_are_ignored(case, path):
    """A head may have more classes than the data, such as the demo's on the level `easy`."""
    gt, results, expected = case
    evaluator = Evaluator(dict(type='VideoInstanceMetric', ann_file=str(path)))
    evaluator.dataset_meta = meta = meta_of(gt)
    for sample in samples_of(gt, results, meta):
        if 'pred_tracks' in sample:
            tracks = sample.pred_tracks
            beyond = tracks.labels + len(gt['categories'])
            sample.pred_tracks = InstanceData(
                labels=torch.cat([tracks.labels, beyond]),
                scores=tracks.scores.repeat(2),
                segmentations=tracks.segmentations * 2,
            )
        evaluator.process([sample])
    assert evaluator.evaluate(NUM_CLIPS)['youtube_vis/AP'] == pytest.approx(expected['AP'])
