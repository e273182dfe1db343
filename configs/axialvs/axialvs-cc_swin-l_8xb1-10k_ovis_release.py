# Settings of the public release, required by its weights: Axial-VS, offline, Swin-L, OVIS.
_base_ = './axialvs-cc_swin-l_8xb1-10k_ovis.py'
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-15k_ovis_release/iter_15000.pth'

num_clips = 4
model = dict(
    frozen=_base_.release_frozen,
    panoptic_head=dict(own_predictors=False),
    test_cfg=dict(max_masks_per_frame=30),
)
train_dataloader = dict(dataset=dict(num_frames=num_clips * _base_.clip_length))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=_base_.release_custom_keys))
