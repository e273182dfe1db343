# VIPSeg at 720P (124 classes, 58 of them things): images/, panomasksRGB/ and panoptic_gt_VIPSeg_{train,val}.json, as
# python tools/dataset_converters/vipseg_to_720p.py data/VIPSeg --out data/VIPSeg/VIPSeg_720P
data_root = 'data/VIPSeg/VIPSeg_720P/'
clip_length = 2
# Labels of the classes whose objects are told apart; all others are stuff.
# fmt: off
thing_labels = [
    2, 4, 8, 10, 41, 43, 44, *range(46, 53), *range(54, 57), *range(60, 66), 72, 74, *range(76, 80), *range(82, 93),
    *range(95, 98), *range(99, 103), *range(106, 110), *range(114, 119), 122, 123,
]
# fmt: on
image_size = (1345, 769)  # (width, height)

# The second clip, which is pasted, has half the scale.
load_pipeline, paste_pipeline = (
    [
        dict(
            type='TransformBroadcaster',
            share_random_params=True,  # one draw for all frames of a clip
            transforms=[
                dict(type='LoadFrame'),
                dict(type='LoadPanopticLabels'),
                dict(type='RandomResize', scale=image_size, ratio_range=ratios, keep_ratio=True),
                # frames smaller than the crop are padded in the batch only
                dict(type='RandomCrop', crop_size=image_size, allow_negative_crop=True),
                dict(type='RandomFlip', prob=0.5),
                dict(type='ClipPhotoMetricDistortion', swap_channels=False),
            ],
        ),
        dict(type='FilterEmptyInstances'),
    ]
    for ratios in ((0.3, 1.7), (0.15, 0.85))
)
train_pipeline = [
    dict(type='ClipCopyPaste'),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[dict(type='LoadFrame'), dict(type='ShrinkToFit', scale=image_size)],
    ),
    dict(type='PackClip'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteClipSampler'),
    dataset=dict(
        type='VIPSeg',
        data_root=data_root,
        ann_file='panoptic_gt_VIPSeg_train.json',
        data_prefix=dict(img_path='images/', mask_path='panomasksRGB/'),
        clip_length=clip_length,
        load_pipeline=load_pipeline,
        paste_pipeline=paste_pipeline,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='VideoClipSampler'),
    dataset=dict(
        type='VIPSeg',
        data_root=data_root,
        ann_file='panoptic_gt_VIPSeg_val.json',
        data_prefix=dict(img_path='images/', mask_path='panomasksRGB/'),
        clip_length=clip_length,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='VideoPanopticMetric',
    ann_file=data_root + 'panoptic_gt_VIPSeg_val.json',
    mask_prefix=data_root + 'panomasksRGB',
)
test_evaluator = val_evaluator
