# Axial-VS, near-online, tiny, fine-tuned on own data of one class from the shipped weights. docs/own_data.md is its
# tutorial and says what to change for other classes.
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/own_data_small.py',
    '../_base_/schedules/moving_shapes_400.py',
    '../_base_/default_runtime.py',
]
# Knows generated shapes; rows of the class layer are matched by class name.
load_from = 'axialvs://axialvs-wc_tiny_movingshapes'

num_classes = 1  # of the class 'object'
model = dict(
    panoptic_head=dict(
        num_things_classes=num_classes,
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.4]),
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
    )
)
default_hooks = dict(checkpoint=dict(interval=100))
