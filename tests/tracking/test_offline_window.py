"""Tests of refinement in a sliding window over a stream."""

import itertools

import pytest
import torch

from axialvs.structures import ClipFeatures
from axialvs.tracking.matching import align_clips, gather_queries
from axialvs.tracking.offline import OfflineWindow, RefinedVideo, WindowSettings
from axialvs.utils.errors import AxialVSError

QUERIES, CHANNELS = 5, 6


def draw(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def features(queries, mask_features):
    return ClipFeatures(queries, queries, mask_features)


def clips_of(count):
    return [
        features(draw(QUERIES, CHANNELS, seed=k), draw(2, CHANNELS, 4, 4, seed=k))
        for k in range(count)
    ]


def refine(identities, queries):
    """Refine with dependence on every input value."""
    queries = gather_queries(queries[None], align_clips(identities[None]))[0]
    return RefinedVideo(queries.mean(0)[:, :4] * 3, queries + queries.mean(0))


def decide(clips, num_clips, overlap, refine=refine):
    """Return all results of a window."""
    window = OfflineWindow(refine, WindowSettings(num_clips, overlap))
    return [decided for clip in clips for decided in window.add(clip)] + window.finish()


@pytest.mark.parametrize('count', [1, 4, 5])
def test_window_over_all_clips_matches_offline(count):
    clips = clips_of(count)
    queries = torch.stack([clip.queries for clip in clips])
    refined = refine(queries, queries)
    decided = decide(clips, 5, 0)
    assert len(decided) == count
    for k, clip in enumerate(decided):
        masks = refined.mask_logits(k, clips[k].mask_features)
        torch.testing.assert_close(clip.mask_logits, masks)
        torch.testing.assert_close(clip.class_logits, refined.class_logits)


@pytest.mark.parametrize(('num_clips', 'overlap'), [(1, 0), (3, 0), (3, 1), (4, 2), (5, 4), (6, 3)])
def test_every_clip_is_returned_once_with_context(num_clips, overlap):
    """Each clip's masks use the queries of the window in which it was refined."""
    seen = []

    def spying(identities, queries):
        seen.append(queries)
        return refine(identities, queries)

    clips = clips_of(14)
    window = OfflineWindow(spying, WindowSettings(num_clips, overlap))
    k = 0
    for clip in [*clips, None]:
        decided = window.finish() if clip is None else window.add(clip)
        for offset, result in enumerate(decided):
            inside = seen[-1]
            (place,) = [
                i
                for i, queries in enumerate(inside)
                if torch.equal(queries.sort(0).values, clips[k].queries.sort(0).values)
            ]
            expected = refine(inside, inside).mask_logits(place, clips[k].mask_features)
            torch.testing.assert_close(result.mask_logits, expected)
            if k >= num_clips:
                assert place >= overlap // 2
            if clip is not None:
                assert num_clips - 1 - place >= (overlap + 1) // 2
            assert offset < num_clips
            k += 1
        assert len(inside if decided else []) <= num_clips
    assert k == len(clips)


def test_objects_keep_their_query_across_windows():
    """With shuffled queries, results that follow a query's direction stay in its row."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.eye(QUERIES, CHANNELS)
    orders = [torch.arange(QUERIES)] + [
        torch.randperm(QUERIES, generator=generator) for _ in range(10)
    ]
    clips = [features(directions[order], torch.ones(1, CHANNELS, 1, 1)) for order in orders]

    def name_rows(_, queries):
        return RefinedVideo(queries[0], queries * torch.arange(1, CHANNELS + 1))

    decided = decide(clips, 4, 2, name_rows)
    rows = torch.arange(1, QUERIES + 1, dtype=torch.float32)
    for clip in decided:
        torch.testing.assert_close(clip.mask_logits.flatten(), rows)
        torch.testing.assert_close(clip.class_logits, directions)


def test_overlap_must_be_smaller_than_the_window():
    for num_clips, overlap in ((3, 3), (0, 0), (2, -1)):
        with pytest.raises(AxialVSError, match=f'overlap is {overlap}, but num_clips {num_clips}'):
            OfflineWindow(refine, WindowSettings(num_clips, overlap))


def test_video_queries_are_matched_across_windows():
    """Without a common order of queries, windows are linked by their mask embeddings."""
    clips = clips_of(7)
    orders = itertools.cycle([torch.arange(QUERIES), torch.tensor([3, 0, 4, 1, 2])])

    def shuffled(identities, queries):
        embeddings = draw(QUERIES, CHANNELS).expand(len(queries), -1, -1)
        order = next(orders)
        refined = RefinedVideo(embeddings[0, :, :4], embeddings, keeps_queries=False)
        return refined.reorder(order)

    decided = decide(clips, 3, 1, shuffled)
    assert len(decided) == 7
    for clip in decided:
        torch.testing.assert_close(clip.class_logits, draw(QUERIES, CHANNELS)[:, :4])
