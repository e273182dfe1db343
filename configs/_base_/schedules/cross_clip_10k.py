# 10k iterations of cross-clip tracking on videos of `num_clips` clips (Axial-VS appendix A; milestones as in the
# release). The clip-level segmenter is frozen.
_base_ = './youtube_vis_15k_r50.py'

num_clips = 5
max_iters = 10_000
param_scheduler = [
    _base_.warmup,
    dict(_base_.step_decay, end=max_iters, milestones=[2_500, 7_500]),
]
train_cfg = dict(max_iters=max_iters, val_begin=max_iters, val_interval=max_iters)

# The release shares class and mask layers between clips and videos and trains them; its parameter groups treat the norm
# of Temporal-ASPP like other layers.
release_frozen = [
    'backbone.*',
    'panoptic_head.pixel_decoder.*',
    'panoptic_head.decoder_input_projs.*',
    'panoptic_head.transformer_decoder.*',
    'panoptic_head.query_embed.*',
    'panoptic_head.query_feat.*',
    'panoptic_head.level_embed.*',
]
release_custom_keys = {'temporal_aspp.norm': dict(lr_mult=1.0, decay_mult=1.0)}
