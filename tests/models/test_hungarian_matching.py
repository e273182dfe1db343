"""Tests of the matcher in full precision, and of costs that are not finite."""

import pytest
import torch
from mmdet.registry import TASK_UTILS
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData

from axialvs.models.matching import NonFiniteCostError

COSTS = [
    dict(type='ClassificationCost', weight=2.0),
    dict(type='CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
    dict(type='DiceCost', weight=5.0, pred_act=True, eps=1.0),
]


def build(kind='FullPrecisionHungarianAssigner', costs=COSTS):
    return TASK_UTILS.build(dict(type=kind, match_costs=costs))


def inputs(queries=5, objects=3, points=400, seed=0):
    rng = torch.Generator().manual_seed(seed)
    predictions = InstanceData(
        scores=torch.randn(queries, 4, generator=rng),
        masks=torch.randn(queries, points, generator=rng),
    )
    gt = InstanceData(
        labels=torch.randint(3, (objects,), generator=rng),
        masks=(torch.rand(objects, points, generator=rng) > 0.5).float(),
    )
    return predictions, gt


def test_assignment_matches_mmdet():
    for seed in range(5):
        ours = build().assign(*inputs(seed=seed))
        theirs = build('HungarianAssigner').assign(*inputs(seed=seed))
        assert torch.equal(ours.gt_inds, theirs.gt_inds)
        assert torch.equal(ours.labels, theirs.labels)


def close_race():
    """Query 1 fits the object better than query 0 by less than bfloat16 resolves."""
    points = 1000
    gt = InstanceData(labels=torch.zeros(1, dtype=torch.long), masks=torch.ones(1, points))
    masks = torch.full((2, points), 1.0)
    masks[1, :3] = 1.5
    return InstanceData(scores=torch.zeros(2, 4), masks=masks), gt


def cross_entropies(masks, gt):
    losses = torch.nn.functional.binary_cross_entropy_with_logits
    return losses(masks, gt.expand_as(masks), reduction='none').mean(1)


def test_costs_are_compared_in_float32_under_autocast():
    predictions, gt = close_race()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        ours = build().assign(predictions, gt)
    assert ours.gt_inds.tolist() == [0, 1]
    low = [x.bfloat16() for x in cross_entropies(predictions.masks, gt.masks)]
    assert low[0] == low[1]  # in low precision the first query would be matched


def test_low_precision_predictions_are_accepted():
    predictions, gt = inputs()
    low = InstanceData(scores=predictions.scores.bfloat16(), masks=predictions.masks.bfloat16())
    rounded = InstanceData(scores=low.scores.float(), masks=low.masks.float())
    assert torch.equal(build().assign(low, gt).gt_inds, build().assign(rounded, gt).gt_inds)


def test_no_objects():
    result = build().assign(*inputs(objects=0))
    assert result.gt_inds.tolist() == [0] * 5


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize(
    ('field', 'cost'), [('scores', 'ClassificationCost'), ('masks', 'CrossEntropyLossCost')]
)
def test_error_names_the_cost_that_is_not_finite(field, cost, value):
    predictions, gt = inputs()
    predictions[field][2, 1] = value
    assert_named(predictions, gt, cost)


def test_error_names_the_cost_that_overflows():
    predictions, gt = inputs()
    predictions.masks[2, :2] = -3e38
    gt.masks[:] = 1
    assert_named(predictions, gt, 'CrossEntropyLossCost')


def assert_named(predictions, gt, cost):
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 1234)
    with pytest.raises(NonFiniteCostError, match=f'{cost} .* iteration 1234') as error:
        build().assign(predictions, gt)
    assert 'Lower the learning rate' in str(error.value)
