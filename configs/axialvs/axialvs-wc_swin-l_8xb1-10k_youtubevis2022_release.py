# Settings of the public release, required by its weights: Axial-VS, near-online, Swin-L, YouTube-VIS 2022.
# The release's file sets clips of 6 for training as well, but its dataset yields 5.
# Its test reads the validation set of 2021, which is not followed here.
_base_ = './axialvs-wc_swin-l_8xb1-10k_youtubevis2022.py'

train_dataloader = dict(dataset=dict(clip_length=5))
val_dataloader = dict(dataset=dict(clip_length=6, split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))
