# Axial-VS, near-online (Video-kMaX with within-clip tracking), tiny, generated panoptic videos.
_base_ = [
    '../_base_/models/video-kmax_tiny.py',
    '../_base_/datasets/moving_shapes_panoptic.py',
    '../_base_/schedules/moving_shapes_panoptic.py',
    '../_base_/default_runtime.py',
]

model = dict(
    clip_length=_base_.clip_length,
    panoptic_head=dict(
        within_clip=dict(
            temporal_layer=_base_.temporal_layer,
            channels=_base_.channels,
            num_blocks=1,
            num_heads=4,
            feedforward_channels=4 * _base_.channels,
            num_groups=8,
        )
    ),
)
