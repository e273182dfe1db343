# Study on the level "hard" (docs/results.md): within-clip tracking from scratch. The layer scale starts at 0.1: from the
# paper's 1e-6 it reaches 0.01 in 1000 iterations and the module has no effect.
_base_ = '../tube_link/tube-link_tiny_1xb4-1k_movingshapes-hard.py'

temporal_layer = dict(_base_.within_clip_tracking, layer_scale=0.1)
model = dict(panoptic_head=dict(pixel_decoder=dict(temporal_layer=temporal_layer)))
