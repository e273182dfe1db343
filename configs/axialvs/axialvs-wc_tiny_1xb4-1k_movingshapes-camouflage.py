# Study of what only motion gives away (docs/ablations.md): temporal attention on all three levels, the finest of which has
# a cell for each block of the video, and no layer scale. The baseline has the type 'none'.
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes_camouflage.py',
    '../_base_/schedules/moving_shapes_1k.py',
    '../_base_/default_runtime.py',
]

num_classes = 1  # of the class 'object'
channels = 32
ffn = dict(embed_dims=channels, feedforward_channels=4 * channels)
attention = dict(embed_dims=channels)
temporal_layer = dict(
    type='AxialTrajectory', num_layers=1, num_heads=4, feedforward_channels=4 * channels
)
model = dict(
    backbone=dict(base_channels=16),
    panoptic_head=dict(
        in_channels=[16, 32, 64, 128],
        feat_channels=channels,
        out_channels=channels,
        num_things_classes=num_classes,
        num_queries=5,
        pixel_decoder=dict(
            type='WithinClipPixelDecoder',
            encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn)),
            within_clip=dict(temporal_layer=temporal_layer, num_temporal_levels=3),
            positional_encoding=dict(num_feats=channels // 2),
        ),
        positional_encoding=dict(num_feats=channels // 2),
        transformer_decoder=dict(
            layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn)
        ),
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.4]),
    ),
    train_cfg=dict(num_points=256),
    test_cfg=dict(max_tracks=5),
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(val_interval=_base_.max_iters)
