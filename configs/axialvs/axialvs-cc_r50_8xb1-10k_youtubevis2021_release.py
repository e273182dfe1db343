# Offline Axial-VS with ResNet-50 on YouTube-VIS 2021 as the public release has it, which its weights need
# (tools/model_converters/convert_release.py): what is trained and kept is in _base_/models/cross_clip_release.py.
# Paper: figures 5 and 6, tables 2 and 11; AP 48.5, which the release reports for its weights.
# Training: videos of 9 frames as 3 clips of 3, one video on each of 8 GPUs, 10,000 iterations, short sides of 288 to
# 512; memory and hours are not known.
_base_ = [
    './axialvs-cc_r50_8xb1-10k_youtubevis2021.py',
    '../_base_/models/cross_clip_release.py',
]
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_youtubevis2021_release/iter_15000.pth'

clip_length = 3
num_clips = 3
model = dict(_base_.release_model, clip_length=clip_length)
train_dataloader = dict(dataset=dict(clip_length=num_clips * clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length))
test_dataloader = val_dataloader
optim_wrapper = _base_.release_optim_wrapper
