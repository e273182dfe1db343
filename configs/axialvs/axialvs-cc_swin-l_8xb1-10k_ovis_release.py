# The public release's settings: videos of 16 frames as 4 clips of 4;
# what is trained and kept as in _base_/models/cross_clip_release.py.
# Weights: tools/model_converters/convert_release.py.
_base_ = [
    './axialvs-cc_swin-l_8xb1-10k_ovis.py',
    '../_base_/models/cross_clip_release.py',
]
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-15k_ovis_release/iter_15000.pth'

model = _base_.release_model
num_clips = 4
train_dataloader = dict(dataset=dict(clip_length=num_clips * _base_.clip_length))
optim_wrapper = _base_.release_optim_wrapper
