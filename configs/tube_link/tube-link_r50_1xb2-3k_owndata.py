# Tube-Link with ResNet-50, fine-tuned on own data of one class on one GPU: the baseline of
# axialvs-wc_r50_1xb2-3k_owndata.py.
# Paper: no such training.
# Training: clips of 4 frames, 2 clips on one GPU, 3,000 iterations, short sides of 288 to 512; memory and hours are not
# known.
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
# mmdet's public Mask2Former-VIS, which is Tube-Link with 40 classes; rows of the class layer are taken over by
# class name. For COCO's 80 classes: 'axialvs://mask2former_r50_coco'.
load_from = 'axialvs://mask2former-vis_r50_youtubevis2021'
