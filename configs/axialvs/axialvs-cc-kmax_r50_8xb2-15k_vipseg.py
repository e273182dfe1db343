# Axial-VS, offline (cross-clip tracking on top of the frozen near-online model), ResNet-50, VIPSeg. VPQ in the paper: 46.7 (46.7, 46.6).
_base_ = [
    '../_base_/models/video-kmax_r50.py',
    '../_base_/datasets/vipseg.py',
    '../_base_/schedules/vipseg_15k_cross_clip.py',
    '../_base_/default_runtime.py',
]
load_from = 'work_dirs/axialvs-wc-kmax_r50_16xb2-40k_vipseg/iter_40000.pth'

model = dict(
    type='AxialVSOffline',
    clip_length=_base_.clip_length,
    frozen=_base_.frozen,
    panoptic_head=dict(
        within_clip=dict(temporal_layer=dict(_base_.temporal_layer, dropout=0.0)),
        cross_clip=_base_.cross_clip_tracking,
        semantic_head=None,
        loss=_base_.cross_clip_loss,
    ),
    test_cfg=dict(
        thing_labels=_base_.thing_labels, panoptic=dict(pixel=0.2, thing=0.2, stuff=0.45)
    ),
)
train_dataloader = dict(dataset=dict(num_frames=_base_.num_clips * _base_.clip_length))
