"""Hold-out splits have the requested size and, where possible, every class in both parts."""

import errno
import json
import random
from collections import Counter
from itertools import combinations

import pytest

from axialvs.data_tools.splitting import (
    NO_OBJECT,
    choose_holdout,
    classes_of_videos,
    part_paths,
    write_parts,
)
from axialvs.datasets.annotations.youtube_vis import read_annotations
from tiny_video_data import make_content


def shown(classes, videos) -> set[int]:
    return {name for video in videos for name in classes[video]}


def random_classes(seed: int, videos: int, names: int) -> dict[int, set[int]]:
    """Return classes of very different frequency, several per video."""
    draw = random.Random(seed)
    rates = [draw.choice([0.05, 0.2, 0.5]) for _ in range(names)]
    return {
        video: {name for name in range(names) if draw.random() < rates[name]} or {NO_OBJECT}
        for video in range(videos)
    }


def test_split_covers_the_most_classes():
    """Compare with all splits that leave a training video for every class."""
    for seed in range(60):
        draw = random.Random(seed)
        classes = random_classes(seed, draw.randint(4, 8), draw.randint(2, 6))
        everything = shown(classes, classes)
        choices = [
            chosen
            for size in range(len(classes))
            for chosen in combinations(classes, size)
            if shown(classes, classes.keys() - set(chosen)) == everything
        ]
        most = max(len(shown(classes, chosen)) for chosen in choices)
        if most == 0:
            with pytest.raises(ValueError, match='the only one of some class'):
                choose_holdout(classes, 0.25)
            continue
        chosen = choose_holdout(classes, 0.25)
        assert tuple(chosen) in choices
        assert len(shown(classes, chosen)) == most


def test_fraction_of_videos_and_of_each_class():
    classes = random_classes(3, 600, 40)
    counts = Counter(name for video in classes.values() for name in video)
    chosen = choose_holdout(classes, 0.1, seed=1)
    assert len(chosen) == 60
    held = Counter(name for video in chosen for name in classes[video])
    for name, number in counts.items():
        assert (held[name] > 0) == (number > 1)
        assert held[name] == pytest.approx(0.1 * number, abs=max(3, 0.05 * number))


def test_split_depends_only_on_seed_and_content():
    classes = random_classes(5, 100, 10)
    turned = dict(reversed(classes.items()))
    chosen = choose_holdout(classes, 0.2, seed=4)
    assert chosen == choose_holdout(turned, 0.2, seed=4) == sorted(chosen)
    assert chosen != choose_holdout(classes, 0.2, seed=5)
    # A fixed split, so that existing splits stay reproducible.
    assert choose_holdout({video: {0} for video in range(20)}, 0.2, seed=0) == [7, 10, 11, 12]


def test_rare_classes_enlarge_the_holdout_part():
    classes = {video: {video // 2} for video in range(20)}
    assert len(choose_holdout(classes, 0.1)) == 10
    alone = {**classes, 20: {99}}
    assert 20 not in choose_holdout(alone, 0.5)


@pytest.mark.parametrize('share', [0, 1, -0.1, float('nan')])
def test_invalid_fraction(share):
    with pytest.raises(ValueError, match='between 0 and 1'):
        choose_holdout({1: {0}, 2: {0}}, share)


def test_too_few_videos():
    with pytest.raises(ValueError, match='leaves no videos for training'):
        choose_holdout({1: {0}}, 0.1)


def test_parts_together_equal_the_file(write_json, tmp_path):
    content = make_content(lengths=(5, 6, 4, 3))
    content['info'] = {'year': 2021}
    content['annotations'][0]['iscrowd'] = 1  # the only disc of the first video
    classes = classes_of_videos(read_annotations(write_json(content)))
    assert classes == {1: {8}, 2: {3, 8}, 3: {3, 8}, 4: {3, 8}}
    paths = part_paths(tmp_path / 'whole.json')
    write_parts(content, {'main': {2, 4}, 'holdout': {1, 3}}, paths)
    parts = [json.loads(path.read_text()) for path in paths.values()]
    for part in parts:
        assert part['categories'] == content['categories']
        assert part['info'] == content['info']
    for key in ('videos', 'annotations'):
        joined = parts[0][key] + parts[1][key]
        assert sorted(joined, key=lambda one: one['id']) == content[key]
    read = read_annotations(write_json(parts[0]))
    assert [video.id for video in read.videos] == [2, 4]


def test_full_disk_leaves_no_partial_files(tmp_path, monkeypatch):
    content = make_content(lengths=(2, 2))
    paths = part_paths(tmp_path / 'whole.json')
    written = []

    def write(path, data):
        if written:
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        written.append(path)
        path.write_bytes(data)

    monkeypatch.setattr('axialvs.data_tools.splitting.write_atomically', write)
    with pytest.raises(OSError, match='No space'):
        write_parts(content, {'main': {1}, 'holdout': {2}}, paths)
    assert written
    assert not list(tmp_path.iterdir())
