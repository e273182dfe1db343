# Offline Axial-VS with ResNet-50 on YouTube-VIS 2021: the near-online model, frozen, and the cross-clip tracking module
# on top of it.
# Paper: figures 5 and 6, tables 2 and 11; AP 48.5, AP50 70.9, AP75 52.4, AR1 42.3, AR10 57.9; means of three runs.
# Training: videos of 20 frames as 5 clips of 4, one video on each of 8 GPUs, 10,000 iterations, short sides of 288 to
# 512; as the paper trains it: V100 of 32 GB, about 4 hours (appendix A).
_base_ = [
    './axialvs-wc_r50_8xb1-15k_youtubevis2021.py',
    '../_base_/models/cross_clip_tracking.py',
    '../_base_/schedules/cross_clip_10k.py',
]
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_youtubevis2021/iter_15000.pth'

model = dict(_base_.offline_model, clip_length=_base_.clip_length)
train_dataloader = dict(dataset=dict(clip_length=_base_.num_clips * _base_.clip_length))
param_scheduler = [_base_.warmup, dict(_base_.step_decay, **_base_.cross_clip_steps)]
train_cfg = _base_.cross_clip_train_cfg
