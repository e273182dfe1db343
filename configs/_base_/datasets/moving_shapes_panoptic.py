# The generated dataset "moving shapes", level "panoptic": 5 shapes (things) and 4 bands (stuff).
# python tools/dataset_converters/generate_moving_shapes.py data/moving_shapes/panoptic --level panoptic
data_root = 'data/moving_shapes/panoptic/'
clip_length = 2
thing_labels = [0, 1, 2, 3, 4]

load_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one draw for all frames of a clip
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadPanopticLabels'),
            dict(type='RandomFlip', prob=0.5),
            dict(
                type='ClipPhotoMetricDistortion',
                brightness_delta=16,
                contrast_range=(0.8, 1.2),
                saturation_range=(0.8, 1.2),
                hue_delta=9,
                swap_channels=False,
            ),
        ],
    ),
    dict(type='FilterEmptyInstances'),
]
train_pipeline = [
    dict(type='ClipCopyPaste', prob=0.5),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            # The size of the generated videos; other videos are resized to it.
            dict(type='Resize', scale=(160, 96), keep_ratio=True),
        ],
    ),
    dict(type='PackClip'),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='InfiniteClipSampler'),
    dataset=dict(
        type='VIPSeg',
        data_root=data_root,
        ann_file='train/panoptic.json',
        data_prefix=dict(img_path='train/images/', mask_path='train/panomasksRGB/'),
        clip_length=clip_length,
        load_pipeline=load_pipeline,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='VideoClipSampler'),
    dataset=dict(
        type='VIPSeg',
        data_root=data_root,
        ann_file='valid/panoptic.json',
        data_prefix=dict(img_path='valid/images/', mask_path='valid/panomasksRGB/'),
        clip_length=clip_length,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='VideoPanopticMetric',
    ann_file=data_root + 'valid/panoptic.json',
    mask_prefix=data_root + 'valid/panomasksRGB',
)
test_evaluator = val_evaluator
