# Tube-Link, ResNet-50, fine-tuned on own data of one class on one GPU.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/own_data.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
num_classes = 1  # of the class 'object'

model = dict(
    panoptic_head=dict(
        num_things_classes=num_classes, loss_cls=dict(class_weight=[1.0] * num_classes + [0.1])
    )
)
max_iters = 3_000
param_scheduler = [
    dict(_base_.warmup, end=300),
    dict(_base_.step_decay, end=max_iters, milestones=[2_000]),
]
train_cfg = dict(max_iters=max_iters, val_begin=1, val_interval=500)
default_hooks = dict(checkpoint=dict(interval=500))
auto_scale_lr = dict(base_batch_size=2)
# mmdet's public Mask2Former-VIS, a Tube-Link with 40 classes; rows of the class layer are matched by class name. For
# the 80 classes of COCO: 'axialvs://mask2former_r50_coco'.
load_from = 'axialvs://mask2former-vis_r50_youtubevis2021'
