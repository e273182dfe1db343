"""Hold-out configs: splitting a training set, training, validation, keeping the best model."""

import json
from pathlib import Path

import pytest
from mmengine import Config
from mmengine.runner import Runner

from axialvs.datasets.class_names import resolve_class_list
from generated_videos import write_videos
from shrunk_configs import shrink
from tiny_segmenter import randomize

CONFIGS = Path(__file__).parents[2] / 'configs'
HOLDOUTS = sorted(CONFIGS.glob('*/*_holdout.py'))
# Settings that a hold-out config may change: videos, validation interval, kept checkpoints.
CHANGED = (
    'train_dataloader.dataset.ann_file',
    'val_dataloader.dataset.',
    'test_dataloader.dataset.',
    'val_evaluator.',
    'test_evaluator.',
    'train_cfg.val_',
    'default_hooks.checkpoint.',
    'default_hooks.overlays.videos',
    'holdout',
)


def flat(values, prefix: str = '') -> dict:
    """Return values by dotted key for all values that are not dicts."""
    if not isinstance(values, dict):
        return {prefix: values}
    return {
        key: value
        for name, part in values.items()
        for key, value in flat(part, f'{prefix}.{name}' if prefix else name).items()
    }


@pytest.mark.parametrize('path', HOLDOUTS, ids=lambda path: path.stem)
def test_only_data_and_validation_differ(path):
    config = Config.fromfile(path)
    parent = Config.fromfile(path.with_name(path.name.replace('_holdout', '')))
    mine, theirs = flat(config.to_dict()), flat(parent.to_dict())
    differ = {key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)}
    assert all(key.startswith(CHANGED) for key in differ)
    train, valid = config.train_dataloader.dataset, config.val_dataloader.dataset
    assert train.ann_file.endswith('_main.json')
    assert valid.ann_file == train.ann_file.replace('_main', '_holdout')
    for key in ('data_root', 'data_prefix', 'classes'):
        assert valid[key] == train[key], key
    assert config.val_evaluator.ann_file == valid.data_root + valid.ann_file
    assert not config.val_evaluator.get('format_only')
    assert config.test_evaluator == config.val_evaluator


def test_every_dataset_has_a_holdout_config():
    data = {path.stem.split('_')[-2] for path in HOLDOUTS}
    assert data >= {'youtubevis2019', 'youtubevis2021', 'youtubevis2022', 'ovis'}


def test_split_train_validate_and_keep_the_best(tmp_path, monkeypatch, run_tool):
    monkeypatch.chdir(tmp_path)
    folder = write_videos(Path('data/youtube_vis_2021/train'), [4] * 4)
    file = folder / 'instances.json'
    content = json.loads(file.read_text())
    names = resolve_class_list('2021')
    content['categories'] = [{'id': i, 'name': name} for i, name in enumerate(names, start=1)]
    for annotation in content['annotations']:
        annotation['category_id'] = 1  # any video may be held out
    file.write_text(json.dumps(content))
    assert run_tool('dataset_converters/split_dataset.py', file, '--share', 0.25) == 0

    config = Config.fromfile(CONFIGS / 'axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021_holdout.py')
    shrink(config)
    config.train_cfg.update(max_iters=2, val_begin=1, val_interval=1)
    config.default_hooks.checkpoint.interval = 1
    config.update(work_dir='run', experiment_name='holdout', log_level='WARNING')
    runner = Runner.from_cfg(config)
    runner.model.init_weights()
    randomize(runner.model)
    runner.train()
    best = list(Path('run').glob('best_youtube_vis_AP_iter_*.pth'))
    assert len(best) == 1
    scores = runner.message_hub.get_scalar('val/youtube_vis/AP').data[0].tolist()
    assert len(scores) == 2
    assert best[0].stem.endswith(f'_{1 + scores.index(max(scores))}')
    assert len(list(Path('run').rglob('overlay_video_*.png'))) == 2  # one video, sampled twice
