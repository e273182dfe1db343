# Tube-Link, Swin-L, YouTube-VIS 2021, with the 200 queries of mmdet's checkpoints. Fits mmdet's public Mask2Former-VIS
# Swin-L (`axialvs://mask2former-vis_swin-l_youtubevis2021`, AP 52.3 in mmdet's table).
_base_ = './tube-link_swin-l_8xb1-10k_youtubevis2021.py'

model = dict(panoptic_head=dict(num_queries=200))
