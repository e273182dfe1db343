# Tube-Link with Swin-L, pre-trained at 384 pixels, and 100 queries as in Tube-Link and the public release. mmdet's COCO
# checkpoint, from which training starts, has 200; loading it keeps the first 100.
_base_ = './tube-link_r50.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='SwinTransformer',
        pretrain_img_size=384,
        embed_dims=192,
        depths=(2, 2, 18, 2),
        num_heads=(6, 12, 24, 48),
        window_size=12,
        mlp_ratio=4,
        qkv_bias=True,
        qk_scale=None,
        drop_rate=0.0,
        attn_drop_rate=0.0,
        drop_path_rate=0.3,
        patch_norm=True,
        out_indices=(0, 1, 2, 3),
        with_cp=True,  # trades time for memory in training
        convert_weights=True,
        frozen_stages=-1,
        init_cfg=None,
    ),
    panoptic_head=dict(in_channels=[192, 384, 768, 1536]),
)
