# 15k iterations with a vision transformer, whose earlier layers learn slower.
_base_ = './youtube_vis_15k_r50.py'

_no_decay = dict(decay_mult=0.0)
optim_wrapper = dict(
    constructor='LayerDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        _delete_=True,
        layer_decay=0.8,
        norm_decay_mult=0.0,
        custom_keys=dict(query_embed=_no_decay, query_feat=_no_decay, level_embed=_no_decay),
    ),
)
