"""Short and long videos are scored separately, and their APs averaged."""

import json
from pathlib import Path

import pytest
from mmengine import Config
from mmengine.evaluator import Evaluator
from test_video_instance_metric import FIXTURE, NUM_CLIPS, meta_of, samples_of
from track_cases import summary

from axialvs.evaluation.short_long import short_long_metrics

CONFIG = Path(__file__).parents[2] / 'configs/_base_/datasets/youtube_vis_2022.py'
LONG_IDS = {2, 5, 8, 11}


@pytest.fixture(scope='module')
def case():
    content = json.loads(FIXTURE.read_text())
    return content['ground_truth'], content['results']


def part_of(gt: dict, long: bool) -> dict:
    def of_kind(video_id):
        return (video_id in LONG_IDS) == long

    return {
        **gt,
        'videos': [v for v in gt['videos'] if of_kind(v['id'])],
        'annotations': [a for a in gt['annotations'] if of_kind(a['video_id'])],
    }


@pytest.fixture
def files(case, tmp_path):
    """Write the official layout: all videos without annotations, and two ground truth files."""
    gt = case[0]
    contents = {
        'ann_file': {**gt, 'annotations': None},
        'short_ann_file': part_of(gt, False),
        'long_ann_file': part_of(gt, True),
    }
    paths = {name: tmp_path / f'{name}.json' for name in contents}
    for name, content in contents.items():
        paths[name].write_text(json.dumps(content))
    return paths


def run(files, case, **options):
    settings = {name: str(path) for name, path in files.items()}
    evaluator = Evaluator(dict(type='ShortLongMetric', **settings, **options))
    evaluator.dataset_meta = meta = meta_of(case[0])
    evaluator.process(samples_of(*case, meta))
    return evaluator.evaluate(NUM_CLIPS)


def test_short_and_long_videos_are_scored_separately(files, case, tmp_path):
    metrics = run(files, case)
    gt, results = case
    for long, name in ((False, 'short'), (True, 'long')):
        ids = {video['id'] for video in part_of(gt, long)['videos']}
        own = [entry for entry in results if entry['video_id'] in ids]
        for figure, value in summary(tmp_path, part_of(gt, long), own).items():
            assert metrics[f'youtube_vis/{figure}_{name}'] == value
    short, long = metrics['youtube_vis/AP_short'], metrics['youtube_vis/AP_long']
    assert short != long
    assert metrics['youtube_vis/AP_all'] == pytest.approx((short + long) / 2)
    assert len(metrics) == 25


def test_submission_has_short_and_long_videos(files, case, tmp_path):
    for name in ('short_ann_file', 'long_ann_file'):
        files[name].unlink()  # not public
    assert run(files, case, format_only=True, outfile_prefix=str(tmp_path / 'r')) == {}
    entries = json.loads((tmp_path / 'r.json').read_text())
    assert len(entries) == len(case[1])
    assert {entry['video_id'] for entry in entries} > LONG_IDS
    with pytest.raises(FileNotFoundError, match=r'short_ann_file\.json: no such'):
        run(files, case)


def test_classwise(files, case):
    metrics = run(files, case, classwise=True)
    for kind in ('short', 'long'):
        of_classes = [v for k, v in metrics.items() if f'/AP_{kind}/' in k and v >= 0]
        mean = sum(of_classes) / len(of_classes)
        assert mean == pytest.approx(metrics[f'youtube_vis/AP_{kind}'])


def test_one_part_without_ground_truth():
    assert short_long_metrics({'AP': 0.5}, {'AP': -1.0})['AP_all'] == -1
    assert short_long_metrics({'AP': 0.5}, {'AP': 0.0})['AP_all'] == 0.25


def shared_video(contents):
    contents['long_ann_file']['videos'].append(contents['short_ann_file']['videos'][0])


def lost_video(contents):
    del contents['ann_file']['videos'][0]


def other_length(contents):
    video = contents['ann_file']['videos'][0]
    video['length'] += 1
    video['file_names'].append('more.jpg')


def other_name(contents):
    contents['long_ann_file']['categories'][0]['name'] = 'other'


def other_names_of_the_test(contents):
    contents['ann_file']['categories'][0]['name'] = 'other'


def no_truth(contents):
    contents['long_ann_file']['annotations'] = None


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (shared_video, r'long_ann_file\.json: video 1 is also in .*short_ann_file\.json'),
        (lost_video, r'ann_file\.json: video 1 of 5 frames is only in one of this file and .*long'),
        (other_length, r'video 1 of 5 frames is only in one of this file and'),
        (
            other_name,
            r"long_ann_file\.json: field 'categories': 1 \(.*\) is only in one of this file",
        ),
        (
            other_names_of_the_test,
            r"field 'categories': 1 \(.*\) is only in one of this file and .*ann_",
        ),
        (no_truth, r"long_ann_file\.json: field 'annotations': is missing or null"),
    ],
)
def test_inconsistent_files(files, case, change, message):
    contents = {name: json.loads(path.read_text()) for name, path in files.items()}
    change(contents)
    for name, path in files.items():
        path.write_text(json.dumps(contents[name]))
    with pytest.raises(ValueError, match=message):
        run(files, case)


def test_config_scores_with_format_only_disabled(files, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluator = Config.fromfile(CONFIG).test_evaluator
    for name, path in files.items():
        placed = Path(evaluator[name])
        placed.parent.mkdir(parents=True, exist_ok=True)
        path.rename(placed)
    evaluator.pop('type')
    assert run({}, case, **evaluator) == {}
    assert Path('work_dirs/youtube_vis_2022_submission.zip').is_file()
    evaluator.format_only = False
    assert run({}, case, **evaluator)['youtube_vis/AP_all'] > 0
