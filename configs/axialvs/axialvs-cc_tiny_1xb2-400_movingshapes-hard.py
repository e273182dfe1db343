# Study on the level "hard" (docs/results.md): the cross-clip tracking module on top of the trained within-clip model,
# which is frozen. First train axialvs-wc_tiny_1xb4-1k_movingshapes-hard.py.
# Paper: no such model.
# Training: videos of 24 frames as 8 clips of 3, 2 videos at a time on a CPU, 400 iterations, frames of 160x96.
_base_ = [
    './axialvs-cc_tiny_1xb2-400_movingshapes.py',
    '../_base_/datasets/moving_shapes_hard.py',
]

train_dataloader = dict(dataset=_base_.hard_part)
val_dataloader = dict(dataset=_base_.hard_part)
test_dataloader = val_dataloader
val_evaluator = _base_.hard_evaluator
test_evaluator = val_evaluator
load_from = 'work_dirs/axialvs-wc_tiny_1xb4-1k_movingshapes-hard/iter_1000.pth'
