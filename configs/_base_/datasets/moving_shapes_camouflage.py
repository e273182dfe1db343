# Level "camouflage" of the generated dataset: only motion gives objects away, but for the contrast of training videos.
# Validation videos of one clip, so that no linking takes part.
# axialvs generate data/moving_shapes/camouflage --level camouflage --size 96x64 --train 2000 --valid 0
# axialvs generate data/moving_shapes/camouflage_clips --level camouflage --size 96x64 --frames 3 --train 0 --valid 200
_base_ = './moving_shapes.py'

data_root = 'data/moving_shapes/camouflage/'
clips_root = 'data/moving_shapes/camouflage_clips/'
flip = dict(type='RandomFlip', prob=0.5)
broadcaster = dict(type='TransformBroadcaster', share_random_params=True)
train_pipeline = [
    dict(broadcaster, transforms=[dict(type='LoadFrame'), dict(type='LoadClipAnnotations'), flip]),
    dict(type='FilterEmptyInstances'),
    dict(type='PackClip'),
]
# No resizing: it would blur the blocks.
test_pipeline = [dict(broadcaster, transforms=[dict(type='LoadFrame')]), dict(type='PackClip')]
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=clips_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=clips_root + 'valid/instances.json')
test_evaluator = val_evaluator
