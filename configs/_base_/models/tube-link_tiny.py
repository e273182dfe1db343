# Tube-Link with 3 M parameters, small enough to train on generated videos on a CPU.
_base_ = './tube-link_r50.py'

num_threads = 1  # more make a model of this size slower, above all on a busy machine
num_classes = 5
channels = 64
heads = 4
points = 1024

within_clip_tracking = dict(num_heads=heads, feedforward_channels=4 * channels)
cross_clip_tracking = dict(num_heads=heads)

ffn = dict(embed_dims=channels, feedforward_channels=4 * channels)
decoder_attention = dict(embed_dims=channels, num_heads=heads)

model = dict(
    # Group norm: the result of a clip does not depend on the rest of the batch.
    backbone=dict(
        depth=18, base_channels=32, norm_cfg=dict(_delete_=True, type='GN', num_groups=8)
    ),
    panoptic_head=dict(
        in_channels=[32, 64, 128, 256],
        feat_channels=channels,
        out_channels=channels,
        num_things_classes=num_classes,
        num_queries=20,
        pixel_decoder=dict(
            norm_cfg=dict(num_groups=8),
            encoder=dict(
                num_layers=3,
                layer_cfg=dict(
                    self_attn_cfg=dict(embed_dims=channels, num_heads=heads), ffn_cfg=ffn
                ),
            ),
            positional_encoding=dict(num_feats=channels // 2),
        ),
        positional_encoding=dict(num_feats=channels // 2),
        transformer_decoder=dict(
            num_layers=3,
            layer_cfg=dict(
                self_attn_cfg=decoder_attention, cross_attn_cfg=decoder_attention, ffn_cfg=ffn
            ),
        ),
        # Masks are learned long before classes, and fewer of 20 queries than of 100 are empty: both
        # weights are higher than in the full-size models.
        loss_cls=dict(loss_weight=5.0, class_weight=[1.0] * num_classes + [0.4]),
    ),
    train_cfg=dict(num_points=points),
    test_cfg=dict(max_tracks=20),
)
