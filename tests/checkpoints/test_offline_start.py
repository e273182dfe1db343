"""Offline training starts from the near-online weights that its config names."""

import re
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine import Config

from axialvs.checkpoints.key_mapping import adapt_state_dict
from axialvs.datasets.class_names import resolve_class_list
from axialvs.engine.runner import SafeRunner, load_address
from axialvs.utils.config_files import find_config
from config_files import ALL, load
from generated_videos import write_videos
from shrunk_configs import read_videos, shrink
from tiny_segmenter import randomize

CONFIG = 'axialvs/axialvs-cc_r50_8xb1-10k_youtubevis2021.py'
RELEASE = 'axialvs/axialvs-cc_r50_8xb1-10k_youtubevis2021_release.py'
NEW = 'panoptic_head.cross_clip.'
SHARED = ('panoptic_head.cls_embed.', 'panoptic_head.mask_embed.')


@pytest.mark.parametrize('name', [x for x in ALL if str(load(x).load_from).startswith('work_dirs')])
def test_missing_weights_error_names_the_required_training(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(name)
    with pytest.raises(FileNotFoundError, match=r'load_from=FILE') as error:
        load_address(config.load_from)
    (first,) = re.findall(r'axialvs train ([\w.-]+\w)', str(error.value))
    near_online = Config.fromfile(find_config(first))
    assert f'work_dirs/{first}/iter_{near_online.train_cfg.max_iters}.pth' == config.load_from


def write_near_online(config: Config) -> dict[str, torch.Tensor]:
    """Write a checkpoint of the config's near-online model to the path that the config expects."""
    path = Path(config.load_from)
    near_online = load(f'axialvs/{path.parent.name}.py')
    shrink(near_online)
    model = MODELS.build(near_online.model)
    randomize(model)
    classes = resolve_class_list(near_online.train_dataloader.dataset.classes)
    path.parent.mkdir(parents=True)
    meta = {'dataset_meta': {'classes': classes}}
    torch.save({'meta': meta, 'state_dict': model.state_dict()}, path)
    return model.state_dict()


@pytest.mark.parametrize(('name', 'trained'), [(CONFIG, ()), (RELEASE, SHARED)])
def test_all_but_the_cross_clip_module_is_initialized(name, trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(name)
    near_online = write_near_online(config)
    load_from = config.load_from
    shrink(config)
    config.update(load_from=load_from, work_dir='run', experiment_name=Path(name).stem)
    read_videos(config, write_videos(tmp_path / 'videos', [6]), tmp_path)
    runner = SafeRunner.from_cfg(config)
    report = adapt_state_dict(near_online, runner.model.state_dict())[1]
    assert report.missing
    assert all(parameter.startswith(NEW) for parameter in report.missing)
    assert report.unexpected == report.selected == []
    assert report.mismatched == {}

    runner.train()
    after = runner.model.state_dict()
    assert near_online.keys() < after.keys()
    changed = {key for key, value in near_online.items() if not torch.equal(after[key], value)}
    assert all(key.startswith(trained) for key in changed) if trained else not changed
    for parameter, ours in runner.model.named_parameters():
        if parameter.startswith(NEW):
            continue
        assert ours.requires_grad == ('video_' in parameter or parameter.startswith(trained or '-'))
        source = near_online[parameter.replace('video_', '')]
        # A step of the warm-up, with a learning rate of 1e-7.
        assert (ours - source).abs().max() < 1e-5, parameter
