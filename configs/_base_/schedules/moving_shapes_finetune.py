# A short training from weights that know the shapes already: a warm-up, then a learning rate that falls to nothing.
_base_ = './moving_shapes.py'

max_iters = 1000
warmup_iters = 100
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=warmup_iters),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=warmup_iters, end=max_iters),
]
train_cfg = dict(max_iters=max_iters)
