# A short training from weights that know the shapes already: a warm-up, then a learning rate that falls to nothing.
_base_ = './moving_shapes.py'

max_iters = 1000
warmup_iters = 100
param_scheduler = [
    dict(_base_.warmup, end=warmup_iters),
    dict(_base_.poly_decay, begin=warmup_iters, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
