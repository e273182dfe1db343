# VIPSeg at 720P (124 classes, 58 of them things): images/, panomasksRGB/ and panoptic_gt_VIPSeg_{train,val}.json, as
# python tools/dataset_converters/vipseg_to_720p.py data/VIPSeg --out data/VIPSeg/VIPSeg_720P
data_root = 'data/VIPSeg/VIPSeg_720P/'
clip_length = 2
# Labels of the classes whose objects are told apart; all others are stuff.
thing_labels = [
    *(
        2,
        4,
        8,
        10,
        41,
        43,
        44,
        46,
        47,
        48,
        49,
        50,
        51,
        52,
        54,
        55,
        56,
        60,
        61,
        62,
        63,
        64,
        65,
        72,
        74,
        76,
        77,
        78,
        79,
    ),
    *(
        82,
        83,
        84,
        85,
        86,
        87,
        88,
        89,
        90,
        91,
        92,
        95,
        96,
        97,
        99,
        100,
        101,
        102,
        106,
        107,
        108,
        109,
    ),
    *(114, 115, 116, 117, 118, 122, 123),
]
image_size = (1345, 769)  # (width, height)

frame_augmentation = [  # after the scale, which is smaller for the clip that is pasted
    # (width, height) in mmdet; frames that come out smaller are padded in the batch only
    dict(type='RandomCrop', crop_size=image_size, allow_negative_crop=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ClipPhotoMetricDistortion', swap_channels=False),
]
load_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one draw for all frames of a clip
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadPanopticLabels'),
            dict(type='RandomResize', scale=image_size, ratio_range=(0.3, 1.7), keep_ratio=True),
            *frame_augmentation,
        ],
    ),
    dict(type='FilterEmptyInstances'),
]
paste_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadPanopticLabels'),
            dict(type='RandomResize', scale=image_size, ratio_range=(0.15, 0.85), keep_ratio=True),
            *frame_augmentation,
        ],
    ),
    dict(type='FilterEmptyInstances'),
]
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
