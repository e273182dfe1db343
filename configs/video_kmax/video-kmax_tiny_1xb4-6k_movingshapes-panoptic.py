# Video-kMaX, tiny, generated panoptic videos: the baseline.
_base_ = [
    '../_base_/models/video-kmax_tiny.py',
    '../_base_/datasets/moving_shapes_panoptic.py',
    '../_base_/schedules/moving_shapes_panoptic.py',
    '../_base_/default_runtime.py',
]

model = dict(clip_length=_base_.clip_length)
