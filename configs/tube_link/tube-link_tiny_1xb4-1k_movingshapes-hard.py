# Study on the level "hard" (docs/results.md): the baseline. Every method of the study starts from the same weights,
# those of the parts that all of them have.
# Paper: no such model.
# Training: clips of 3 frames, 4 clips at a time on a CPU, 1,000 iterations, frames of 160x96; about a quarter of an
# hour on one core.
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/datasets/moving_shapes_hard.py',
    '../_base_/schedules/moving_shapes_finetune.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(dataset=_base_.hard_part)
test_dataloader = dict(dataset=_base_.hard_part)
test_evaluator = _base_.hard_evaluator
val_cfg = val_dataloader = val_evaluator = None  # tools/test.py scores the result
load_from = 'axialvs://axialvs-wc_tiny_movingshapes'
within_clip_parts = ['*.self_attn.temporal_layer.*', '*.self_attn.gamma']
custom_hooks = [dict(type='CheckpointRemapHook', leave_out=within_clip_parts)]
