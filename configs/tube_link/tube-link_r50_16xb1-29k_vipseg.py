# Tube-Link, ResNet-50, VIPSeg. VPQ 39.2 as reported by Tube-Link (paper, table 10).
# Settings of Tube-Link's code: trained on two tubes of two frames, tested on clips of four. Its attention between the
# queries of neighboring tubes and its tracker of boxes are left out: clips are linked as in all near-online models.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/vipseg.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_r50_coco-panoptic'

num_things, num_stuff = 58, 66
clip_length = 4
model = dict(
    clip_length=clip_length,
    backbone=dict(norm_eval=False),
    panoptic_head=dict(
        type='ClipPanopticHead',
        thing_labels=_base_.thing_labels,
        num_things_classes=num_things,
        num_stuff_classes=num_stuff,
        loss_cls=dict(class_weight=[1.0] * (num_things + num_stuff) + [0.1]),
        contrast=dict(loss_weight=0.25, aux_loss_weight=1.0, negative_margin=0.1),
    ),
    test_cfg=dict(panoptic=dict(score=0.8, overlap=0.8), score_thr=0.0),
)
sync_bn = 'torch'  # batch norm is trained, with one clip per GPU

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one draw for all frames of a clip
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadPanopticLabels'),
            dict(
                type='RandomResize', scale=(100_000, 720), ratio_range=(1.0, 2.0), keep_ratio=True
            ),
            dict(type='RandomCrop', crop_size=(736, 736), allow_negative_crop=True),
            dict(type='RandomFlip', prob=0.5),
        ],
    ),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
test_pipeline = [
    dict(type='TransformBroadcaster', transforms=[dict(type='LoadFrame')]),
    dict(type='PackClip'),
]
train_dataloader = dict(
    batch_size=1,
    dataset=dict(
        clip_length=clip_length, load_pipeline=None, paste_pipeline=None, pipeline=train_pipeline
    ),
)
val_dataloader = dict(dataset=dict(clip_length=clip_length, pipeline=test_pipeline))
test_dataloader = val_dataloader

# 8 epochs of the 58k training clips with batch size 16; the learning rate drops after 7.
max_iters = 29_000
param_scheduler = [_base_.warmup, dict(_base_.step_decay, end=max_iters, milestones=[25_500])]
train_cfg = dict(max_iters=max_iters, val_begin=1, val_interval=5_000)
auto_scale_lr = dict(base_batch_size=16)
