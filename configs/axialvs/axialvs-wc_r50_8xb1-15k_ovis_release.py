# Settings of the public release, required by its weights: Axial-VS, near-online, ResNet-50, OVIS.
_base_ = './axialvs-wc_r50_8xb1-10k_ovis.py'

val_dataloader = dict(dataset=dict(split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))

max_iters = 15_000
param_scheduler = [
    _base_.warmup,
    dict(_base_.step_decay, end=max_iters, milestones=[5_000, 10_000]),
]
train_cfg = dict(max_iters=max_iters, val_begin=max_iters, val_interval=max_iters)
