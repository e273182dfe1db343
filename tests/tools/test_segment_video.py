"""The command segment_video.py in offline mode: its options reach the model."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from axialvs.apis import init_segmenter, segment_video
from axialvs.inference.segment_options import parse_args
from axialvs.tracking.linking import LinkSettings
from encoded_videos import encode
from generated_videos import frame_folders, write_videos

ROOT = Path(__file__).parents[2]
MODEL = {
    'config': ROOT / 'configs' / 'axialvs' / 'axialvs-cc_tiny_1xb2-400_movingshapes.py',
    'checkpoint': ROOT / 'weights' / 'axialvs-cc_tiny_movingshapes.pth',
}
NUM_FRAMES = 15  # five clips


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    split = write_videos(tmp_path_factory.mktemp('videos') / 'valid', [NUM_FRAMES], seed=3)
    return frame_folders(split)[0]


@pytest.fixture
def tracks(run_tool, folder, tmp_path):
    """Return class, score and masks of each track written by the command."""

    def run(*options) -> list[tuple]:
        out = tmp_path / 'tracks.json'
        model = (f'--{name}={path}' for name, path in MODEL.items())
        options = ('--mode', 'offline', *options)
        assert run_tool('segment_video.py', folder, *model, '--json', out, *options) == 0
        content = json.loads(out.read_text())
        assert content['video']['length'] == NUM_FRAMES
        return [(x['category_id'], x['score'], x['segmentations']) for x in content['tracks']]

    return run


def expected(folder, **settings):
    """Return the tracks of the Python function with the given `test_cfg`."""
    model = init_segmenter(MODEL['config'], MODEL['checkpoint'])
    protocol = settings.pop('protocol')
    model.test_cfg.update(settings)
    found = segment_video(model, folder, mode='offline', protocol=protocol).tracks()
    return [(model.category_ids[x.label], x.score, x.segmentations) for x in found]


def test_window(tracks, folder):
    small = tracks('--protocol', 'live', '--window', 2, '--window-overlap', 1)
    window = dict(num_clips=2, overlap=1)
    assert small == expected(folder, protocol='live', window=window)
    assert small != tracks('--protocol', 'live')  # all five clips at once


def test_track_buffer(monkeypatch, capsys):
    command = ['segment_video.py', 'video.mp4', '--json', 'tracks.json', '--track-buffer', '2']
    monkeypatch.setattr(sys, 'argv', command)
    settings = LinkSettings.from_test_cfg(parse_args('').test_cfg(), masks_compete=False)
    assert settings.memory == {'max_age': 2}
    monkeypatch.setattr(sys, 'argv', [*command, '--mode', 'offline'])
    with pytest.raises(SystemExit):
        parse_args('')
    assert '--track-buffer needs --mode near-online' in capsys.readouterr().err


def test_features_are_buffered_in_a_file(tracks, folder):
    whole = expected(folder, protocol='scored')
    assert tracks('--feature-memory', 0) == whole
    half = tracks('--half-features')
    assert [x[0] for x in half] == [x[0] for x in whole]
    assert [x[1] for x in half] == pytest.approx([x[1] for x in whole], abs=1e-2)


def test_mixed_precision(tracks, folder):
    """Scores of a near-online run of the command differ slightly from those in float32."""
    whole = tracks('--mode', 'near-online')
    low = tracks('--mode', 'near-online', '--amp', 'bfloat16')
    assert [x[1] for x in low] != [x[1] for x in whole]
    best, best_low = (max(found, key=lambda x: x[1]) for found in (whole, low))
    assert best_low[1] == pytest.approx(best[1], abs=0.05)
    assert tracks('--amp', 'bfloat16') != expected(
        folder, protocol='scored'
    )  # offline mode also runs


@pytest.mark.parametrize('machine_has_gpu', [False, True])
def test_unsupported_half_precision(run_tool, folder, capsys, monkeypatch, machine_has_gpu):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: machine_has_gpu)
    options = ('--json', 'x.json', '--amp', 'float16', '--device', 'cpu')
    assert run_tool('segment_video.py', folder, *options) == 2
    assert 'float16 needs a GPU, not cpu' in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason='speaks of a GPU that is not there')
def test_default_device_is_an_available_gpu(run_tool, folder, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert run_tool('segment_video.py', folder, '--json', 'x.json') == 2
    assert "'cuda' is not available" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--json', 'x.json', '--window', 4], '--mode offline --protocol live'),
        (
            ['--json', 'x.json', '--window', 4, '--mode', 'offline'],
            '--mode offline --protocol live',
        ),
        (['--json', 'x.json', '--half-features'], '--mode offline --protocol scored'),
        (
            ['--json', 'x.json', '--mode', 'offline', '--protocol', 'live', '--feature-memory', 0],
            '--mode offline --protocol scored',
        ),
        (
            ['--json', 'x.json', '--mode', 'offline', '--feature-memory', -1],
            '--feature-memory: -1: must be from 0 to',
        ),
        (['--json', 'x.json', '--score-thr', 50], '--score-thr: 50: must be from 0 to 1'),
        (['--json', 'x.json', '--score-thr', 'nan'], '--score-thr: nan: must be from 0 to 1'),
        (['--out', 'x.mp4', '--format', 'coco-video'], 'coco-video needs --json'),
        (['--out', 'x.mp4', '--trail', -1], '--trail: -1: must be from 0 to'),
        (['--out', 'x.mp4', '--alpha', 2], '--alpha: 2: must be from 0 to 1'),
        (['--json', 'x.mp4', '--out', 'x.mp4'], '--json x.mp4: refusing to overwrite --out'),
        (
            ['--json', 'x.json', '--checkpoint', 'mask2former_r50_coco'],
            'mask2former_r50_coco: Mask2Former R50 on COCO instances, to initialize training, not',
        ),
    ],
)
def test_useless_and_harmful_options_are_rejected(run_tool, folder, capsys, options, message):
    assert run_tool('segment_video.py', folder, *options) == 2
    assert message in capsys.readouterr().err


def test_video_is_not_overwritten(run_tool, tmp_path, capsys):
    video = tmp_path / 'video.mp4'
    video.write_bytes(b'frames')
    assert run_tool('segment_video.py', video, '--json', tmp_path / '.' / 'video.mp4') == 2
    assert 'video.mp4: refusing to overwrite the video' in capsys.readouterr().err
    assert video.read_bytes() == b'frames'


def test_wrong_suffix_is_rejected_before_segmenting(run_tool, folder, tmp_path, capsys):
    model = [f'--{name}={path}' for name, path in MODEL.items()]
    options = ['--out', tmp_path / 'x.avi', '--json', tmp_path / 'x.json']
    assert run_tool('segment_video.py', folder, *model, *options) == 2
    errors = capsys.readouterr().err
    assert 'a video is written as .mp4' in errors
    assert 'segmenting' not in errors
    assert not any(tmp_path.iterdir())


def test_old_tracks_are_kept_if_nothing_was_segmented(run_tool, folder, tmp_path, capsys):
    out = tmp_path / 'tracks.json'
    out.write_text('of before')
    model = [f'--{name}={path}' for name, path in MODEL.items()]
    options = ['--mode', 'offline', '--protocol', 'live', '--window', 4]  # the overlap is 4 as well
    assert run_tool('segment_video.py', folder, *model, '--json', out, *options) == 2
    assert 'overlap is 4, but num_clips 4' in capsys.readouterr().err
    assert out.read_text() == 'of before'


@pytest.mark.parametrize('prefix', ['', 'axialvs://'])
def test_known_checkpoint_determines_its_config(run_tool, folder, tmp_path, prefix):
    out = tmp_path / 'tracks.json'
    options = ['--checkpoint', f'{prefix}axialvs-cc_tiny_movingshapes', '--max-frames', 3]
    assert run_tool('segment_video.py', folder, '--json', out, *options) == 0
    assert json.loads(out.read_text())['video']['length'] == 3


def near_online(run_tool, source, tmp_path, *options):
    out = tmp_path / 'tracks.json'
    model = ('--checkpoint', 'axialvs-wc_tiny_movingshapes')
    code = run_tool('segment_video.py', source, *model, '--json', out, *options)
    return code, json.loads(out.read_text()) if out.exists() else None


def test_full_disk_affects_only_outputs_that_do_not_fit(
    run_tool, folder, tmp_path, capsys, monkeypatch, limit_file_size
):
    """All outputs that failed are named, and no empty or partial file is left."""
    names = ('out.mp4', 'html.html', 'masks', 'crops', 'panoptic', 'boxes.csv')
    options = [x for name in names for x in (f'--{Path(name).stem}', tmp_path / name)]
    near_online(run_tool, folder, tmp_path, *options)
    sizes = {x.name: size_of(x) for x in tmp_path.iterdir()}
    assert {*names, 'tracks.json'} == sizes.keys()
    for target in tmp_path.iterdir():
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    limit = min(sizes[name] for name in ('out.mp4', 'html.html', 'crops')) - 1
    fits = {name for name, size in sizes.items() if size <= limit}
    assert 'boxes.csv' in fits

    capsys.readouterr()
    monkeypatch.setattr(
        'axialvs.apis.segment_video',
        lambda *args, **options: [limit_file_size(limit), segment_video(*args, **options)][1],
    )
    code, _ = near_online(run_tool, folder, tmp_path, *options)
    assert code == 2
    (error,) = [x for x in capsys.readouterr().err.splitlines() if 'error:' in x]
    assert {name for name in sizes if str(tmp_path / name) in error} == sizes.keys() - fits
    left = [x for x in tmp_path.rglob('*') if x.is_file()]
    assert all(x.stat().st_size and x.suffix != '.partial' for x in left)
    assert {name for name in sizes if size_of(tmp_path / name) == sizes[name]} == fits


def size_of(path: Path) -> int:
    """Return the size of a file, or of the largest file in a folder."""
    return max((x.stat().st_size for x in [path, *path.rglob('*')] if x.is_file()), default=0)


@pytest.mark.parametrize('option', ['--json', '--out'])
def test_unwritable_output_is_rejected_before_segmenting(
    run_tool, folder, tmp_path, capsys, option
):
    path = tmp_path / ('x' * 260 + '.mp4')
    assert run_tool('segment_video.py', folder, option, path) == 2
    errors = capsys.readouterr().err
    assert str(path) in errors
    assert 'segmenting' not in errors


def test_times_and_frame_numbers_match_the_source(run_tool, tmp_path):
    """Damaged frames have no masks and no timestamp; later frames keep their indices."""
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(7)]
    video = encode(tmp_path / 'x.avi', images, 'png', 'rgb24', {})
    data = bytearray(video.read_bytes())
    position = [x.start() for x in re.finditer(b'\x89PNG', data)][3]
    data[position : position + 60] = bytes(60)
    video.write_bytes(data)
    _, found = near_online(run_tool, video, tmp_path, '--score-thr', 0)
    times = found['video']['timestamps']
    assert times[3:5] == [None, None]
    assert times[:3] + times[5:] == pytest.approx([0, 0.1, 0.2, 0.5, 0.6])
    assert found['video']['length'] == 7
    assert found['tracks']
    for track in found['tracks']:
        assert len(track['segmentations']) == 7
        assert track['segmentations'][3:5] == [None, None]


def test_scored_tracks_reach_the_threshold(run_tool, folder, tmp_path, capsys):
    _, everything = near_online(run_tool, folder, tmp_path, '--protocol', 'scored')
    scores = sorted(x['score'] for x in everything['tracks'])
    threshold = scores[len(scores) // 2]
    options = ('--protocol', 'scored', '--score-thr', threshold)
    capsys.readouterr()
    _, found = near_online(run_tool, folder, tmp_path, *options)
    assert [x['score'] for x in found['tracks']] == [
        x['score'] for x in everything['tracks'] if x['score'] >= threshold
    ]
    assert f'{len(found["tracks"])} tracks' in capsys.readouterr().out


def test_html_page_contains_the_tracks(run_tool, folder, tmp_path, capsys):
    page = tmp_path / 'page.html'
    _, found = near_online(run_tool, folder, tmp_path, '--html', page)
    assert found['tracks']
    text = page.read_text()
    for track in found['tracks']:
        for rle in filter(None, track['segmentations']):
            assert json.dumps(rle['counts'])[1:-1] in text
    assert 'data:video' in text or '"video": "' in text
    assert f'wrote {page}' in capsys.readouterr().out
    assert {x.name for x in tmp_path.iterdir()} == {'tracks.json', 'page.html'}


@pytest.mark.parametrize('protocol', ['live', 'scored'])
def test_masks_boxes_and_crops_match_the_tracks(run_tool, folder, tmp_path, protocol):
    """The files are read with Pillow, csv and pycocotools."""
    masks, boxes, crops = tmp_path / 'masks', tmp_path / 'boxes.csv', tmp_path / 'crops'
    options = ('--masks', masks, '--boxes', boxes, '--crops', crops, '--protocol', protocol)
    options += ('--score-thr', 0.5)
    code, found = near_online(run_tool, folder, tmp_path, *options)
    assert code == 0
    assert found['tracks']
    assert found['model']['checkpoint'] == 'axialvs-wc_tiny_movingshapes'
    names = {x['id']: x['name'] for x in found['categories']}
    assert len(list(masks.iterdir())) == NUM_FRAMES
    with boxes.open(newline='') as file:
        rows = list(csv.DictReader(file))
    number = 0
    by_score = sorted(found['tracks'], key=lambda x: -x['score'])
    for frame in range(NUM_FRAMES):
        image = Image.open(masks / f'{frame:05d}.png')
        assert image.mode == 'P'
        assert image.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        ids = np.array(image)
        above = np.zeros(ids.shape, dtype=bool)
        for track in by_score:
            if rle := track['segmentations'][frame]:
                mask = coco_mask.decode(rle).astype(bool)
                assert np.array_equal(ids == track['id'], mask & ~above)
                above |= mask
        assert np.array_equal(ids > 0, above)
        for track in found['tracks']:
            if rle := track['segmentations'][frame]:
                box = coco_mask.toBbox(rle).tolist()
                assert track['bboxes'][frame] == box
                row, number = rows[number], number + 1
                assert (int(row['frame']), int(row['id'])) == (frame, track['id'])
                assert row['class'] == track['category'] == names[track['category_id']]
                assert [float(row[x]) for x in 'xywh'] == box
                assert float(row['time']) == found['video']['timestamps'][frame]
    assert number == len(rows)
    for track in found['tracks']:
        alpha = np.array(Image.open(crops / f'{track["id"]:05d}.png'))[..., 3]
        largest = max(coco_mask.area(x) for x in track['segmentations'] if x)
        assert np.count_nonzero(alpha) == largest


def test_mattes_match_the_masks_of_each_track(run_tool, folder, tmp_path):
    """The files are read with Pillow; each track has a folder with all frames."""
    mattes = tmp_path / 'mattes'
    code, found = near_online(run_tool, folder, tmp_path, '--mattes', mattes)
    assert code == 0
    assert {x.name for x in mattes.iterdir()} == {f'{x["id"]:05d}' for x in found['tracks']}
    for track in found['tracks']:
        for frame, rle in enumerate(track['segmentations']):
            with Image.open(mattes / f'{track["id"]:05d}' / f'{frame:05d}.png') as image:
                assert image.mode == 'L'
                matte = np.array(image)
            expected = coco_mask.decode(rle) * 255 if rle else 0
            assert (matte == expected).all()


def test_annotation_layouts_have_the_same_tracks(run_tool, folder, tmp_path):
    """YouTube-VIS is read directly, COCO with videos through pycocotools."""
    _, found = near_online(run_tool, folder, tmp_path)
    tracks = {x['id']: x for x in found['tracks']}
    assert tracks
    _, vis = near_online(run_tool, folder, tmp_path, '--format', 'youtube-vis')
    assert vis['categories'] == found['categories']
    (video,) = vis['videos']
    assert len(video['file_names']) == video['length'] == NUM_FRAMES
    assert {x['id'] for x in vis['annotations']} == set(tracks)
    for annotation in vis['annotations']:
        track = tracks[annotation['id']]
        assert annotation['segmentations'] == track['segmentations']
        assert annotation['bboxes'] == track['bboxes']
        assert annotation['category_id'] == track['category_id']
        assert annotation['score'] == track['score']
    near_online(run_tool, folder, tmp_path, '--format', 'coco-video')
    coco = COCO(tmp_path / 'tracks.json')
    count = 0
    for image in coco.loadImgs(coco.getImgIds()):
        for annotation in coco.loadAnns(coco.getAnnIds(image['id'])):
            rle = tracks[annotation['instance_id']]['segmentations'][image['frame_id']]
            assert np.array_equal(coco.annToMask(annotation), coco_mask.decode(rle))
            assert annotation['area'] == coco_mask.area(rle)
            count += 1
    assert count == sum(x is not None for y in tracks.values() for x in y['segmentations'])


@pytest.mark.parametrize('option', ['--masks', '--crops', '--mattes'])
def test_nonempty_folder_is_not_written_to(run_tool, folder, tmp_path, capsys, option):
    (tmp_path / 'kept.png').write_bytes(b'')
    assert run_tool('segment_video.py', folder, option, tmp_path) == 2
    assert f"{tmp_path}' is not empty" in capsys.readouterr().err


def test_help_imports_no_network_library():
    code = (
        'import sys, runpy; sys.argv = ["segment_video.py", "--help"]\n'
        'try:\n    runpy.run_path(sys.path.pop(0), run_name="__main__")\n'
        'except SystemExit:\n    pass\n'
        'assert not {"torch", "mmengine", "cv2", "av"} & set(sys.modules)'
    )
    tool = str(ROOT / 'tools' / 'segment_video.py')
    code = f'import sys; sys.path.insert(0, {tool!r})\n{code}'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True).returncode == 0
