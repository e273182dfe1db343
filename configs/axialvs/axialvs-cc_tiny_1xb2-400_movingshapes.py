# Axial-VS, offline, tiny, generated data: cross-clip tracking on top of the frozen near-online model, trained on whole
# videos; 17 minutes on two shared cores (docs/tiny_models.md).
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/moving_shapes.py',
    '../_base_/schedules/moving_shapes_400.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://axialvs-wc_tiny_movingshapes'

num_clips = 8
model = dict(
    type='AxialVSOffline',
    clip_length=_base_.clip_length,
    panoptic_head=dict(
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
        cross_clip=_base_.cross_clip_tracking,
    ),
)
train_dataloader = dict(batch_size=2, dataset=dict(num_frames=num_clips * _base_.clip_length))
train_cfg = dict(val_interval=2000)
default_hooks = dict(checkpoint=dict(interval=_base_.max_iters))
