"""The Python interface: building a segmenter, its class names, and errors."""

import json

import cv2
import numpy as np
import pytest
import torch

from axialvs.apis import init_segmenter, segment_video, write_video
from axialvs.checkpoints.loading import CheckpointError
from axialvs.datasets.class_names import CLASS_LISTS
from axialvs.inference.pipeline import open_video
from axialvs.utils.env import own_threads
from axialvs.utils.errors import AxialVSError
from generated_videos import frame_folders, write_videos
from tiny_segmenter import CONFIGS, PLAIN, WITHIN_CLIP, tiny_config

SHAPES = ('circle', 'square', 'triangle', 'star', 'cross')


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)  # other random weights may find no tracks
    return init_segmenter(tiny_config(), device='cpu')


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint and return its path."""

    def write(model, **meta):
        path = tmp_path / 'weights.pth'
        torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)
        return path

    return write


def test_weights_and_classes_are_read_from_the_checkpoint(save):
    trained = init_segmenter(tiny_config(), device='cpu')
    path = save(trained, dataset_meta=dict(classes=SHAPES, category_ids=(7, 1, 3, 4, 9)))
    loaded = init_segmenter(tiny_config(), path, 'cpu')
    assert loaded.class_names == SHAPES
    assert loaded.category_ids == (7, 1, 3, 4, 9)
    assert not loaded.training
    frames = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    for ours, expected in zip(
        loaded.predict_clip(frames)[:3], trained.predict_clip(frames)[:3], strict=True
    ):
        assert torch.equal(ours, expected)


def test_category_ids_with_missing_classes(model, save):
    """This occurs after training on COCO, which lacks some classes of YouTube-VIS."""
    path = save(model, dataset_meta=dict(classes=SHAPES, category_ids=(7, None, 3, None, 9)))
    loaded = init_segmenter(tiny_config(), path, 'cpu')
    assert loaded.class_names == SHAPES
    assert loaded.category_ids == (1, 2, 3, 4, 5)


def test_checkpoint_without_metadata(model, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save({'state_dict': model.state_dict(), 'meta': None}, path)
    loaded = init_segmenter(tiny_config(), path, 'cpu')
    assert loaded.class_names == model.class_names
    assert loaded.category_ids == model.category_ids


def test_class_names_without_a_checkpoint(model):
    assert model.class_names == tuple(f'class {i}' for i in range(1, 6))
    assert model.category_ids == (1, 2, 3, 4, 5)
    config = tiny_config()
    config.test_dataloader.dataset.classes = SHAPES
    assert init_segmenter(config).class_names == SHAPES


@pytest.mark.parametrize(
    ('name', 'clip_length', 'split_mode', 'max_masks'),
    [
        ('tube_link/tube-link_r50_8xb1-15k_youtubevis2021.py', 4, 'repeat_last', None),
        ('axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021.py', 4, 'repeat_last', None),
        ('axialvs/axialvs-wc_r50_8xb1-15k_youtubevis2021_release.py', 5, 'shorten', 30),
    ],
)
def test_inference_settings_follow_the_config(name, clip_length, split_mode, max_masks):
    model = init_segmenter(CONFIGS / name)
    assert (model.clip_length, model.split_mode) == (clip_length, split_mode)
    assert model.test_cfg['max_masks_per_frame'] == max_masks
    assert model.class_names == CLASS_LISTS['2021']
    assert model.num_classes == 40


def test_weights_of_a_different_model(save):
    path = save(init_segmenter(tiny_config(PLAIN)))
    with pytest.raises(CheckpointError, match='does not fit') as error:
        init_segmenter(tiny_config(WITHIN_CLIP), path)
    assert str(path) in str(error.value)
    assert 'temporal_layer' in str(error.value)
    assert '\n' not in str(error.value)


def test_weights_for_other_classes(save):
    config = tiny_config()
    config.model.panoptic_head.num_things_classes = 3
    config.model.panoptic_head.loss_cls.class_weight = [1.0] * 3 + [0.1]
    path = save(init_segmenter(config))
    with pytest.raises(CheckpointError, match=r'3 classes .* 5'):
        init_segmenter(tiny_config(), path)


def test_number_of_class_names(save):
    config = tiny_config()
    config.test_dataloader.dataset.classes = SHAPES[:3]
    with pytest.raises(AxialVSError, match='5 classes, but 3 are named: circle'):
        init_segmenter(config)


@pytest.mark.parametrize('content', [{'state_dict': (1, 2)}, {True: 1}, {'state_dict': {'a': 1}}])
def test_checkpoints_without_weights(tmp_path, content):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='no weights'):
        init_segmenter(tiny_config(), tmp_path / 'x.pth', 'cpu')


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no-such-config'):
        init_segmenter(tmp_path / 'no-such-config.py')
    with pytest.raises(FileNotFoundError, match=r'no-such-weights'):
        init_segmenter(tiny_config(), tmp_path / 'no-such-weights.pth')


@pytest.mark.skipif(torch.cuda.is_available(), reason='speaks of a machine without GPU')
def test_unavailable_device():
    with pytest.raises(ValueError, match=r"'cuda' is not available \(available: cpu\)$"):
        init_segmenter(tiny_config(), device='cuda')
    with pytest.raises(ValueError, match="'gpu' is not available"):
        init_segmenter(tiny_config(), device='gpu')


def test_default_device_is_an_available_gpu():
    wanted = 'cuda' if torch.cuda.is_available() else 'cpu'
    model = init_segmenter(tiny_config())
    assert {parameter.device.type for parameter in model.parameters()} == {wanted}


def test_unknown_options_of_segment_video(model, tmp_path):
    folder = frame_folders(write_videos(tmp_path / 'valid', [1]))[0]
    with pytest.raises(AxialVSError, match='unknown class dog'):
        segment_video(model, folder, classes=['class 1', 'dog'])
    with pytest.raises(AxialVSError, match='later'):
        segment_video(model, folder, protocol='later')
    with pytest.raises(AxialVSError, match=r"'offline'.*'near-online'"):
        segment_video(model, folder, mode='offline')
    with pytest.raises(AxialVSError, match='max_frames=-1'):
        segment_video(model, folder, max_frames=-1)


@pytest.mark.parametrize('variable', [None, '2'])
def test_tiny_models_run_on_one_thread(monkeypatch, variable):
    """OMP_NUM_THREADS takes precedence; other models restore the default number of threads."""
    before = torch.get_num_threads()
    if variable is None:
        monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    else:
        monkeypatch.setenv('OMP_NUM_THREADS', variable)
    torch.set_num_threads(2)
    own_threads.cache_clear()
    config = tiny_config()
    try:
        config.num_threads = 1
        init_segmenter(config, device='cpu')
        assert torch.get_num_threads() == (1 if variable is None else 2)
        config.pop('num_threads')
        init_segmenter(config, device='cpu')
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
        own_threads.cache_clear()


def test_names_of_configs_and_weights():
    """A known checkpoint brings its config, by its name or as in a config's `load_from`."""
    by_config = init_segmenter('axialvs-wc_tiny_1xb4-10k_movingshapes')
    assert by_config.num_classes == 5
    for name in ('axialvs-wc_tiny_movingshapes', 'axialvs://axialvs-wc_tiny_movingshapes'):
        assert init_segmenter(checkpoint=name).class_names == SHAPES
    with pytest.raises(AxialVSError, match='give `config`'):
        init_segmenter()


