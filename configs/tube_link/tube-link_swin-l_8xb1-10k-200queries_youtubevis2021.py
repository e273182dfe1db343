# Tube-Link with Swin-L and all of the 200 queries that mmdet's checkpoints have. mmdet's public Mask2Former-VIS Swin-L
# fits it whole (`axialvs://mask2former-vis_swin-l_youtubevis2021`, AP 52.3 in mmdet's table).
# Paper: no such model; it has 100 queries.
# Training: as tube-link_swin-l_8xb1-10k_youtubevis2021.py; hours are not known.
_base_ = './tube-link_swin-l_8xb1-10k_youtubevis2021.py'

model = dict(panoptic_head=dict(num_queries=200))
