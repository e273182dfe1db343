"""Tests of fitting checkpoints of related models: prefixes, class rows, and the report."""

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import distribute_tensor

from axialvs.checkpoints.key_mapping import (
    CLASS_BIAS,
    CLASS_WEIGHT,
    adapt_state_dict,
    rename_mask2former_vis,
    select_class_rows,
)
from axialvs.checkpoints.loading import (
    CheckpointMismatchError,
    class_names_of,
    load_weights,
)


class TinySegmenter(nn.Module):
    """A model with our segmenters' tensor names: a class layer and one other tensor."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.panoptic_head = nn.Module()
        self.panoptic_head.cls_embed = nn.Linear(2, num_classes + 1)
        self.panoptic_head.query_feat = nn.Embedding(3, 2)


def test_video_head_is_renamed_and_the_rest_kept():
    renamed = rename_mask2former_vis({'track_head.a': 1, 'backbone.track_head.b': 2, 'c': 3})
    assert renamed == {'panoptic_head.a': 1, 'backbone.track_head.b': 2, 'c': 3}


def test_rows_follow_class_names():
    source = torch.tensor([[1.0], [2.0], [3.0], [9.0]])
    target = torch.tensor([[-1.0], [-2.0], [-3.0], [-4.0], [-5.0]])
    rows, matched = select_class_rows(
        ('person', 'tennis racket', 'dog'),
        ('dog', 'flying_disc', 'Tennis_Racket', 'sedan'),
        source,
        target,
    )
    assert rows.flatten().tolist() == [3.0, -2.0, 2.0, -4.0, 9.0]
    assert matched == ['dog', 'Tennis_Racket']
    assert target[0].item() == -1.0, 'the model was changed'


def test_rows_of_a_sharded_layer_are_reordered(one_process):
    mesh = init_device_mesh('cpu', (1,))
    target = distribute_tensor(torch.tensor([-1.0, -2.0, -3.0]), mesh)
    rows, _ = select_class_rows(('dog',), ('cat', 'dog'), torch.tensor([1.0, 9.0]), target)
    assert rows.tolist() == [-1.0, 1.0, 9.0]


def test_wrong_number_of_class_rows_raises():
    with pytest.raises(ValueError, match="checkpoint's class layer has 3 rows"):
        select_class_rows(('a',), ('a',), torch.zeros(3), torch.zeros(2))
    with pytest.raises(ValueError, match="model's class layer has 3 rows"):
        select_class_rows(('a',), ('a',), torch.zeros(2), torch.zeros(3))


def weights_of(num_classes: int) -> dict:
    torch.manual_seed(num_classes)
    return TinySegmenter(num_classes).state_dict()


def test_other_number_of_classes_without_names_is_reported():
    target = TinySegmenter(3).state_dict()
    fitting, report = adapt_state_dict(weights_of(2), target)
    assert list(fitting) == report.used == ['panoptic_head.query_feat.weight']
    assert report.mismatched == {CLASS_WEIGHT: ((3, 2), (4, 2)), CLASS_BIAS: ((3,), (4,))}
    assert not report.is_complete
    assert '1 of 3 tensors' in report.summary()
    assert f'{CLASS_BIAS} has shape (3,), but (4,) in the model' in report.summary()


def test_other_classes_with_names_are_selected():
    source, target = weights_of(2), TinySegmenter(3).state_dict()
    fitting, report = adapt_state_dict(source, target, ('cat', 'dog'), ('dog', 'fox', 'owl'))
    assert report.selected == [CLASS_WEIGHT, CLASS_BIAS]
    assert report.matched_classes == ['dog']
    torch.testing.assert_close(fitting[CLASS_WEIGHT][[0, 3]], source[CLASS_WEIGHT][[1, 2]])
    torch.testing.assert_close(fitting[CLASS_WEIGHT][1:3], target[CLASS_WEIGHT][1:3])
    assert not report.is_complete


def test_same_classes_in_another_order_are_reordered():
    source, target = weights_of(2), TinySegmenter(2).state_dict()
    fitting, _ = adapt_state_dict(source, target, ('cat', 'dog'), ('dog', 'cat'))
    torch.testing.assert_close(fitting[CLASS_BIAS], source[CLASS_BIAS][[1, 0, 2]])


def test_a_different_spelling_keeps_the_row():
    source, target = weights_of(2), TinySegmenter(2).state_dict()
    fitting, report = adapt_state_dict(source, target, ('sedan', 'dog'), ('car', 'Dog'))
    torch.testing.assert_close(fitting[CLASS_BIAS], source[CLASS_BIAS])
    assert report.is_complete


def test_missing_and_unexpected_tensors_are_listed():
    source = weights_of(2)
    source['extra'] = source.pop('panoptic_head.query_feat.weight')
    _, report = adapt_state_dict(source, weights_of(2))
    assert report.missing == ['panoptic_head.query_feat.weight']
    assert report.unexpected == ['extra']


def test_class_names_are_found_in_metadata_of_each_library():
    assert class_names_of({'meta': {'dataset_meta': {'classes': ['a', 'b']}}}) == ('a', 'b')
    assert class_names_of({'meta': {'dataset_meta': {'CLASSES': ('a',)}}}) == ('a',)
    assert class_names_of({'meta': {'CLASSES': ('a', 'b')}}) == ('a', 'b')
    assert class_names_of({'state_dict': {'track_head.cls_embed.bias': torch.zeros(6)}}) is None
    coco = class_names_of({'state_dict': {CLASS_BIAS: torch.zeros(81)}})
    assert (len(coco), coco[0], coco[-1]) == (80, 'person', 'toothbrush')
    panoptic = class_names_of({'state_dict': {'track_head.cls_embed.bias': torch.zeros(134)}})
    assert (len(panoptic), panoptic[80]) == (133, 'banner')


def test_weights_load_under_the_video_head_names(tmp_path):
    source = weights_of(4)
    renamed = {name.replace('panoptic_head', 'track_head'): w for name, w in source.items()}
    torch.save({'state_dict': renamed}, tmp_path / 'vis.pth')
    model = TinySegmenter(4)
    report = load_weights(model, tmp_path / 'vis.pth')
    assert report.is_complete
    torch.testing.assert_close(model.state_dict(), source, rtol=0, atol=0)


def test_weights_of_a_different_model_are_rejected(tmp_path):
    torch.save({'state_dict': weights_of(2)}, tmp_path / 'x.pth')
    model = TinySegmenter(4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(CheckpointMismatchError, match='2 classes and the config 4'):
        load_weights(model, tmp_path / 'x.pth')
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_release_checkpoint_error_names_the_converter(tmp_path):
    weights = weights_of(2) | {
        'panoptic_head.pixel_decoder.level_3d_encodeing.weight': torch.ones(1)
    }
    with pytest.raises(CheckpointMismatchError, match='axialvs convert release'):
        load_weights(TinySegmenter(2), 'release.pth', {'state_dict': weights})


def test_all_video_kmax_class_layers_are_matched_by_name():
    layers = [
        'panoptic_head.predictor.cls_embed',
        'panoptic_head.decoder_layers.5.predictor.cls_embed',
        'panoptic_head.semantic_head.classifier',
    ]
    source, target = (
        {f'{layer}.bias': torch.arange(rows) + start for layer in layers}
        for rows, start in ((3, 10), (4, 20))
    )
    fitting, report = adapt_state_dict(source, target, ('person', 'sky'), ('sky', 'cat', 'person'))
    assert report.selected == [f'{layer}.bias' for layer in layers]
    assert report.matched_classes == ['sky', 'person']
    assert all(x.tolist() == [11, 21, 10, 12] for x in fitting.values())
    coco = class_names_of({'state_dict': {f'{layers[0]}.bias': torch.zeros(134)}})
    assert (coco[0], len(coco)) == ('person', 133)
