"""Losses of Video-kMaX: parity with the release's values and gradients, and values by hand."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from axialvs.models.matching import NonFiniteCostError
from axialvs.models.video_kmax.losses import (
    KMaXOutputs,
    LossSettings,
    SamplingNoise,
    class_loss,
    kmax_losses,
    mask_losses,
    pixel_contrast_loss,
)
from axialvs.models.video_kmax.matching import ClipTargets, match_clips, measure_overlap

FOLDER = Path(__file__).parents[2] / 'data' / 'parity'
RELEASE_NAMES = {
    'ce': 'cls',
    'mask': 'mask',
    'dice': 'dice',
    'pixel_insdis': 'contrast',
    'aux_semantic': 'semantic',
}


def our_name(name: str) -> str:
    """Map a name such as `loss_pixel_insdis_3` to `d3.loss_contrast`."""
    name = name.removeprefix('loss_')
    stem, _, layer = name.rpartition('_')
    if layer.isdigit():
        return f'd{layer}.loss_{RELEASE_NAMES[stem]}'
    return f'loss_{RELEASE_NAMES[name]}'


class Fixture:
    """A fixture file with the release's losses."""

    def __init__(self, name: str) -> None:
        with np.load(FOLDER / f'{name}.npz') as arrays:
            self.arrays = dict(arrays)

    def tensor(self, name: str, requires_grad: bool = False) -> torch.Tensor:
        values = torch.from_numpy(self.arrays[name])
        return values.float().requires_grad_(requires_grad) if requires_grad else values

    def targets(self) -> list[ClipTargets]:
        return [
            ClipTargets(self.tensor(f'gt_labels_{b}'), self.tensor(f'gt_masks_{b}').bool())
            for b in range(2)
        ]

    def expected(self, prefix: str) -> dict[str, float]:
        names = map(our_name, self.arrays[f'{prefix}loss_names'])
        return dict(zip(names, self.arrays[f'{prefix}losses'], strict=True))

    def outputs(self) -> KMaXOutputs:
        return KMaXOutputs(
            self.tensor('class_logits', True),
            self.tensor('mask_logits', True),
            self.tensor('pixel_features', True) if 'pixel_features' in self.arrays else None,
            self.tensor('semantic_logits', True) if 'semantic_logits' in self.arrays else None,
        )


@pytest.fixture(scope='module')
def release():
    return Fixture('kmax_losses')


def settings(**changes) -> LossSettings:
    unweighted = LossSettings(1, 1, 1, 1, 1)
    return unweighted._replace(**changes)


def assert_gradients(outputs: KMaXOutputs, release: Fixture, names: dict[str, str]) -> None:
    for field, name in names.items():
        expected = release.arrays[name]
        difference = np.abs(getattr(outputs, field).grad.numpy() - expected).max()
        assert difference <= 1e-4 * np.abs(expected).max(), name


@pytest.mark.parametrize('case', ['all', 'sampled'])
def test_losses_and_gradients_of_the_release(release, case):
    outputs, noise, pixels = release.outputs(), None, {}
    if case == 'sampled':
        noise = SamplingNoise(
            release.tensor('noise_pixel_insdis'), release.tensor('noise_aux_semantic')
        )
        pixels = dict(contrast_pixels=60, semantic_pixels=70)
    losses = kmax_losses(outputs, release.targets(), settings(**pixels), noise)
    expected = release.expected(f'{case}_')
    assert {k: v.item() for k, v in losses.items()} == pytest.approx(expected, rel=1e-5)

    total = sum(kmax_losses(outputs, release.targets(), LossSettings(**pixels), noise).values())
    assert total.item() == pytest.approx(float(release.arrays[f'{case}_total']), rel=1e-5)
    total.backward()
    assert_gradients(
        outputs,
        release,
        dict(
            class_logits='grad_class_logits',
            mask_logits='grad_mask_logits',
            pixel_features=f'{case}_grad_pixel_features',
            semantic_logits=f'{case}_grad_semantic_logits',
        ),
    )


