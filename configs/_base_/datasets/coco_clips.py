# COCO 2017 as it is unpacked: annotations/ and train2017/. Still images become clips, see docs of `ImageToClip`.
# Only variables: a config puts them into its training data, with the classes and clip length of its videos.
coco_root = 'data/coco/'
coco_ann_file = 'annotations/instances_train2017.json'
coco_images = 'train2017/'

coco_pipeline = [
    dict(type='LoadFrame'),
    dict(type='LoadClipAnnotations'),
    dict(
        type='ImageToClip',
        short_sides=list(range(288, 513, 32)),  # as YouTube-VIS is trained
        zoom=(1.0, 2.0),
        max_angle=15.0,
        smooth_prob=0.5,  # 0: all cameras jump from frame to frame, 1: all go smoothly
        flip_prob=0.5,
    ),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
