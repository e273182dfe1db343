# Offline Axial-VS with Swin-L on OVIS as the public release has it, which its weights need
# (tools/model_converters/convert_release.py): what is trained and kept is in _base_/models/cross_clip_release.py.
# Paper: figures 5 and 6, tables 2 and 13; AP 39.8, which the release reports for its weights.
# Training: videos of 16 frames as 4 clips of 4, one video on each of 8 GPUs, 10,000 iterations, crops of 384x640;
# memory and hours are not known; the release's documentation has 16 GPUs.
_base_ = [
    './axialvs-cc_swin-l_8xb1-10k_ovis.py',
    '../_base_/models/cross_clip_release.py',
]
load_from = 'work_dirs/axialvs-wc_swin-l_8xb1-15k_ovis_release/iter_15000.pth'

model = _base_.release_model
num_clips = 4
train_dataloader = dict(dataset=dict(clip_length=num_clips * _base_.clip_length))
optim_wrapper = _base_.release_optim_wrapper
