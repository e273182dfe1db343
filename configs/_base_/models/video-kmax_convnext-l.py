# Video-kMaX with ConvNeXt-L.
_base_ = './video-kmax_r50.py'

temporal_layer = dict(dropout=0.1)
model = dict(
    backbone=dict(
        _delete_=True, type='PaddedConvNeXt', arch='large', version=1, drop_path_rate=0.3
    ),
    panoptic_head=dict(in_channels=[192, 384, 768, 1536], loss=dict(mask_weight=0.01)),
)
