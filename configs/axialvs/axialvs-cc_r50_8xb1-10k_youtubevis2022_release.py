# Offline Axial-VS with ResNet-50 on YouTube-VIS 2022 as the public release has it: what is trained and kept is in
# _base_/models/cross_clip_release.py.
# Paper: figures 5 and 6, tables 2 and 12; AP all 41.3, which the release has no weights for.
# Training: videos of 16 frames as 4 clips of 4, one video on each of 8 GPUs, 10,000 iterations, short sides of 288 to
# 512; memory and hours are not known.
_base_ = [
    './axialvs-cc_r50_8xb1-10k_youtubevis2022.py',
    '../_base_/models/cross_clip_release.py',
]
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_youtubevis2022_release/iter_15000.pth'

model = _base_.release_model
num_clips = 4
train_dataloader = dict(dataset=dict(clip_length=num_clips * _base_.clip_length))
optim_wrapper = _base_.release_optim_wrapper
