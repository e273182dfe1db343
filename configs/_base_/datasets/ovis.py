# OVIS in its official layout: annotations_train.json and annotations_valid.json next to train/ and valid/.
_base_ = './youtube_vis_2021.py'

data_root = 'data/ovis/'
classes = 'ovis'
num_ovis_classes = 25

train_pipeline = [
    dict(
        type='TransformBroadcaster',
        share_random_params=True,  # one draw for all frames of a clip
        transforms=[
            dict(type='LoadFrame'),
            dict(type='LoadClipAnnotations'),
            dict(
                type='RandomChoiceResize',
                scales=[(_base_.long_side_free, short) for short in range(480, 801, 32)],
                keep_ratio=True,
            ),
            dict(type='RandomFlip', prob=0.5),
            # Objects may leave the crop in some or all frames; FilterEmptyInstances judges whole clips.
            # (width, height)
            dict(type='RandomCrop', crop_size=(640, 384), allow_negative_crop=True),
        ],
    ),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
train_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations_train.json',
        data_prefix=dict(img_path='train/'),
        classes=classes,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        ann_file='annotations_valid.json',
        data_prefix=dict(img_path='valid/'),
        classes=classes,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(
    ann_file=data_root + 'annotations_valid.json', outfile_prefix='work_dirs/ovis_submission'
)
test_evaluator = val_evaluator
