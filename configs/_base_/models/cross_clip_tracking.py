# The cross-clip tracking module (Axial-VS Sec. 3.3): N_c blocks of trajectory attention and Temporal-ASPP over the
# queries of all clips. A config gives it to `panoptic_head.cross_clip` of a CrossClipHead.
cross_clip_tracking = dict(
    num_layers=4,
    num_heads=8,
    attention_dropout=0.1,
    aspp=dict(kernel_sizes=(3, 3, 3), rates=(1, 2, 3), dropout=0.1),
)
