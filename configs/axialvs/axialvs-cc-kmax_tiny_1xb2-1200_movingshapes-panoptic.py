# Axial-VS, offline (cross-clip tracking on top of the frozen near-online model), tiny, generated panoptic videos.
_base_ = './axialvs-wc-kmax_tiny_1xb4-6k_movingshapes-panoptic.py'
load_from = 'axialvs://axialvs-wc-kmax_tiny_movingshapes-panoptic'

num_clips = 8
model = dict(
    type='AxialVSOffline',
    frozen=[
        *_base_.frozen,
        # Batch norm of all four blocks together: in so few iterations its statistics would fit none of them.
        'panoptic_head.video_predictor.*',
    ],
    panoptic_head=dict(
        cross_clip=_base_.cross_clip_tracking,
        semantic_head=None,
        loss=dict(contrast_weight=0.0, semantic_weight=0.0),
    ),
)
train_dataloader = dict(batch_size=2, dataset=dict(num_frames=num_clips * _base_.clip_length))
max_iters = 1_200
warmup_iters = 20
param_scheduler = [
    dict(_base_.warmup, end=warmup_iters + 1),
    dict(_base_.decay, end=max_iters + 1),
]
train_cfg = dict(max_iters=max_iters, val_interval=max_iters)
auto_scale_lr = dict(base_batch_size=2)
