# Joint training on YouTube-VIS 2021 and on pseudo videos from COCO 2017 images, as many clips of one as of the other.
_base_ = './youtube_vis_2021.py'

coco_clips = dict(
    type='CocoClips',
    data_root='data/coco/',
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img_path='train2017/'),
    classes=_base_.classes,
    clip_length=_base_.clip_length,
    pipeline=[
        dict(type='LoadFrame'),
        dict(type='LoadClipAnnotations'),
        dict(
            type='ImageToClip',
            short_sides=list(range(288, 513, 32)),  # as in training on YouTube-VIS
            zoom=(1.0, 2.0),
            max_angle=15.0,
            smooth_prob=0.5,  # probability of a smooth camera path; otherwise it jumps between frames
            flip_prob=0.5,
        ),
        dict(type='FilterEmptyInstances'),
        dict(type='PackClip'),
    ],
)
train_dataloader = dict(
    sampler=dict(type='RatioClipSampler', ratios=(1, 1)),
    dataset=dict(
        _delete_=True,
        type='ConcatClips',
        ignore_keys=['category_ids'],  # the two files number their categories differently
        datasets=[_base_.train_dataloader.dataset, coco_clips],
    ),
)
