# The within-clip tracking module (Axial-VS Sec. 3.2): axial-trajectory attention inside each of the pixel
# decoder's deformable attentions, on the maps of stride 32 and 16. A config gives it to `pixel_decoder.trajectory`.
within_clip_tracking = dict(
    num_levels=2, num_layers=1, num_heads=8, feedforward_channels=1024, dropout=0.1
)
