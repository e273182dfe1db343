# Tube-Link with DINOv2 ViT-B/14 (weights: Apache-2.0) from timm, `pip install axialvs[timm]`.
_base_ = './tube-link_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model_name='vit_base_patch14_reg4_dinov2.lvd142m',
        pretrained=True,
        activation_checkpointing=True,
    ),
    panoptic_head=dict(in_channels=None),  # the backbone's
)