def test_cross_clip_losses_and_gradients_of_the_release():
    release = Fixture('kmax_losses_cross_clip')
    outputs = release.outputs()
    without_pixels = dict(contrast_weight=0, semantic_weight=0)
    losses = kmax_losses(outputs, release.targets(), settings(**without_pixels))
    expected = release.expected('')
    assert {k: v.item() for k, v in losses.items()} == pytest.approx(expected, rel=1e-5)

    weights = LossSettings(class_weight=4, mask_weight=0, dice_weight=4, **without_pixels)
    losses = kmax_losses(outputs, release.targets(), weights)
    assert not any('mask' in name for name in losses)
    total = sum(losses.values())
    assert total.item() == pytest.approx(float(release.arrays['total']), rel=1e-5)
    total.backward()
    assert_gradients(
        outputs,
        release,
        dict(class_logits='grad_class_logits', mask_logits='grad_mask_logits'),
    )


@pytest.mark.parametrize('name', ['kmax_losses', 'kmax_losses_cross_clip'])
def test_matching_of_the_release(name):
    release = Fixture(name)
    targets = release.targets()
    clips = match_clips(
        release.tensor('class_logits')[-1], release.tensor('mask_logits')[-1], targets
    )
    for b, clip in enumerate(clips):
        order = release.tensor(f'match_gt_{b}')
        assert torch.equal(clip.queries, release.tensor(f'match_query_{b}'))
        assert torch.equal(clip.masks, targets[b].masks[order].flatten(1))
        assert torch.equal(clip.classes, release.tensor('target_classes')[b])
        torch.testing.assert_close(clip.class_weights, release.tensor('class_loss_weight')[b])
        torch.testing.assert_close(clip.mask_weights, release.tensor(f'match_prob_{b}'))
        torch.testing.assert_close(
            clip.class_weights[clip.queries], release.tensor(f'match_dice_{b}')
        )
        void = release.tensor('void')[b].flatten().bool()
        assert torch.equal(clip.segments < 0, void)


def random_case(queries=6, labels=(0, 2, 1), seed=0, size=(2, 5, 7), layers=3):
    """Return outputs of one clip whose pixels are void or belong to one of the tubes."""
    rng = torch.Generator().manual_seed(seed)
    owner = torch.randint(-1, len(labels), size, generator=rng)
    target = ClipTargets(
        torch.tensor(labels, dtype=torch.long),
        torch.stack([owner == i for i in range(len(labels))])
        if labels
        else torch.zeros(0, *size, dtype=torch.bool),
    )
    outputs = KMaXOutputs(
        torch.randn(layers, 1, queries, 5, generator=rng),
        torch.randn(layers, 1, queries, *size, generator=rng),
        F.normalize(torch.randn(layers, 1, 4, *size, generator=rng), dim=2),
        torch.randn(1, 5, *size, generator=rng),
    )
    return outputs, target


def leaves(*outputs: KMaXOutputs) -> KMaXOutputs:
    """Concatenate outputs along the batch as leaf tensors that require gradients."""
    joined = [torch.cat(tensors, dim=1) for tensors in zip(*(o[:3] for o in outputs), strict=True)]
    joined.append(torch.cat([o.semantic_logits for o in outputs]))
    return KMaXOutputs(*(tensor.clone().requires_grad_() for tensor in joined))


def test_batch_loss_is_the_mean_over_clips():
    cases = [random_case(seed=0), random_case(seed=1, labels=(1, 1))]
    alone = []
    for case, target in cases:
        outputs = leaves(case)
        losses = kmax_losses(outputs, [target], LossSettings())
        sum(losses.values()).backward()
        alone.append((losses, [tensor.grad for tensor in outputs]))
    outputs = leaves(*(case for case, _ in cases))
    losses = kmax_losses(outputs, [target for _, target in cases], LossSettings())
    for name, loss in losses.items():
        torch.testing.assert_close(loss, (alone[0][0][name] + alone[1][0][name]) / 2)
    sum(losses.values()).backward()
    for i, tensor in enumerate(outputs):
        expected = torch.cat([grads[i] for _, grads in alone], dim=0 if i == 3 else 1) / 2
        torch.testing.assert_close(tensor.grad, expected)


