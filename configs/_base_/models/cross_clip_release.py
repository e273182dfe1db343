# What the release's offline models freeze: class and mask layers are shared by clips and videos, and trained.
release_frozen = [
    'backbone.*',
    'panoptic_head.pixel_decoder.*',
    'panoptic_head.decoder_input_projs.*',
    'panoptic_head.transformer_decoder.*',
    'panoptic_head.query_embed.*',
    'panoptic_head.query_feat.*',
    'panoptic_head.level_embed.*',
]
