# 10k iterations with ResNet-50 (Tube-Link's schedule for OVIS).
_base_ = './youtube_vis_15k_r50.py'

max_iters = 10_000
param_scheduler = [
    _base_.warmup,
    dict(_base_.step_decay, end=max_iters, milestones=[2_500, 5_000]),
]
train_cfg = dict(max_iters=max_iters, val_begin=max_iters, val_interval=max_iters)
