# Study on the level "hard" (docs/results.md): the baseline. All methods start from the same weights, without the modules
# of Axial-VS.
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes_hard.py',
    '../_base_/schedules/moving_shapes_1k.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://axialvs-wc_tiny_movingshapes'

val_cfg = val_dataloader = val_evaluator = None  # tools/test.py scores the result
within_clip_params = ['*.self_attn.temporal_layer.*', '*.self_attn.gamma']
custom_hooks = [dict(type='CheckpointRemapHook', leave_out=within_clip_params)]
