# YouTube-VIS 2021 in its official layout: train/ and valid/, each with instances.json and JPEGImages/.
data_root = 'data/youtube_vis_2021/'
clip_length = 4  # the paper's for VIS; release: 5
classes = '2021'
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
    dict(type='FilterEmptyInstances'),
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
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteClipSampler'),
    dataset=dict(
        type='YouTubeVIS',
        data_root=data_root,
        ann_file='train/instances.json',
        data_prefix=dict(img_path='train/JPEGImages/'),
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
        ann_file='valid/instances.json',
        data_prefix=dict(img_path='valid/JPEGImages/'),
        classes=classes,
        clip_length=clip_length,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

# The public validation set comes without annotations: a test writes the submission for the evaluation server.
val_evaluator = dict(
    type='VideoInstanceMetric',
    ann_file=data_root + 'valid/instances.json',
    format_only=True,
    outfile_prefix='work_dirs/youtube_vis_2021_submission',
)
test_evaluator = val_evaluator
