# Fine-tuning of the shipped tiny near-online weights on other generated videos; tools/demo.py runs it.
_base_ = './axialvs-wc_tiny_1xb4-10k_movingshapes.py'
load_from = 'axialvs://axialvs-wc_tiny_movingshapes'

optim_wrapper = dict(optimizer=dict(lr=_base_.lr / 2))
max_iters = 400
train_cfg = dict(max_iters=max_iters)
val_cfg = val_dataloader = val_evaluator = None  # tools/test.py scores the result
warmup_iters = 20
param_scheduler = [
    dict(_base_.warmup, start_factor=0.05, end=warmup_iters),
    dict(_base_.poly_decay, begin=warmup_iters, end=max_iters),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