def test_frames_in_memory_match_files(model, tmp_path):
    """Tracks from a list, an array and a generator of BGR frames equal those from files."""
    folder = frame_folders(write_videos(tmp_path / 'valid', [4], seed=2))[0]
    images = [cv2.imread(str(file))[..., ::-1] for file in sorted(folder.iterdir())]
    arguments = dict(score_thr=0.0)
    expected = segment_video(model, folder, **arguments).tracks()
    assert expected
    for frames in (images, np.stack(images)):
        for protocol in ('live', None):
            found = segment_video(model, frames, protocol=protocol, **arguments)
            assert found.tracks() == expected
    reversed_colors = (image[..., ::-1] for image in images)
    found = segment_video(model, reversed_colors, color='bgr', frame_rate=50, **arguments)
    assert [time for clip in found for time in clip.timestamps] == [0, 0.02, 0.04, 0.06]
    assert found.tracks() == expected
    with pytest.raises(AxialVSError, match='scored'):
        segment_video(model, iter(images), protocol='scored')


def test_results_are_written(model, tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (4, 40, 64, 3), np.uint8)
    names = {'out': 'overlay.mp4', 'html': 'page.html', 'json': 'tracks.json', 'masks': 'masks'}
    outputs = {name: tmp_path / file for name, file in names.items()}
    tracks = write_video(model, frames, outputs, score_thr=0.0, stride=2)
    found = json.loads(outputs['json'].read_text())
    assert [x['id'] for x in found['tracks']] == [track.id for track in tracks] != []
    assert [x is None for x in found['video']['timestamps']] == [False, True, False]
    assert sorted(x.name for x in outputs['masks'].iterdir()) == ['00000.png', '00002.png']
    assert len(list(open_video(outputs['out']))) == 2
    assert '2 frames, 64x40' in outputs['html'].read_text()


@pytest.mark.parametrize('name', ['panoptic', 'gif'])
def test_outputs_that_cannot_be_written(model, tmp_path, name):
    frames = np.zeros((2, 40, 64, 3), np.uint8)
    with pytest.raises(AxialVSError, match=name):
        write_video(model, frames, {'json': tmp_path / 'x.json', name: tmp_path / 'x'})
