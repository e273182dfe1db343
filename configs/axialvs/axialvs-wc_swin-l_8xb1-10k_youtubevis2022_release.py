# The public release's settings: clips of 5 frames in training and 6 in tests, the last clips of a video shortened evenly,
# at most 30 masks in a frame.
# Its file says 6 for training as well, but the data set that it inherits yields 5.
# (Its tests read the validation set of 2021, which is not followed here.)
# Weights: tools/model_converters/convert_release.py.
_base_ = './axialvs-wc_swin-l_8xb1-10k_youtubevis2022.py'

train_dataloader = dict(dataset=dict(clip_length=5))
val_dataloader = dict(dataset=dict(clip_length=6, split_mode='shorten'))
test_dataloader = val_dataloader
model = dict(test_cfg=dict(max_masks_per_frame=30))
