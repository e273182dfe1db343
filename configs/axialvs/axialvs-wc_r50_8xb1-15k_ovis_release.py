# The public release's settings: clips of 4 frames, the last clips of a video shortened evenly,
# at most 30 masks in a frame, 15,000 iterations.
# Weights: tools/model_converters/convert_release.py.
_base_ = ['./axialvs-wc_r50_8xb1-10k_ovis.py', '../_base_/schedules/ovis_15k_release.py']

val_dataloader = dict(dataset=dict(split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))
param_scheduler = [_base_.warmup, dict(_base_.step_decay, **_base_.release_steps)]
train_cfg = _base_.release_train_cfg
