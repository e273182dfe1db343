"""Map tensor names of the public release's Video-kMaX checkpoints to ours.

Covers all stages: kMaX-DeepLab on COCO with and without deformable attention, near-online and
offline. The COCO stage spells its predictors `_predcitor`.
"""

_DECODER = r'sem_seg_head\.predictor\.'
_VIDEO = r'cross_clip_tracking_module\.'
_LAYER = r'panoptic_head.cross_clip.layers.\1.'

# ResNet: detectron2's names -> mmdet's. ConvNeXt keeps its own.
_BACKBONE_RULES = (
    (r'^backbone\.stem\.conv1\.norm\.', 'backbone.bn1.'),
    (r'^backbone\.stem\.conv1\.', 'backbone.conv1.'),
    *(
        rule
        for stage in range(2, 6)
        for rule in (
            (
                rf'^backbone\.res{stage}\.(\d+)\.shortcut\.norm\.',
                rf'backbone.layer{stage - 1}.\1.downsample.1.',
            ),
            (
                rf'^backbone\.res{stage}\.(\d+)\.shortcut\.',
                rf'backbone.layer{stage - 1}.\1.downsample.0.',
            ),
            (
                rf'^backbone\.res{stage}\.(\d+)\.conv(\d)\.norm\.',
                rf'backbone.layer{stage - 1}.\1.bn\2.',
            ),
            (
                rf'^backbone\.res{stage}\.(\d+)\.conv(\d)\.',
                rf'backbone.layer{stage - 1}.\1.conv\2.',
            ),
        )
    ),
)

_WITHIN_CLIP_RULES = (
    (r'^sem_seg_head\.wc_module\.within_clip_tracking_module\.', 'panoptic_head.within_clip.'),
    (r'\.within_clip\.(in|out)put_proj\.(\d+)\.0\.', r'.within_clip.\1put_convs.\2.conv.'),
    (r'\.within_clip\.(in|out)put_proj\.(\d+)\.1\.', r'.within_clip.\1put_convs.\2.gn.'),
    (r'\.within_clip\.transformer\.level_embed_2d$', '.within_clip.level_encoding.weight'),
    (r'\.within_clip\.transformer\.level_embed_3d$', '.within_clip.level_encoding_3d.weight'),
    (r'\.within_clip\.transformer\.encoder\.', '.within_clip.'),
    (r'(\.spatial_layers\.\d+)\.norm1\.', r'\1.norms.0.'),
    (r'(\.spatial_layers\.\d+)\.norm2\.', r'\1.norms.1.'),
    (r'(\.spatial_layers\.\d+)\.linear1\.', r'\1.ffn.layers.0.0.'),
    (r'(\.spatial_layers\.\d+)\.linear2\.', r'\1.ffn.layers.1.'),
    (r'(\.temporal_layers\.\d+)\.temporal_layers\.', r'\1.layers.'),
)

_PIXEL_DECODER_RULES = (
    (r'^sem_seg_head\.pixel_decoder\.', 'panoptic_head.pixel_decoder.'),
    (r'\.pixel_decoder\._in_norms\.', '.pixel_decoder.input_norms.'),
    (r'\.pixel_decoder\._stages\.(\d+)\._blocks\.', r'.pixel_decoder.stages.\1.'),
    (r'\._resized_fuses\.(\d+)\._conv_bn_(low|high)\.', r'.fuses.\1.\2_conv.'),
    (r'\._conv1_bn_act\.', '.conv1.'),
    (r'\._conv2_bn_act\.', '.conv2.'),
    (r'\._conv3_bn\.', '.conv3.'),
    (r'\._shortcut\.', '.shortcut.'),
    (r'\._attention\._(height|width)_axis\.', r'.attention.\1.'),
    (r'\.qkv_transform\.conv\.', '.qkv.'),
    (r'\._(query|key|value)_rpe\._embeddings\.weight$', r'.\1_position_table'),
    (r'\._batch_norm_qkv\.', '.qkv_norm.'),
    (r'\._batch_norm_similarity\.', '.similarity_norm.'),
    (r'\._batch_norm_retrieved_(output|value)\.', '.output_norm.'),
)

_PREDICTOR_RULES = (
    (r'\._pred(ic|ci)tor\.', '.predictor.'),
    (r'\._pixel_space_head_conv0bnact\.', '.pixel_convs.0.'),
    (r'\._pixel_space_head_conv1bnact\.', '.pixel_convs.1.'),
    (r'\._pixel_space_head_last_convbn\.', '.pixel_convs.2.'),
    (r'\._transformer_mask_head\.', '.mask_embed.'),
    (r'\._transformer_class_head\.conv\.', '.cls_embed.'),
    (r'\._pixel_space_mask_batch_norm\.', '.mask_norm.'),
    (r'\._(class|mask)_embedding_projection\.', r'.\1_proj.'),
)

