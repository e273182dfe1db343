# Beyond the paper, which names memory as the limit: clip-level segmenter, within-clip and cross-clip tracking are
# trained together on videos of 20 frames. A clip's activations are computed again for its gradient, so that memory
# grows with frames and mask features only; tools/analysis_tools/offline_memory.py measures it.
_base_ = './axialvs-cc_r50_8xb1-10k_youtubevis2021.py'

model = dict(frozen=[], activation_checkpointing=True, panoptic_head=dict(own_predictors=False))
