# Axial-VS, offline (cross-clip tracking on top of the frozen near-online model), ResNet-50, OVIS.
# Paper (table 13): AP 28.3, AP50 50.7, AP75 27.0, AR1 14.6, AR10 34.0.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/ovis.py',
    '../_base_/schedules/cross_clip_10k.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/axialvs-wc_r50_8xb1-10k_ovis/iter_10000.pth'

num_classes = _base_.num_ovis_classes
model = dict(
    type='AxialVSOffline',
    clip_length=_base_.clip_length,
    panoptic_head=dict(
        num_things_classes=num_classes,
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.1]),
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
        cross_clip=_base_.cross_clip_tracking,
    ),
)
train_dataloader = dict(dataset=dict(num_frames=_base_.num_clips * _base_.clip_length))
