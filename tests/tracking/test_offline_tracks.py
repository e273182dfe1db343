"""Offline tracks: alignment of clips, and buffering until the end of a video."""

import pytest
import torch

from axialvs.postprocess.finisher import FrameShapeError
from axialvs.postprocess.instances import InstanceFinisher
from axialvs.structures import ClipFeatures, ImageShapes
from axialvs.tracking.matching import align_clips, gather_queries
from axialvs.tracking.offline import OfflineVideo, RefinedVideo

QUERIES, CHANNELS, CLIPS, CLIP_LENGTH = 5, 6, 3, 2
SHAPES = ImageShapes(batch_input_shape=(32, 64), img_shape=(30, 53), ori_shape=(45, 80))


def draw(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def aligned(queries):
    return gather_queries(queries, align_clips(queries))


def test_clips_are_aligned_by_a_chain_of_matchings():
    """Objects that rotate slightly between clips end far from their start; the chain of
    matchings follows them, direct matching to the first clip would not."""
    steps = torch.linspace(0, 1, 40)[:, None]
    angles = torch.tensor([[0.0, 2.0, 4.0]]) + 2.0 * steps  # each ends where the next one started
    tracks = torch.stack((angles.cos(), angles.sin()), dim=-1)  # K, Q, C
    rng = torch.Generator().manual_seed(0)
    orders = [torch.arange(3), *(torch.randperm(3, generator=rng) for _ in range(39))]
    shuffled = torch.stack([clip[order] for clip, order in zip(tracks, orders, strict=True)])
    assert torch.equal(aligned(shuffled[None])[0], tracks)


def test_videos_of_a_batch_are_aligned_independently():
    videos = draw(2, CLIPS, QUERIES, CHANNELS)
    together = aligned(videos)
    assert torch.equal(together[0], aligned(videos[:1])[0])
    assert torch.equal(together[1], aligned(videos[1:])[0])
    assert torch.equal(aligned(videos[:, :1]), videos[:, :1])


def refine(identities, queries):
    """Refine with dependence on every input value."""
    queries = gather_queries(queries[None], align_clips(identities[None]))[0]
    return RefinedVideo(queries.mean(0)[:, :4] * 3, queries + queries.mean(0))


@pytest.fixture
def clips():
    """Return clips, the last of which has a padding frame."""
    return [
        ClipFeatures(
            draw(QUERIES, 3, seed=9 + k),
            draw(QUERIES, CHANNELS, seed=k),
            draw(CLIP_LENGTH, CHANNELS, 8, 16, seed=k),
        )
        for k in range(CLIPS)
    ]


def tracks_of(clips, max_masks=None, **settings):
    video = OfflineVideo(refine, InstanceFinisher(6, max_masks), **settings)
    for k, clip in enumerate(clips):
        video.add(clip, SHAPES, CLIP_LENGTH - (k == CLIPS - 1))
    tracks = video.finish()
    video.close()
    return tracks


@pytest.mark.parametrize('settings', [{}, dict(feature_memory=0)], ids=['memory', 'file'])
@pytest.mark.parametrize('max_masks', [None, 2])
def test_matches_all_at_once(clips, settings, max_masks):
    refined = refine(
        torch.stack([x.identity for x in clips]), torch.stack([x.queries for x in clips])
    )
    masks = torch.cat([refined.mask_logits(k, x.mask_features) for k, x in enumerate(clips)], 1)
    expected = InstanceFinisher(6, max_masks).finish(
        refined.class_logits, lambda queries: iter([masks[queries, :-1]]), SHAPES
    )
    tracks = tracks_of(clips, max_masks, **settings)
    assert tracks == expected
    assert len(tracks) == (6 if max_masks is None else 2)
    assert {len(track.segmentations) for track in tracks} == {CLIPS * CLIP_LENGTH - 1}
    assert any(any(track.segmentations) for track in tracks)


def test_half_precision_is_close(clips):
    for ours, exact in zip(
        tracks_of(clips, feature_precision='float16'), tracks_of(clips), strict=True
    ):
        assert (ours.id, ours.label) == (exact.id, exact.label)
        assert ours.score == pytest.approx(exact.score, abs=1e-3)


def test_frames_of_a_video_must_have_one_size(clips):
    video = OfflineVideo(refine, InstanceFinisher())
    video.add(clips[0], SHAPES, CLIP_LENGTH)
    with pytest.raises(FrameShapeError, match='54'):
        video.add(clips[1], SHAPES._replace(img_shape=(30, 54)), CLIP_LENGTH)
