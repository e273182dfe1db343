"""The live protocol: tracks are decided clip by clip from the averages so far."""

import numpy as np
import torch
from torch import Tensor

from axialvs.functional.masks import encode_masks, resize_mask_logits
from axialvs.structures import FrameGeometry, Track


class LiveTracks:
    """Names the objects of each clip as soon as it is segmented; what was said is not taken back.

    A query that once reached the score threshold has its track id for the rest of the video.

    Args:
        score_threshold: class probability, averaged over the clips so far, from which a query is an
            object.
        max_tracks: objects shown at once.
    """

    def __init__(self, score_threshold: float, max_tracks: int) -> None:
        self.score_threshold = score_threshold
        self.max_tracks = max_tracks
        self._num_frames = 0
        self._ids: dict[int, int] = {}
        self._segmentations: dict[int, dict[int, dict]] = {}
        self._class_logits: Tensor | None = None

    def add(
        self, mask_logits: Tensor, class_logits: Tensor, geometry: FrameGeometry
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Decides on the next clip.

        Args:
            mask_logits: (Q, T, H, W), linked, without frames that repeat the last one.
            class_logits: mean over the clips so far, (Q, N + 1).
            geometry: sizes of the frames.

        Returns:
            ids (n,), labels (n,), scores (n,) and masks (n, T, H, W) at the original size.
        """
        self._class_logits = class_logits.float().cpu()
        scores, labels = self._class_logits.softmax(-1)[:, :-1].max(-1)
        best = scores.topk(min(self.max_tracks, len(scores))).indices
        chosen = best[scores[best] >= self.score_threshold]
        logits = mask_logits[chosen.to(mask_logits.device)].float()
        # One frame at a time: at full size a clip of 100 masks fills gigabytes.
        frames = [resize_mask_logits(frame, geometry) > 0 for frame in logits.split(1, dim=1)]
        masks = torch.cat(frames, dim=1).cpu().numpy()
        ids = [self._ids.setdefault(query, len(self._ids) + 1) for query in chosen.tolist()]
        for object_id, clip_masks in zip(ids, masks, strict=True):
            codes = self._segmentations.setdefault(object_id, {})
            for t, code in enumerate(encode_masks(clip_masks)):
                if code is not None:
                    codes[self._num_frames + t] = code
        self._num_frames += mask_logits.shape[1]
        return np.array(ids, dtype=int), labels[chosen].numpy(), scores[chosen].numpy(), masks

    def tracks(self) -> list[Track]:
        """All objects named so far, with the class and score of the averages so far."""
        if self._class_logits is None:
            return []
        scores, labels = self._class_logits.softmax(-1)[:, :-1].max(-1)
        return [
            Track(
                object_id,
                int(labels[query]),
                float(scores[query]),
                [self._segmentations[object_id].get(i) for i in range(self._num_frames)],
            )
            for query, object_id in self._ids.items()
        ]
