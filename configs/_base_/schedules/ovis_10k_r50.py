# 10,000 iterations with ResNet-50: Tube-Link's schedule for OVIS with any backbone.
_base_ = './youtube_vis_15k_r50.py'

max_iters = 10_000
milestones = [2_500, 5_000]
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(
        type='MultiStepLR', by_epoch=False, begin=0, end=max_iters, milestones=milestones, gamma=0.1
    ),
]
train_cfg = dict(max_iters=max_iters, val_begin=max_iters, val_interval=max_iters)
