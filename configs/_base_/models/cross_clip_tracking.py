# The cross-clip tracking module (Axial-VS Sec. 3.3, Fig. 5 and 6): N_c blocks of trajectory attention and Temporal-ASPP
# over the queries of all clips. Plain variables, because the near-online config beneath has a model of its own: an
# offline config lays `offline_model` over it.
cross_clip_tracking = dict(
    num_layers=4,
    num_heads=8,
    attention_dropout=0.1,
    aspp=dict(kernel_sizes=(3, 3, 3), rates=(1, 2, 3), dropout=0.1),
)
offline_model = dict(
    type='OfflineTubeLink',
    panoptic_head=dict(type='CrossClipHead', cross_clip=cross_clip_tracking),
)
