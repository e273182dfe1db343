# Axial-VS, near-online, tiny, generated data (docs/tiny_models.md).
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/moving_shapes.py',
    '../_base_/default_runtime.py',
]

model = dict(
    panoptic_head=dict(pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking)),
    # The paper links a clip to the previous one (`memory=None`); objects that cross are hidden for longer.
    test_cfg=dict(linking=dict(memory=dict())),
)
