# How the release's offline models differ from the paper's. Plain variables, as in cross_clip_tracking.py.
# Class and mask layers are shared by clips and videos, and trained, so that what the clip-level segmenter does drifts;
# at most 30 masks are kept in a frame.
release_model = dict(
    frozen=[
        'backbone.*',
        'panoptic_head.pixel_decoder.*',
        'panoptic_head.decoder_input_projs.*',
        'panoptic_head.transformer_decoder.*',
        'panoptic_head.query_embed.*',
        'panoptic_head.query_feat.*',
        'panoptic_head.level_embed.*',
    ],
    panoptic_head=dict(own_predictors=False),
    test_cfg=dict(max_masks_per_frame=30),
)
# The norm of its Temporal-ASPP is of a class of its own, which the rule for norms does not know.
release_optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'temporal_aspp.norm': dict(lr_mult=1.0, decay_mult=1.0)})
)
