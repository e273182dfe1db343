# The public release's settings: videos of 36 frames as 6 clips of 6;
# what is trained and kept as in _base_/models/cross_clip_release.py.
# Weights: tools/model_converters/convert_release.py.
_base_ = [
    './axialvs-cc_swin-l_8xb1-10k_youtubevis2022.py',
    '../_base_/models/cross_clip_release.py',
]
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-10k_youtubevis2022_release/iter_10000.pth'

clip_length = 6
num_clips = 6
model = dict(_base_.release_model, clip_length=clip_length)
train_dataloader = dict(dataset=dict(clip_length=num_clips * clip_length))
val_dataloader = dict(dataset=dict(clip_length=clip_length))
test_dataloader = val_dataloader
optim_wrapper = _base_.release_optim_wrapper
