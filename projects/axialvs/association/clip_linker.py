"""Keeps successive clips' queries in the order of the first clip, and their classes' mean."""

from torch import Tensor

from axialvs.association.query_matching import match_queries
from axialvs.structures import ClipPrediction, DecidedClip


class ClipLinker:
    """Near-online association (Axial-VS Sec. 3.2): each clip is matched to the clip before it.

    Its memory is one clip's queries and a running sum, whatever the video's length.
    """

    def __init__(self) -> None:
        self._previous: Tensor | None = None
        self._logit_sum: Tensor | None = None
        self.num_clips = 0

    def link(self, prediction: ClipPrediction) -> ClipPrediction:
        """Puts a clip's queries in order and takes note of its classes."""
        if self._previous is not None:
            order = match_queries(self._previous, prediction.queries)
            prediction = ClipPrediction(*(x[order] for x in prediction))
        logits = prediction.class_logits.float()
        self._logit_sum = logits if self._logit_sum is None else self._logit_sum + logits
        self._previous = prediction.queries
        self.num_clips += 1
        return prediction

    def add(self, prediction: ClipPrediction) -> list[DecidedClip]:
        """Takes the next clip of a stream; near-online it is decided at once."""
        return [DecidedClip(self.link(prediction).mask_logits, self.class_logits)]

    def finish(self) -> list[DecidedClip]:
        """Clips that still wait when the stream has ended: none."""
        return []

    @property
    def class_logits(self) -> Tensor:
        """Mean over the clips so far, (Q, N + 1)."""
        if self._logit_sum is None:
            raise RuntimeError('no clip was linked yet')
        return self._logit_sum / self.num_clips
