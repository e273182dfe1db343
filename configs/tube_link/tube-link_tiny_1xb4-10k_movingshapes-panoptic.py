# Tube-Link, tiny, generated panoptic videos: trained on two tubes of two frames with the contrastive loss.
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes_panoptic.py',
    '../_base_/schedules/moving_shapes.py',
    '../_base_/default_runtime.py',
]

num_things, num_stuff = 5, 4
model = dict(
    clip_length=_base_.clip_length,
    panoptic_head=dict(
        type='ClipPanopticHead',
        num_things_classes=num_things,
        num_stuff_classes=num_stuff,
        num_queries=20 + num_stuff,
        loss_cls=dict(class_weight=[1.0] * (num_things + num_stuff) + [0.4]),
        contrast=dict(),
    ),
    test_cfg=dict(panoptic=dict(score=0.5, overlap=0.5), score_thr=0.0),
)
train_dataloader = dict(dataset=dict(num_frames=2 * _base_.clip_length))
