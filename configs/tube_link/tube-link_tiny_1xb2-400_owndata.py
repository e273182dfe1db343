# The tiny Tube-Link, fine-tuned on own data of one class: the baseline of axialvs-wc_tiny_1xb2-400_owndata.py.
# Paper: no such model.
# Training: clips of 3 frames, 2 clips at a time on a CPU, 400 iterations, crops of 160x96.
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/own_data_small.py',
    '../_base_/schedules/moving_shapes.py',
    '../_base_/default_runtime.py',
]
num_classes = 1  # of the class 'object'

model = dict(
    panoptic_head=dict(
        num_things_classes=num_classes, loss_cls=dict(class_weight=[1.0] * num_classes + [0.4])
    )
)
max_iters = _base_.short_iters
param_scheduler = _base_.short_param_scheduler
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)  # scored once, at the end
default_hooks = dict(checkpoint=dict(interval=100))
# They know generated shapes. Rows of the class layer are taken over by class name.
load_from = 'axialvs://axialvs-wc_tiny_movingshapes'
