"""Tests of training clips: index, samples, and reproducibility by seed and position."""

import numpy as np
import pytest
import torch

from axialvs.datasets.seeding import SampleIndex
from tiny_video_data import (
    COLORS,
    FLIP,
    HEIGHT,
    WIDTH,
    batches,
    counts_of,
    frames_of,
    keys_of,
    make_content,
    object_mask,
    same,
    train_pipeline,
)


class TestTraining:
    def test_full_sample(self, content, build):
        sample = build(content, pipeline=train_pipeline())[1]
        assert sample['inputs'].shape == (3, 3, HEIGHT, WIDTH)
        assert sample['inputs'].dtype == torch.uint8
        frames = sample['data_samples']
        assert frames_of(sample) == [1, 2, 3]
        assert [f.gt_instances.instances_ids.tolist() for f in frames] == [
            [0, 9],
            [0, 7, 9],
            [0, 7],
        ]
        assert [f.gt_instances.labels.tolist() for f in frames] == [[0, 1], [0, 1, 1], [0, 1]]
        for position, frame in enumerate(frames):
            instances = frame.gt_instances
            assert (frame.video_id, frame.video_length) == (1, 5)
            assert frame.ori_shape == frame.img_shape == (HEIGHT, WIDTH)
            assert instances.bboxes.shape == (len(instances.labels), 4)
            for identifier, mask in zip(
                instances.instances_ids.tolist(), instances.masks.masks, strict=True
            ):
                np.testing.assert_array_equal(mask, object_mask(identifier, position + 1))
                color = sample['inputs'][position][:, torch.from_numpy(mask).bool()]
                assert color.unique(dim=1).T.tolist() == [list(COLORS[identifier])]

    def test_index_has_starts_of_complete_clips(self, content, build):
        starts = [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (2, 3)]
        assert keys_of(build(content)) == starts

    def test_starts_without_objects_are_skipped_and_counted(self, content, build, log):
        for index in (0, 2):
            content['annotations'][index]['segmentations'] = [None] * 5
        content['annotations'][1]['segmentations'][2] = None  # leaves frames 3 and 4
        content['annotations'][5]['iscrowd'] = 1
        dataset = build(content, clip_length=2)
        assert keys_of(dataset)[:2] == [(1, 2), (1, 3)]
        said = log.text()
        assert '2 start frames whose clip shows no object' in said
        assert '2 instances that are never visible' in said
        assert '1 crowd instances' in said
        everything = build(content, clip_length=2, filter_empty=False)
        assert keys_of(everything)[:4] == [(1, 0), (1, 1), (1, 2), (1, 3)]

    def test_video_without_objects_is_skipped_and_counted(self, content, build, log):
        content['annotations'] = content['annotations'][3:]
        assert {video for video, _ in keys_of(build(content))} == {2}
        assert '1 videos without a clip that shows an object' in log.text()

    def test_dataset_without_objects_raises(self, content, build):
        for annotation in content['annotations']:
            annotation['iscrowd'] = 1
        with pytest.raises(ValueError, match=r'none of its 2 videos.*6 crowd instances'):
            build(content)
        content['annotations'] = None
        with pytest.raises(ValueError, match=r"instances\.json: field 'annotations'"):
            build(content)

    def test_short_video_repeats_its_last_frame(self, build):
        sample = build(make_content((2,)), clip_length=4)[0]
        assert frames_of(sample) == [0, 1, 1, 1]
        assert torch.equal(sample['inputs'][1], sample['inputs'][3])

    def test_crowd_is_ignored(self, content, build):
        content['annotations'][0]['iscrowd'] = 1
        frame = build(content)[0]['data_samples'][0]
        assert frame.gt_instances.instances_ids.tolist() == [9]
        assert frame.ignored_instances.instances_ids.tolist() == [0]

    def test_every_kind_of_segmentation_becomes_its_mask(self, content, build):
        polygon = [[10, 20, 30, 20, 30, 40, 10, 40]]
        entries = [counts_of(object_mask(0, 0)), None, polygon, *[None] * 2]
        content['annotations'][0]['segmentations'] = entries
        frames = build(content, pipeline=train_pipeline())[0]['data_samples']
        assert [0 in f.gt_instances.instances_ids for f in frames] == [True, False, True]
        np.testing.assert_array_equal(frames[0].gt_instances.masks.masks[0], object_mask(0, 0))
        expected = np.zeros((HEIGHT, WIDTH))
        expected[20:40, 10:30] = 1
        np.testing.assert_array_equal(frames[2].gt_instances.masks.masks[0], expected)

    def test_large_ids_survive(self, content, build):
        content['annotations'][0]['id'] = 2**40
        frame = build(content)[0]['data_samples'][0]
        assert frame.gt_instances.instances_ids.tolist() == [2**40, 9]

    def test_frame_range(self, build):
        dataset = build(make_content((30,)), frame_range=4)
        spans = [np.subtract(frames_of(dataset[SampleIndex(p, 15, 0)]), 15) for p in range(40)]
        assert all(0 in span and abs(span).max() <= 4 for span in spans)
        assert len({tuple(span) for span in spans}) > 10
        with pytest.raises(ValueError, match='frame_range=1 covers 3 frames'):
            build(make_content(), frame_range=1, clip_length=4)

    def test_crop_without_objects_is_redrawn(self, content, build):
        crop = {'type': 'RandomCrop', 'crop_size': (4, 4), 'allow_negative_crop': True}
        dataset = build(content, pipeline=train_pipeline(crop))
        for position in range(20):
            sample = dataset[SampleIndex(position, 0, 0)]
            assert sum(len(f.gt_instances) for f in sample['data_samples'])

    def test_clip_without_a_visible_pixel_is_redrawn(self, content, build):
        content['annotations'] = [content['annotations'][0], *content['annotations'][3:]]
        content['annotations'][0]['segmentations'] = [[[5, 5, 5, 5, 5, 5]]] * 5
        sample = build(content)[SampleIndex(0, 0, 0)]
        assert {frame.video_id for frame in sample['data_samples']} == {2}

    def test_too_many_redraws_error_names_the_video(self, content, build):
        content['annotations'] = content['annotations'][3:4]
        crop = {'type': 'RandomCrop', 'crop_size': (1, 1), 'allow_negative_crop': True}
        # The mask is in one corner of one frame, which a crop of one pixel will hardly hit.
        dot = np.zeros((HEIGHT, WIDTH), bool)
        dot[0, 0] = True
        content['annotations'][0]['segmentations'] = [counts_of(dot), *[None] * 5]
        dataset = build(content, pipeline=train_pipeline(crop), max_redraws=6)
        with pytest.raises(ValueError, match=r'instances\.json: 7 draws of clips of videos \[2\]'):
            dataset[0]


