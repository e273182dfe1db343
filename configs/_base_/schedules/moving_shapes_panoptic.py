# A tiny model from scratch on generated panoptic videos.
_base_ = './vipseg_40k_r50.py'

max_iters = 6_000
warmup_iters = 200
param_scheduler = [
    dict(_base_.warmup, end=warmup_iters + 1),
    dict(_base_.decay, end=max_iters + 1),
]
train_cfg = dict(max_iters=max_iters, val_interval=1_500)

lr = 1e-3
optim_wrapper = dict(
    optimizer=dict(lr=lr),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=1.0))),
    clip_grad=dict(max_norm=1.0, norm_type=2),
)
auto_scale_lr = dict(base_batch_size=4)
