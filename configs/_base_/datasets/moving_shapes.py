# The generated dataset "moving shapes", level "demo": flips and mild color jitter, no resizing.
# python tools/dataset_converters/generate_moving_shapes.py data/moving_shapes/demo --level demo
data_root = 'data/moving_shapes/demo/'
clip_length = 3

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one draw for all frames of a clip
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadClipAnnotations'),
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
        type='YouTubeVIS',
        data_root=data_root,
        ann_file='train/instances.json',
        data_prefix=dict(img_path='train/JPEGImages/'),
        clip_length=clip_length,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='VideoClipSampler'),
    dataset=dict(
        type='YouTubeVIS',
        data_root=data_root,
        ann_file='valid/instances.json',
        data_prefix=dict(img_path='valid/JPEGImages/'),
        clip_length=clip_length,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='VideoInstanceMetric', ann_file=data_root + 'valid/instances.json')
test_evaluator = val_evaluator
