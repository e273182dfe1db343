# Settings of the public release, required by its weights: Axial-VS, near-online, ResNet-50, YouTube-VIS 2021.
_base_ = './axialvs-wc_r50_8xb1-15k_youtubevis2021.py'

clip_length = 5
train_dataloader = dict(dataset=dict(clip_length=clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length, split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))
