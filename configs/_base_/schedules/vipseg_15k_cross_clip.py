# 15k iterations of cross-clip tracking on videos of 12 clips and batch size 16; the clip-level segmenter is frozen. The
# prediction heads, copied from the clip-level segmenter, have a tenth of the learning rate.
_base_ = './vipseg_40k_r50.py'

max_iters = 15_000
warmup_iters = 750
param_scheduler = [
    dict(_base_.warmup, end=warmup_iters + 1),
    dict(_base_.decay, end=max_iters + 1),
]
train_cfg = dict(max_iters=max_iters)

num_clips = 12
cross_clip_loss = dict(dice_weight=4.0, mask_weight=0.0, contrast_weight=0.0, semantic_weight=0.0)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.head_lr))
auto_scale_lr = dict(base_batch_size=16)
