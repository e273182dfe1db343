# Axial-VS, near-online, ResNet-50, pre-trained on pseudo videos from COCO images with the classes of YouTube-VIS 2021.
# Continue with the video config and --cfg-options load_from=CHECKPOINT. The paper trains on videos alone.
_base_ = [
    '../_base_/models/tube-link_r50.py',
    '../_base_/datasets/youtube_vis_2021_coco.py',
    '../_base_/schedules/youtube_vis_15k_r50.py',
    '../_base_/default_runtime.py',
]
load_from = 'axialvs://mask2former_r50_coco'

model = dict(panoptic_head=dict(pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking)))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteClipSampler'),
    dataset=dict(_delete_=True, **_base_.coco_clips),
)