def test_losses_by_hand():
    case, target = random_case()
    (clip,) = match_clips(case.class_logits[-1], case.mask_logits[-1], [target])
    class_logits, mask_logits = case.class_logits[0, 0].double(), case.mask_logits[0, 0].double()
    features = case.pixel_features[0, 0].double().flatten(1).T
    probabilities = mask_logits.flatten(1).softmax(0)
    labeled = target.masks.any(0).flatten()
    masks = target.masks.flatten(1)
    tube_of = {
        int(q): next(t for t in range(len(masks)) if torch.equal(masks[t], mask))
        for q, mask in zip(clip.queries, clip.masks, strict=True)
    }
    final_overlap = measure_overlap(case.mask_logits[-1, 0].double(), target.masks)
    final_classes = case.class_logits[-1, 0].double().softmax(-1)

    class_term = dice_term = 0.0
    for q in range(len(class_logits)):
        if q in tube_of:
            t = tube_of[q]
            label, balance, weight = target.labels[t], 0.75, final_overlap.similarity[q, t]
            p, g = probabilities[q] * labeled, masks[t].double()
            dice = 1 - (2 * (p * g).sum() + 1) / (p.sum() + g.sum() + 1)
            dice_term += dice * final_classes[q, label] * 0.75 / len(class_logits)
        else:
            label, balance, weight = 4, 0.25, final_overlap.void_share[q]
        class_term -= class_logits.log_softmax(-1)[q, label] * balance * weight
    owner = {t: q for q, t in tube_of.items()}
    mask_term = -torch.stack(
        [
            probabilities[owner[int(masks[:, i].int().argmax())], i].log()
            for i in labeled.nonzero().flatten()
        ]
    ).mean()
    similarities = features @ features.T / 0.3
    contrast_term = -torch.stack(
        [
            similarities[i].log_softmax(0)[masks[masks[:, i].int().argmax()]].mean()
            for i in labeled.nonzero().flatten()
        ]
    ).mean()

    size = target.masks.shape[-2:]
    result = mask_losses(case.mask_logits[0, 0], clip, size)
    contrast = pixel_contrast_loss(case.pixel_features[0, 0], clip, None, size, LossSettings())
    found = torch.stack(
        [class_loss(case.class_logits[0, 0], clip), result.mask, result.dice, contrast]
    )
    expected = torch.stack(
        [class_term / len(class_logits), mask_term, dice_term, contrast_term]
    ).float()
    torch.testing.assert_close(found, expected)


def test_losses_of_small_maps_match_resized_maps():
    case, target = random_case(size=(2, 9, 13))
    small = KMaXOutputs(
        case.class_logits,
        [case.mask_logits[0, ..., :5, :7].clone(), case.mask_logits[-1]],
        [case.pixel_features[0, ..., :5, :7].clone(), case.pixel_features[-1]],
    )
    small = small._replace(class_logits=small.class_logits[1:])

    def resized(maps):
        # (1, C, T, h, w): frames are resized one by one
        return F.interpolate(maps, (2, 9, 13), mode='trilinear', align_corners=True)

    results = []
    for transform in (lambda maps: maps, resized):
        masks = small.mask_logits[0].clone().requires_grad_()
        features = small.pixel_features[0].clone().requires_grad_()
        outputs = small._replace(
            mask_logits=[transform(masks), small.mask_logits[1]],
            pixel_features=[transform(features), small.pixel_features[1]],
        )
        losses = kmax_losses(outputs, [target], LossSettings(semantic_weight=0))
        sum(losses.values()).backward()
        results.append((losses, masks.grad, features.grad))
    torch.testing.assert_close(results[0], results[1])


def test_clip_without_segments_trains_queries_to_void():
    case, target = random_case(labels=())
    outputs = leaves(case)
    losses = kmax_losses(outputs, [target], LossSettings())
    sum(losses.values()).backward()
    assert losses['loss_cls'] > 0
    assert all(loss == 0 for name, loss in losses.items() if 'cls' not in name)
    assert outputs.class_logits.grad[..., -1].lt(0).all()
    assert all(tensor.grad.isfinite().all() for tensor in outputs)


def test_segments_without_a_query_become_void():
    case, target = random_case(queries=2, labels=(0, 1, 2, 3))
    (clip,) = match_clips(case.class_logits[-1], case.mask_logits[-1], [target])
    assert len(clip.queries) == 2
    assert torch.equal(clip.segments >= 0, clip.masks.any(0))
    assert 0 < clip.masks.any(0).sum() < target.masks.any(0).sum()
    losses = kmax_losses(case, [target], LossSettings())
    assert all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_diverged_network_raises(value):
    case, target = random_case()
    case.mask_logits[-1, 0, 0] = value
    with pytest.raises(NonFiniteCostError):
        kmax_losses(case, [target], LossSettings())
