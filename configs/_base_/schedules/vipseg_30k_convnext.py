# 30k iterations with ConvNeXt and batch size 32.
_base_ = './vipseg_40k_r50.py'

max_iters = 30_000
warmup_iters = 1_500
param_scheduler = [
    dict(_base_.warmup, end=warmup_iters + 1),
    dict(_base_.decay, end=max_iters + 1),
]
train_cfg = dict(max_iters=max_iters)
