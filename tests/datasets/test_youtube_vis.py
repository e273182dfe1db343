"""Tests of test clips, class lists, missing data and sharing with loader workers."""

import copy
import pickle

import numpy as np
import pytest

from axialvs.datasets.annotations.schema import AnnotationError
from tiny_video_data import HEIGHT, WIDTH, frames_of, keys_of, make_content, same


class TestEvaluation:
    def test_clips_of_all_videos_in_order(self, content, build):
        content['annotations'] = None
        dataset = build(content, clip_length=4, test_mode=True)
        samples = [dataset[index] for index in range(len(dataset))]
        assert [frames_of(s) for s in samples] == [
            [0, 1, 2, 3],
            [4] * 4,
            [0, 1, 2, 3],
            [4, 5, 5, 5],
        ]
        last = [s['data_samples'][0] for s in samples]
        assert [f.video_id for f in last] == [1, 1, 2, 2]
        assert [f.clip_start for f in last] == [0, 4, 0, 4]
        assert [f.clip_is_last for f in last] == [False, True, False, True]
        assert [f.num_padded_frames for f in last] == [0, 3, 0, 2]
        assert [f.video_length for f in last] == [5, 5, 6, 6]
        assert [clips.tolist() for clips in dataset.clips_by_video()] == [[0, 1], [2, 3]]

    def test_sample_has_no_ground_truth(self, content, build):
        sample = build(content, test_mode=True)[0]
        frame = sample['data_samples'][2]
        assert sample['inputs'].shape == (3, 3, 24, 32)
        assert (frame.ori_shape, frame.img_shape) == ((HEIGHT, WIDTH), (24, 32))
        assert frame.scale_factor == (0.5, 0.5)
        assert frame.img_path.endswith('v1/00002.png')
        assert 'labels' not in frame.gt_instances

    def test_shortened_clips(self, build):
        dataset = build(make_content((7,)), clip_length=3, test_mode=True, split_mode='shorten')
        assert [frames_of(dataset[i]) for i in range(3)] == [[0, 1, 2], [3, 4], [5, 6]]

    def test_videos_without_objects_are_tested(self, content, build):
        content['annotations'] = []
        assert len(build(content, test_mode=True)) == 4


class TestClasses:
    def test_two_class_lists_in_one_process(self, content, build):
        content['categories'][0]['name'] = 'Caf\u00c3\u00a9'
        first = build(content, classes=('box', 'caf\u00e9'))
        second = build(content)
        for _ in range(2):
            assert first.metainfo['classes'] == ('box', 'caf\u00e9')
            assert first.metainfo['category_ids'] == (8, 3)
            assert second.metainfo['classes'] == ('Caf\u00e9', 'box')
            assert second.metainfo['category_ids'] == (3, 8)
            assert first[0]['data_samples'][0].gt_instances.labels.tolist() == [1, 0]
            assert second[0]['data_samples'][0].gt_instances.labels.tolist() == [0, 1]

    def test_categories_outside_the_class_list(self, content, build, log):
        with pytest.raises(AnnotationError, match=r"instances\.json.*\['owl'\].*\['box'\]"):
            build(content, classes=('owl', 'disc'))
        dataset = build(content, classes=('owl', 'disc'), allow_unlisted_categories=True)
        assert '4 instances of categories that are not a class' in log.text()
        assert dataset.metainfo['category_ids'] == (None, 3)
        assert dataset[0]['data_samples'][0].gt_instances.labels.tolist() == [1]


class TestData:
    def test_missing_image_raises_on_access_or_early_on_request(self, content, build):
        changed = copy.deepcopy(content)
        prefix = build(content).data_prefix
        changed['videos'][1]['file_names'][3] = 'v2/none.png'
        dataset = build(changed, data_prefix=prefix)
        with pytest.raises(
            FileNotFoundError, match=r'v2/none\.png: no such image \(video 2, frame 3\)'
        ):
            dataset[6]
        with pytest.raises(
            FileNotFoundError, match=r'none\.png: .* \(video 2 of .*instances\.json'
        ):
            build(changed, data_prefix=prefix, check_images=True)

    def test_subset(self, content, build):
        dataset = build(content, indices=[1])
        assert {video for video, _ in keys_of(dataset)} == {2}
        assert len(dataset) == 4
        with pytest.raises(NotImplementedError, match='indices'):
            dataset.get_subset(1)

    def test_workers_share_serialized_records(self, content, build):
        """Serialized records are shared by forked workers; a list of objects would be copied."""
        dataset = build(content)
        assert dataset.data_list == []
        assert isinstance(dataset.data_bytes, np.ndarray)
        assert same(pickle.loads(pickle.dumps(dataset))[3], dataset[3])

    @pytest.mark.parametrize('kwargs', [{'clip_length': 0}, {'frame_range': -1}])
    def test_invalid_arguments(self, content, build, kwargs):
        with pytest.raises(ValueError, match=str(next(iter(kwargs.values())))):
            build(content, **kwargs)
