# Settings of the public release, required by its weights: Axial-VS, offline, Swin-L, YouTube-VIS 2021.
_base_ = './axialvs-cc_swin-l_8xb1-10k_youtubevis2021.py'
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-10k_youtubevis2021_release/iter_10000.pth'

clip_length = 6
num_clips = 4
model = dict(
    clip_length=clip_length,
    frozen=_base_.release_frozen,
    panoptic_head=dict(own_predictors=False),
    test_cfg=dict(max_masks_per_frame=30),
)
train_dataloader = dict(dataset=dict(clip_length=clip_length, num_frames=num_clips * clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length))
test_dataloader = val_dataloader
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.release_custom_keys))
