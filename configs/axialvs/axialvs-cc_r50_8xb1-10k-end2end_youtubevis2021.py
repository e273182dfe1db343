# Offline Axial-VS with ResNet-50 on YouTube-VIS 2021, all of it trained together: clip-level segmenter, within-clip and
# cross-clip tracking. A clip's activations are computed again for its gradient, so that memory grows with frames and
# mask features only; tools/analysis_tools/offline_memory.py measures it.
# Paper: no such training; it names memory as the limit (appendix D). No AP is known.
# Training: videos of 20 frames as 5 clips of 4, one video on each of 8 GPUs, 10,000 iterations, short sides of 288 to
# 512; memory and hours on GPUs are not known.
_base_ = './axialvs-cc_r50_8xb1-10k_youtubevis2021.py'

model = dict(frozen=[], activation_checkpointing=True, panoptic_head=dict(own_predictors=False))
