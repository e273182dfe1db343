"""The contrastive loss between two tubes: equations as loops, and its use in the head."""

import copy

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.structures import InstanceData

from axialvs.models.offline_segmenter import CLIP_SEGMENTER
from axialvs.models.tube_link.tube_contrast import TubeContrast, match_objects, split_tubes
from axialvs.utils.errors import AxialVSError
from fixed_points import fixed_points
from tiny_offline import CROSS_CLIP, tiny_offline_config
from tiny_segmenter import PANOPTIC, PLAIN, randomize, tiny_config
from training_clips import moving_boxes

CHANNELS, QUERIES = 6, 7
SIZE = (64, 64)
# Numbers of objects by query: two queries of object 3 in the second tube, object 4 in one only.
FIRST = torch.tensor([-1, 3, 0, 4, -1, 1, -1])
SECOND = torch.tensor([3, 0, -1, 1, 5, -1, 3])


def embeddings(*size, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*size, CHANNELS, generator=rng, dtype=torch.float64)


def contrast(**settings):
    return TubeContrast(CHANNELS, **settings).double()


def losses_by_loops(first, second, first_objects, second_objects, margin, ratio):
    """Compute both losses of one video pair by pair."""
    rows = [i for i, x in enumerate(first_objects.tolist()) if x >= 0]
    columns = [j for j, x in enumerate(second_objects.tolist()) if x >= 0]
    per_query, positives, negatives = [], [], []
    for i in rows:
        same = [j for j in columns if second_objects[j] == first_objects[i]]
        others = [j for j in columns if j not in same]
        if same:
            total = torch.ones(())
            for p in same:
                for n in others:
                    total = total + (first[i] @ second[n] - first[i] @ second[p]).exp()
            per_query.append(total.log())
        for j in columns:
            cosine = first[i] @ second[j] / (first[i].norm() * second[j].norm())
            if j in same:
                positives.append((cosine.clamp(0, 1) - 1) ** 2)
            else:
                negatives.append((cosine - margin).clamp(0, 1) ** 2)
    hardest = sorted(negatives, reverse=True)[: ratio * len(positives)]
    aux = sum(positives + hardest) / len(positives + hardest)
    return sum(per_query) / len(per_query), aux


@pytest.mark.parametrize(('margin', 'ratio'), [(0.1, 3), (0.3, 1)])
def test_losses_match_the_equations(margin, ratio):
    first, second = embeddings(1, QUERIES), embeddings(1, QUERIES, seed=1)
    module = contrast(
        loss_weight=0.25, aux_loss_weight=2.0, negative_margin=margin, negative_ratio=ratio
    )
    losses = module.loss((first, second), (FIRST[None], SECOND[None]))
    track, aux = losses_by_loops(first[0], second[0], FIRST, SECOND, margin, ratio)
    torch.testing.assert_close(losses['loss_track'], 0.25 * track, rtol=1e-9, atol=0)
    torch.testing.assert_close(losses['loss_track_aux'], 2.0 * aux, rtol=1e-6, atol=0)


def test_gradients_match_the_equations():
    first, second = (embeddings(1, QUERIES, seed=x).requires_grad_() for x in (0, 1))
    losses = contrast(loss_weight=1.0).loss((first, second), (FIRST[None], SECOND[None]))
    ours = torch.autograd.grad(sum(losses.values()), (first, second))
    theirs = torch.autograd.grad(
        sum(losses_by_loops(first[0], second[0], FIRST, SECOND, 0.1, 3)), (first, second)
    )
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)
    assert not ours[0][0, FIRST < 0].any()


def test_batch_loss_is_the_mean_over_videos():
    tubes = embeddings(2, QUERIES), embeddings(2, QUERIES, seed=1)
    objects = torch.stack((FIRST, SECOND)), torch.stack((SECOND, FIRST.flip(0)))
    module = contrast()
    both = module.loss(tubes, objects)
    alone = [
        module.loss([x[i : i + 1] for x in tubes], [x[i : i + 1] for x in objects]) for i in (0, 1)
    ]
    for name, value in both.items():
        torch.testing.assert_close(value, (alone[0][name] + alone[1][name]) / 2)
        assert alone[0][name] != alone[1][name]


def test_tubes_without_common_objects_have_zero_loss():
    module = contrast()
    tubes = module(embeddings(2, QUERIES)), module(embeddings(2, QUERIES, seed=1))
    nobody = torch.full_like(FIRST, -1)
    first, second = torch.stack((FIRST, nobody)), torch.stack((nobody, SECOND))
    losses = module.loss(tubes, (first, second))
    assert [value.item() for value in losses.values()] == [0, 0]
    sum(losses.values()).backward()
    for parameter in module.parameters():
        assert not parameter.grad.any()  # but a loss is returned: a missing one blocks DDP


