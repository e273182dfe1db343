# Near-online Axial-VS with Swin-L on OVIS as the public release has it, which its weights need
# (tools/model_converters/convert_release.py): the last clips of a video shortened evenly, at most 30 masks in a frame.
# Paper: figures 3 and 4, tables 2 and 13; AP 39.1, which the release reports for its weights.
# Training: clips of 4 frames, one clip on each of 8 GPUs, 15,000 iterations, crops of 384x640; memory and hours are not
# known; the release's documentation has 16 GPUs.
_base_ = ['./axialvs-wc_swin-l_8xb1-10k_ovis.py', '../_base_/schedules/ovis_15k_release.py']

val_dataloader = dict(dataset=dict(split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))
param_scheduler = [_base_.warmup, dict(_base_.step_decay, **_base_.release_steps)]
train_cfg = _base_.release_train_cfg
