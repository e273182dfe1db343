# 150k iterations of pre-training on COCO panoptic with batch size 64.
_base_ = './vipseg_40k_r50.py'

max_iters = 150_000
warmup_iters = 5_000
param_scheduler = [
    dict(_base_.warmup, end=warmup_iters + 1),
    dict(_base_.decay, end=max_iters + 1),
]
train_cfg = dict(max_iters=max_iters)

lr = 5e-4
optim_wrapper = dict(optimizer=dict(lr=lr))
auto_scale_lr = dict(base_batch_size=64)

# Weights of the losses, sampling of pixels and thresholds of the merge on COCO.
coco_loss = dict(
    class_weight=3.0,
    mask_weight=0.3,
    dice_weight=3.0,
    contrast_area_exponent=1.5,
    semantic_area_exponent=2.0,
)
coco_thresholds = dict(pixel=0.4, thing=0.7, stuff=0.5)
