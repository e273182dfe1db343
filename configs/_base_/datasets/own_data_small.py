# Own data for the tiny models: clips of 3 small frames, with crops and color jitter.
_base_ = './own_data.py'

clip_length = 3
size = (160, 96)  # (width, height), as in the training of the tiny weights

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadClipAnnotations'),
            dict(
                type='RandomChoiceResize',
                scales=[(_base_.long_side_free, short) for short in range(96, 161, 16)],
                keep_ratio=True,
            ),
            dict(type='RandomCrop', crop_size=size, allow_negative_crop=True),
            dict(type='RandomFlip', prob=0.5),
            dict(type='ClipPhotoMetricDistortion', swap_channels=False),
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
            dict(type='Resize', scale=size, keep_ratio=True),
        ],
    ),
    dict(type='PackClip'),
]
train_dataloader = dict(
    num_workers=1, dataset=dict(clip_length=clip_length, pipeline=train_pipeline)
)
val_dataloader = dict(num_workers=1, dataset=dict(clip_length=clip_length, pipeline=test_pipeline))
test_dataloader = val_dataloader
