# Trains the tiny near-online Axial-VS on for some minutes while the learning rate falls to nothing, from the weights
# that ship with the repository. tools/demo.py runs it.
# Paper: no such model.
# Training: clips of 3 frames, 4 clips at a time on a CPU, 400 iterations, frames of 160x96.
_base_ = './axialvs-wc_tiny_1xb4-10k_movingshapes.py'

load_from = 'axialvs://axialvs-wc_tiny_movingshapes'
max_iters = 400
train_cfg = dict(max_iters=max_iters)
val_cfg = val_dataloader = val_evaluator = None  # tools/test.py scores the result
warmup_iters = 20  # the optimiser starts without its moments
param_scheduler = [
    dict(_base_.warmup, start_factor=0.05, end=warmup_iters),
    dict(_base_.poly_decay, begin=warmup_iters, end=max_iters),
]
default_hooks = dict(checkpoint=dict(interval=max_iters))
