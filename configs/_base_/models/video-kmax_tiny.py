# Video-kMaX small enough to train on generated panoptic videos on a CPU.
_base_ = './video-kmax_r50.py'

num_threads = 1  # more make a model of this size slower, above all on a busy machine
num_things, num_stuff = 5, 4
channels = 64
temporal_layer = dict(num_layers=1, num_heads=4, feedforward_channels=4 * channels)
cross_clip_tracking = dict(num_heads=4)

model = dict(
    data_preprocessor=dict(pad_size=(97, 161)),
    # Group norm: the result of a clip does not depend on the rest of the batch.
    backbone=dict(
        depth=18, base_channels=32, norm_cfg=dict(_delete_=True, type='GN', num_groups=8)
    ),
    panoptic_head=dict(
        num_things_classes=num_things,
        num_stuff_classes=num_stuff,
        in_channels=[32, 64, 128, 256],
        pixel_decoder=dict(base_channels=(32, 32, 16, 16), num_blocks=(1, 1, 1, 1), num_heads=4),
        semantic_head=dict(channels=channels, low_level_channels=(32, 16)),
        num_queries=24,
        channels=channels,
        mask_channels=32,
        layers_per_level=(1, 1, 1),
        decoder_layer=dict(num_heads=4, feedforward_channels=4 * channels, drop_path=0.0),
        loss=dict(mask_weight=0.5, contrast_pixels=256, semantic_pixels=512),
    ),
    # Chosen on 40 training videos, near-online and offline.
    test_cfg=dict(panoptic=dict(pixel=0.4)),
)
