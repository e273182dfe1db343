"""The shipped offline configs: consistent numbers, and the trained parts of each."""

from pathlib import Path

import pytest
from mmengine import Config

from shrunk_configs import build_for_names

CONFIGS = Path(__file__).parents[2] / 'configs'
OFFLINE = {
    # config: (clips, frames a clip)
    'axialvs-cc_r50_8xb1-10k_youtubevis2021.py': (5, 4),
    'axialvs-cc_r50_8xb1-10k-end2end_youtubevis2021.py': (5, 4),
    'axialvs-cc_r50_8xb1-10k_youtubevis2021_release.py': (3, 3),
    'axialvs-cc_r50_8xb1-10k_ovis.py': (5, 4),
    'axialvs-cc_r50_8xb1-10k_ovis_release.py': (6, 4),
    'axialvs-cc_r50_8xb1-10k_youtubevis2019.py': (5, 4),
    'axialvs-cc_r50_8xb1-10k_youtubevis2022.py': (5, 4),
    'axialvs-cc_r50_8xb1-10k_youtubevis2022_release.py': (4, 4),
    'axialvs-cc_swin-l_8xb1-10k_ovis.py': (5, 4),
    'axialvs-cc_swin-l_8xb1-10k_ovis_release.py': (4, 4),
    'axialvs-cc_swin-l_8xb1-10k_youtubevis2019.py': (5, 4),
    'axialvs-cc_swin-l_8xb1-10k_youtubevis2021.py': (5, 4),
    'axialvs-cc_swin-l_8xb1-10k_youtubevis2021_release.py': (4, 6),
    'axialvs-cc_swin-l_8xb1-10k_youtubevis2022.py': (5, 4),
    'axialvs-cc_swin-l_8xb1-10k_youtubevis2022_release.py': (6, 6),
    'axialvs-cc_tiny_1xb2-400_movingshapes.py': (8, 3),
    'axialvs-cc_tiny_1xb2-400-end2end_movingshapes.py': (8, 3),
    'axialvs-cc_tiny_1xb2-400_movingshapes-hard.py': (8, 3),
}


def test_every_offline_config_is_tested():
    assert {path.name for path in CONFIGS.glob('*/axialvs-cc_*.py')} == set(OFFLINE)


@pytest.mark.parametrize('name', OFFLINE)
def test_frames_and_clips_agree(name):
    config = Config.fromfile(CONFIGS / 'axialvs' / name)
    num_clips, clip_length = OFFLINE[name]
    assert config.model.clip_length == clip_length
    assert config.train_dataloader.dataset.num_frames == num_clips * clip_length
    for loader in (config.val_dataloader, config.test_dataloader):
        assert loader.dataset.clip_length == clip_length
        assert loader.dataset.get('split_mode', 'repeat_last') == 'repeat_last'
    assert config.load_from is not None
    assert config.train_cfg.max_iters == config.param_scheduler[-1].end


@pytest.mark.parametrize('name', OFFLINE)
def test_trained_parameters(name):
    model = build_for_names(Config.fromfile(CONFIGS / 'axialvs' / name).model)
    trained = {
        name.removeprefix('panoptic_head.').split('.')[0]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    if 'end2end' in name:
        assert all(parameter.requires_grad for parameter in model.parameters())
    elif name.endswith('release.py'):
        assert trained == {'cross_clip', 'cls_embed', 'mask_embed'}
    else:
        assert trained == {'cross_clip', 'video_cls_embed', 'video_mask_embed'}
