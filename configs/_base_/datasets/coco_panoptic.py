# COCO panoptic 2017 (133 classes), images as clips of one frame: the pre-training of Video-kMaX. Official layout:
# train2017/, val2017/ and annotations/ with panoptic_{train,val}2017.json and the folders of PNGs of the same names.
data_root = 'data/coco/'
image_size = (1281, 1281)  # (width, height)
thing_labels = list(range(80))  # the classes of the file are in this order: things, then stuff

# The second image, which is pasted, has half the scale.
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
    for ratios in ((0.2, 2.0), (0.1, 1.0))
)
train_pipeline = [
    dict(type='ClipCopyPaste'),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
test_pipeline = [
    dict(
        type='TransformBroadcaster',
        transforms=[
            dict(type='LoadFrame'),
            dict(type='Resize', scale=image_size, keep_ratio=True),
        ],
    ),
    dict(type='PackClip'),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='InfiniteClipSampler'),
    dataset=dict(
        type='CocoPanoptic',
        data_root=data_root,
        ann_file='annotations/panoptic_train2017.json',
        data_prefix=dict(img_path='train2017/', mask_path='annotations/panoptic_train2017/'),
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
        type='CocoPanoptic',
        data_root=data_root,
        ann_file='annotations/panoptic_val2017.json',
        data_prefix=dict(img_path='val2017/', mask_path='annotations/panoptic_val2017/'),
        clip_length=1,
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    type='ImagePanopticMetric',
    ann_file=data_root + 'annotations/panoptic_val2017.json',
    mask_prefix=data_root + 'annotations/panoptic_val2017',
)
test_evaluator = val_evaluator