class TestRepetition:
    def test_sample_depends_on_seed_and_position_only(self, content, build):
        crop = {'type': 'RandomCrop', 'crop_size': (40, 30), 'allow_negative_crop': True}
        pipeline = train_pipeline(FLIP, crop)
        one, other = (build(content, pipeline=pipeline, frame_range=3) for _ in range(2))
        for position in (5, 3, 8):
            one[SampleIndex(position, 2, 1)]  # moves nothing
        sample = one[SampleIndex(7, 2, 1)]
        assert same(sample, other[SampleIndex(7, 2, 1)])
        assert not same(sample, other[SampleIndex(8, 2, 1)])
        assert not same(sample, other[SampleIndex(7, 2, 2)])

    def test_plain_index_uses_the_dataset_seed(self, content, build):
        dataset = build(content, seed=3)
        assert same(dataset[-1], dataset[SampleIndex(6, 6, 3)])
        with pytest.raises(IndexError):
            dataset[7]

    @pytest.mark.parametrize('num_workers', [0, 2])
    def test_resumed_run_continues_with_the_same_batches(self, content, build, num_workers):
        dataset = build(content)
        whole = batches(dataset, 0, 6)
        assert all(map(same, whole[4:], batches(dataset, num_workers, 2, skip=4)))
        assert not same(whole[0], whole[1])
