# The public release's settings: videos of 24 frames as 6 clips of 4, 6 blocks in the cross-clip tracking module;
# what is trained and kept as in _base_/models/cross_clip_release.py.
# Weights: tools/model_converters/convert_release.py.
_base_ = [
    './axialvs-cc_r50_8xb1-10k_ovis.py',
    '../_base_/models/cross_clip_release.py',
]
load_from = 'work_dirs/axialvs-wc_r50_8xb1-15k_ovis_release/iter_15000.pth'

model = dict(
    _base_.release_model,
    panoptic_head=dict(_base_.release_model.panoptic_head, cross_clip=dict(num_layers=6)),
)
num_clips = 6
train_dataloader = dict(dataset=dict(clip_length=num_clips * _base_.clip_length))
optim_wrapper = _base_.release_optim_wrapper
