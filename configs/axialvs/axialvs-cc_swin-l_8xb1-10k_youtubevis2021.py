# Offline Axial-VS with Swin-L on YouTube-VIS 2021: the near-online model, frozen, and the cross-clip tracking module on
# top of it.
# Paper: figures 5 and 6, tables 2 and 11; AP 59.1, AP50 81.9, AP75 64.9, AR1 46.9, AR10 63.8; means of three runs.
# Training: videos of 20 frames as 5 clips of 4, one video on each of 8 GPUs, 10,000 iterations, short sides of 288 to
# 512; memory and hours are not known; the release's documentation has 16 GPUs.
_base_ = [
    './axialvs-wc_swin-l_8xb1-10k_youtubevis2021.py',
    '../_base_/models/cross_clip_tracking.py',
    '../_base_/schedules/cross_clip_10k.py',
]
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-10k_youtubevis2021/iter_10000.pth'

model = dict(_base_.offline_model, clip_length=_base_.clip_length)
train_dataloader = dict(dataset=dict(clip_length=_base_.num_clips * _base_.clip_length))
param_scheduler = [_base_.warmup, dict(_base_.step_decay, **_base_.cross_clip_steps)]
train_cfg = _base_.cross_clip_train_cfg
