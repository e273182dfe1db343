"""Each part of Video-kMaX agrees with the release's to 1e-4 of the output's scale."""

import pytest
import torch
from kmax_release import build_head, fill, release_noise, release_shapes
from release_weights import assert_agrees
from torch import Tensor

from axialvs.checkpoints.release_names import rename_kmax_tensor
from axialvs.models.backbones.convnext import PaddedConvNeXt
from axialvs.models.video_kmax.kmeans_decoder import KMeansLayer
from axialvs.models.video_kmax.pixel_decoder import KMaXPixelDecoder
from axialvs.models.video_kmax.semantic_head import SemanticHead

SIZE = (65, 97)
NUM_FRAMES = 2


@pytest.fixture(scope='module')
def maps() -> list[Tensor]:
    """Return backbone maps of strides 4 to 32."""
    return [
        release_noise(
            f'shared.res{level}',
            (NUM_FRAMES, 64 * 2**level, *(x // 2**level + 1 for x in SIZE)),
        )
        for level in range(2, 6)
    ]


@torch.no_grad()
def test_within_clip(fixture_data, maps):
    data = fixture_data('kmax_within_clip')
    head = build_head(within_clip=dict(temporal_layer=dict(num_layers=2)))
    module = fill(head.within_clip, 'panoptic_head.within_clip.')
    for name, out in zip(('res3', 'res4', 'res5'), module(maps[1:], NUM_FRAMES), strict=True):
        assert_agrees(out, data[name])


@torch.no_grad()
def test_pixel_decoder(fixture_data, maps):
    data = fixture_data('kmax_pixel_decoder')
    decoder = fill(KMaXPixelDecoder().eval(), 'panoptic_head.pixel_decoder.')
    decoded = decoder([x[:1] for x in maps])
    for stride, out in zip((32, 16, 8), decoded.memory, strict=True):
        assert_agrees(out, data[f'stride{stride}'])
    assert_agrees(decoded.mask_features, data['stride4'])


@torch.no_grad()
def test_decoder_layer(fixture_data):
    data = fixture_data('kmax_decoder_layer')
    layer = fill(KMeansLayer(512, 124).eval(), 'panoptic_head.decoder_layers.4.')
    queries, prediction = layer(
        release_noise('shared.queries', (1, 256, 128)),
        release_noise('shared.pixels', (1, 512, *data['size'].tolist())),
    )
    assert_agrees(queries, data['queries'])
    assert_agrees(prediction.class_logits, data['class_logits'])
    assert_agrees(prediction.mask_logits, data['mask_logits'])
    assert_agrees(prediction.pixel_features, data['pixel_feature'])
    assert_agrees(prediction.mask_embeddings, data['mask_embeddings'])


@torch.no_grad()
def test_semantic_head(fixture_data, maps):
    data = fixture_data('kmax_semantic_head')
    head = SemanticHead((256, 512, 2048), num_classes=124).eval()
    fill(head, 'panoptic_head.semantic_head.')
    assert_agrees(head(maps[0][:1], maps[1][:1], maps[3][:1]), data['logits'])


@torch.no_grad()
def test_cross_clip(fixture_data):
    data = fixture_data('kmax_cross_clip')
    head = fill(build_head(cross_clip={}), 'panoptic_head.')
    features = data['pixel_features'].float().transpose(1, 2).split(2, dim=1)
    refined = head.cross_clip(data['queries'].float().transpose(1, 2))
    for i, queries in enumerate(refined):
        pooled = head.cross_clip.pool_clips(head.video_class_features(queries))
        embeddings = head.embed_video_masks(queries).unbind(1)
        masks = map(head.predict_video_masks, embeddings, features)
        assert_agrees(head.predict_video_classes(pooled), data['class_logits'][i])
        assert_agrees(torch.cat(list(masks), dim=2), data['mask_logits'][i])


@pytest.mark.parametrize('version', [1, 2])
@torch.no_grad()
def test_convnext(fixture_data, version):
    name = {1: 'convnext_l', 2: 'convnextv2_l'}[version]
    data = fixture_data(f'{name}_backbone')
    with torch.device('meta'):  # skip the initialization of 196 million weights
        backbone = PaddedConvNeXt('large', version).eval()
    fill(backbone, 'backbone.', f'video_kmax_{name}')
    for i, out in enumerate(backbone(data['image'].float())):
        assert_agrees(out, data[f'res{i + 2}'])


@pytest.mark.parametrize(
    ('name', 'count'),
    [
        ('kmax_coco_r50', 1474),
        ('video_kmax_r50', 1714),
        ('video_kmax_convnext_l', 1742),
        ('video_kmax_convnextv2_l', 1778),
    ],
)
def test_names_of_the_release(name, count):
    renamed = {rename_kmax_tensor(x): shape for x, shape in release_shapes(name).items()}
    assert len(renamed) == count
    coco = name == 'kmax_coco_r50'
    convnext = 'convnext' in name
    with torch.device('meta'):
        head = build_head(
            *((80, 53) if coco else (58, 66)),
            in_channels=(192, 384, 768, 1536) if convnext else (256, 512, 1024, 2048),
            within_clip=dict(temporal_layer=None if coco else dict(num_layers=2)),
            semantic_head={},
            cross_clip=None if coco else {},
        )
        homes = {f'panoptic_head.{x}': y for x, y in head.state_dict().items()}
    heads = {x: y for x, y in renamed.items() if x.startswith('panoptic_head.')}
    if not coco:  # a convolution of kernel size 1 in the release
        assert heads['panoptic_head.cross_clip.clip_weight.weight'].pop() == 1
    assert heads == {x: list(y.shape) for x, y in homes.items()}
