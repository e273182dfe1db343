# 400 iterations from weights trained on generated videos: warm-up, then decay to zero.
_base_ = './moving_shapes.py'

max_iters = 400
warmup_iters = max_iters // 10
param_scheduler = [
    dict(_base_.warmup, end=warmup_iters),
    dict(_base_.poly_decay, begin=warmup_iters, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
