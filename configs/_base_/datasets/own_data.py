# Own data in the YouTube-VIS layout (docs/own_data.md): data/own/ has JPEGImages/, train.json and test.json.
# A config with other classes gives them to the three data sets, and their number to the model.
data_root = 'data/own/'
classes = ('object',)
clip_length = 4
long_side_free = 1_000_000

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one draw for all frames of a clip
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadClipAnnotations'),
            dict(
                type='RandomChoiceResize',
                scales=[(long_side_free, short) for short in range(288, 513, 32)],
                keep_ratio=True,
            ),
            dict(type='RandomFlip', prob=0.5),
        ],
    ),
    dict(type='KeepVisibleInstances'),
    dict(type='PackClip'),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=(640, 360), keep_ratio=True),
        ],
    ),
    dict(type='PackClip'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteClipSampler'),
    dataset=dict(
        type='YouTubeVIS',
        data_root=data_root,
        ann_file='train.json',
        data_prefix=dict(img_path='JPEGImages/'),
        classes=classes,
        clip_length=clip_length,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='VideoClipSampler'),
    dataset=dict(
        type='YouTubeVIS',
        data_root=data_root,
        ann_file='test.json',
        data_prefix=dict(img_path='JPEGImages/'),
        classes=classes,
        clip_length=clip_length,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='VideoInstanceMetric', ann_file=data_root + 'test.json')
test_evaluator = val_evaluator
