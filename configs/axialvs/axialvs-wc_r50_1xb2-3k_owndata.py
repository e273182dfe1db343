# Axial-VS, near-online, ResNet-50, fine-tuned on own data of one class on one GPU (docs/own_data.md). Within-clip
# tracking starts from scratch and needs more iterations than the baseline.
_base_ = '../tube_link/tube-link_r50_1xb2-3k_owndata.py'

model = dict(panoptic_head=dict(pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking)))