def two_boxes():
    """Return object 0 (label 2) in frames 0 to 3 and object 1 (label 0) in frames 2 and 3."""
    masks = torch.zeros(2, 4, 8, 8, dtype=torch.uint8)
    masks[0, :, :4, :4] = 1
    masks[1, 2:, 4:, 4:] = 1
    return InstanceData(labels=torch.tensor([2, 0]), masks=masks)


def test_tubes_contain_their_visible_objects():
    (first,), (second,) = split_tubes([two_boxes()])
    assert first.objects.tolist() == [0]
    assert first.labels.tolist() == [2]
    assert second.objects.tolist() == [0, 1]
    assert first.masks.shape == (1, 2, 8, 8)
    assert torch.equal(second.masks, two_boxes().masks[:, 2:])


def test_queries_are_matched_to_objects():
    head = MODELS.build({**tiny_config(PLAIN).model.panoptic_head, 'train_cfg': CRITERION})
    (first,), (second,) = split_tubes([two_boxes()])
    class_logits, mask_logits = torch.zeros(4, 6), torch.full((4, 2, 8, 8), -9.0)
    mask_logits[3, :, :4, :4] = mask_logits[1, :, 4:, 4:] = 9.0
    for tubes, expected in ((first, [-1, -1, -1, 0]), (second, [-1, 1, -1, 0])):
        matched = match_objects(head.assigner, 200, class_logits, mask_logits, tubes)
        assert matched.tolist() == expected
    empty = first[torch.zeros(1, dtype=torch.bool)]
    assert (match_objects(head.assigner, 9, class_logits, mask_logits, empty) == -1).all()


CRITERION = tiny_config(PLAIN).model.train_cfg


def segmenter(contrast):
    config = tiny_config(PANOPTIC).model
    config.panoptic_head.contrast = contrast
    model = MODELS.build(config)
    randomize(model)
    return model.train()


def clips(*numbers, num_frames=4):
    images = torch.randn(
        len(numbers), num_frames, 3, *SIZE, generator=torch.Generator().manual_seed(0)
    )
    return images, [moving_boxes(n, num_frames, *SIZE) for n in numbers]


def test_losses_of_both_tubes_add_up():
    model, plain = segmenter({}), segmenter(None)
    weights = model.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    images, samples = clips(2, 3)
    halves = []
    for half in (slice(0, 2), slice(2, 4)):
        of_half = copy.deepcopy(samples)
        for sample, whole in zip(of_half, samples, strict=True):
            sample.video_data_samples = list(whole)[half]
        halves.append((images[:, half], of_half))
    with fixed_points():
        together = model.loss(images, samples)
        parts = [plain.loss(*half) for half in halves]
    assert together.keys() - parts[0].keys() == {'loss_track', 'loss_track_aux'}
    for name in parts[0]:
        torch.testing.assert_close(
            together[name], parts[0][name] + parts[1][name], rtol=1e-4, atol=1e-5
        )


def test_every_embedding_parameter_has_a_gradient():
    model = segmenter({})
    losses = model.loss(*clips(2, 3))
    assert all(losses[name] > 0 for name in ('loss_track', 'loss_track_aux'))
    (losses['loss_track'] + losses['loss_track_aux']).backward()
    head = model.panoptic_head
    for name, parameter in head.contrast.named_parameters():
        assert parameter.grad.any(), name
    assert head.query_feat.weight.grad.any()
    assert head.cls_embed.weight.grad is None


def test_clips_are_linked_by_embeddings():
    model = segmenter({}).eval()
    prediction = model.predict_clip(clips(1)[0][0])
    things = model.panoptic_head.num_thing_queries
    expected = model.panoptic_head.contrast(prediction.queries)[:things]
    torch.testing.assert_close(prediction.identity[:things, : expected.shape[1]], expected)
    order = torch.randperm(len(prediction.identity))
    reordered = prediction.reorder(order).identity
    torch.testing.assert_close(reordered, prediction.identity[order])


def test_odd_number_of_frames_raises():
    with pytest.raises(AxialVSError, match='5 frames'):
        segmenter({}).loss(*clips(1, num_frames=5))


def test_embedding_is_frozen_in_offline_training():
    config = tiny_config(PANOPTIC).model
    config.type = 'AxialVSOffline'
    config.panoptic_head.contrast = {}
    config.panoptic_head.cross_clip = tiny_offline_config(CROSS_CLIP).model.panoptic_head.cross_clip
    config.frozen = CLIP_SEGMENTER
    with pytest.raises(AxialVSError, match=r'panoptic_head\.contrast'):
        MODELS.build(config)
    config.frozen = [*CLIP_SEGMENTER, 'panoptic_head.contrast.*']
    head = MODELS.build(config).eval().panoptic_head
    assert head.unreached_parameters() == []
    assert not any(x.requires_grad for x in head.contrast.parameters())
