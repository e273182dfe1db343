# Video-kMaX with ResNet-50: kMaX-DeepLab whose queries cluster the pixels of all frames of a clip.
num_things, num_stuff = 58, 66  # of VIPSeg
# Modules of Axial-VS, enabled by its configs: within-clip tracking (Sec. 3.2), two blocks of one deformable and two
# axial-trajectory attention layers; without `temporal_layer` it is the stage of COCO ...
temporal_layer = dict(type='AxialTrajectory', num_layers=2, dropout=0.0)
# ... and cross-clip tracking (Sec. 3.3) over the queries of all clips.
cross_clip_tracking = dict(
    num_layers=4,
    num_heads=8,
    attention_dropout=0.0,
    aspp=dict(kernel_sizes=(3, 3, 3), rates=(1, 2, 3), dropout=0.0),
)

model = dict(
    type='ClipSegmenter',
    data_preprocessor=dict(
        type='FixedSizeTrackDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
        bgr_to_rgb=True,
        pad_mask=True,
        pad_size=(769, 1345),
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', eps=1e-3, momentum=0.01, requires_grad=True),
        norm_eval=False,
        style='pytorch',
    ),
    panoptic_head=dict(
        type='VideoKMaXHead',
        num_things_classes=num_things,
        num_stuff_classes=num_stuff,
        in_channels=[256, 512, 1024, 2048],
        pixel_decoder=dict(type='KMaXPixelDecoder'),
        semantic_head=dict(),
        num_queries=128,
        loss=dict(
            class_weight=4.0,
            mask_weight=0.1,
            dice_weight=5.0,
            contrast_weight=1.0,
            semantic_weight=1.0,
            contrast_area_exponent=1.8,
            semantic_area_exponent=2.4,
        ),
    ),
    test_cfg=dict(
        panoptic=dict(pixel=0.3, thing=0.2, stuff=0.3, overlap=0.8),
        # linking='memory' merges every clip by itself and links finished things, the release's clip-wise inference.
        score_thr=0.0,
    ),
)
sync_bn = 'torch'  # batch norm is trained, with two clips per GPU
# Of an offline model: everything but cross-clip tracking and the heads of refined queries.
frozen = [
    'backbone.*',
    'panoptic_head.within_clip.*',
    'panoptic_head.pixel_decoder.*',
    'panoptic_head.decoder_layers.*',
    'panoptic_head.cluster_centers',
    'panoptic_head.class_proj.*',
    'panoptic_head.mask_proj.*',
    'panoptic_head.predictor.*',
]