_DECODER_RULES = (
    (rf'^{_DECODER}_kmax_transformer_layers\.', 'panoptic_head.decoder_layers.'),
    (rf'^{_DECODER}_cluster_centers\.weight$', 'panoptic_head.cluster_centers'),
    (rf'^{_DECODER}_auxiliary_semantic_predictor\.', 'panoptic_head.semantic_head.'),
    (rf'^{_DECODER}', 'panoptic_head.'),
    (r'\._query_conv1_bn_act\.', '.query_conv.'),
    (r'\._pixel_conv1_bn_act\.', '.pixel_conv.'),
    (r'\._query_qkv_conv_bn\.', '.qkv.'),
    (r'\._pixel_v_conv_bn\.', '.pixel_value.'),
    (r'\._query_self_attention\.', '.self_attn.'),
    (r'\._query_conv3_bn\.', '.self_attn_out.'),
    (r'\._query_ffn_conv1_bn_act\.', '.ffn.0.'),
    (r'\._query_ffn_conv2_bn\.', '.ffn.1.'),
    (r'\._kmeans_query_batch_norm_retrieved_value\.', '.kmeans_norm.'),
    (r'\._kmeans_query_conv3_bn\.', '.kmeans_out.'),
)

_SEMANTIC_HEAD_RULES = (
    (r'\.semantic_head\._aspp\._aspp_conv(\d)\.', r'.semantic_head.aspp.convs.\1.'),
    (r'\.semantic_head\._aspp\._aspp_pool\.', '.semantic_head.aspp.pool.'),
    (r'\.semantic_head\._aspp\._proj_conv_bn_act\.', '.semantic_head.aspp.proj.'),
    (r'\._low_level_projection_os8\.', '.low_level_convs.0.'),
    (r'\._low_level_projection_os4\.', '.low_level_convs.1.'),
    (r'\._low_level_fusion_os8_conv(\d)_bn_act\.', r'.fusions.0.\1.'),
    (r'\._low_level_fusion_os4_conv(\d)_bn_act\.', r'.fusions.1.\1.'),
    (r'\.semantic_head\.conv_block_(\d)\.', r'.semantic_head.conv.\1.'),
    (r'\.semantic_head\.final_conv\.conv\.', '.semantic_head.classifier.'),
)

_CROSS_CLIP_RULES = (
    (
        rf'^{_VIDEO}transformer_trajectory_self_attention_layers\.(\d+)\.self_attn\.',
        f'{_LAYER}trajectory_attn.',
    ),
    (
        rf'^{_VIDEO}transformer_trajectory_self_attention_layers\.(\d+)\.norm\.',
        f'{_LAYER}norm.',
    ),
    (
        rf'^{_VIDEO}conv_short_aggregate_layers\.(\d+)\._aspp_conv(\d+)\.',
        rf'{_LAYER}temporal_aspp.convs.\2.',
    ),
    (
        rf'^{_VIDEO}conv_short_aggregate_layers\.(\d+)\._proj_conv_bn_act\.conv\.',
        f'{_LAYER}temporal_aspp.proj.',
    ),
    (
        rf'^{_VIDEO}conv_short_aggregate_layers\.(\d+)\._proj_conv_bn_act\.norm\.',
        f'{_LAYER}temporal_aspp.norm.',
    ),
    (rf'^{_VIDEO}conv_norms\.(\d+)\.', f'{_LAYER}aspp_norm.'),
    (
        rf'^{_VIDEO}_predictor\._transformer_class_activation_head\.conv\.',
        'panoptic_head.cross_clip.clip_weight.',
    ),
    (rf'^{_VIDEO}_predictor\.', 'panoptic_head.video_predictor.'),
    (
        rf'^{_VIDEO}_(class|mask)_embedding_projection\.',
        r'panoptic_head.video_predictor.\1_proj.',
    ),
)

RULES = (
    *_BACKBONE_RULES,
    *_WITHIN_CLIP_RULES,
    *_CROSS_CLIP_RULES,
    *_DECODER_RULES,
    *_PIXEL_DECODER_RULES,
    *_PREDICTOR_RULES,
    *_SEMANTIC_HEAD_RULES,
)
