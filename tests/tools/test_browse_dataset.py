"""Tests of the images of training clips."""

import cv2
import numpy as np

from axialvs.data_tools.from_config import training_data
from axialvs.visualization.contact_sheet import contact_sheet
from generated_videos import write_videos

CONFIG = 'axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes.py'


def options_for(split):
    return {
        'train_dataloader.dataset.data_root': f'{split}/',
        'train_dataloader.dataset.ann_file': 'instances.json',
        'train_dataloader.dataset.data_prefix.img_path': 'JPEGImages/',
    }


def test_one_image_per_training_clip(tmp_path, run_tool):
    options = options_for(write_videos(tmp_path / 'train', [5, 4]))
    arguments = ['--out', tmp_path / 'out', '--clips', 2, '--start', 3, '--height', 120]
    arguments += ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]
    assert not run_tool('analysis_tools/browse_dataset.py', CONFIG, *arguments)
    pictures = sorted((tmp_path / 'out').iterdir())
    assert [path.name for path in pictures] == ['clip_000003.jpg', 'clip_000004.jpg']

    dataset, sampler = training_data(CONFIG, options)
    sampler.skip(3)
    sheet = contact_sheet(dataset[next(iter(sampler))], dataset.metainfo['classes'], 120)
    written = cv2.imread(str(pictures[0]))[..., ::-1]
    assert written.shape == sheet.shape
    assert np.abs(written.astype(int) - sheet).mean() < 8  # JPEG


def test_masks_are_drawn_in_every_frame(tmp_path):
    dataset, _ = training_data(CONFIG, options_for(write_videos(tmp_path / 'train', [5])))
    sample = dataset[0]
    drawn = contact_sheet(sample, dataset.metainfo['classes'], 40).astype(int)
    for frame in sample['data_samples']:
        frame.gt_instances = frame.gt_instances[:0]
    empty = contact_sheet(sample, dataset.metainfo['classes'], 40).astype(int)
    changed = np.abs(drawn - empty).max(axis=(0, 2)) > 40
    parts = np.array_split(changed, len(sample['data_samples']))
    assert all(part.any() for part in parts)


def test_invalid_options(run_tool, tmp_path, capsys):
    tool = 'analysis_tools/browse_dataset.py'
    assert run_tool(tool, CONFIG, '--height', 0) == 2
    assert '--height: 0: must be from 1 to' in capsys.readouterr().err
    (tmp_path / 'file').touch()
    assert run_tool(tool, CONFIG, '--out', tmp_path / 'file') == 2
    assert 'file: is a file; choose a folder for the images' in capsys.readouterr().err
