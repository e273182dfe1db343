"""Contrastive learning between two tubes of a video (Tube-Link)."""

from collections.abc import Sequence

import torch
from mmcv.ops import point_sample
from mmdet.models.losses import L2Loss, MultiPosCrossEntropyLoss
from mmdet.models.task_modules import BaseAssigner
from mmengine.structures import InstanceData
from torch import Tensor, nn

from axialvs.utils.errors import AxialVSError


class TubeContrast(nn.Module):
    """Embed queries such that those of one object are similar in both tubes.

    d_ij is the dot product of the embeddings of matched query i of the first and j of the second
    tube, P_i the queries of the same object as i, and N_i the others. The losses are
    log(1 + sum_{p in P_i, n in N_i} exp(d_in - d_ip)), averaged over queries whose object is in
    both tubes, and the squared error of cosine similarities to 1 (P) or 0 (N).

    Args:
        channels: C of queries and embeddings.
        loss_weight: weight of the contrastive loss.
        aux_loss_weight: weight of the cosine similarity loss.
        negative_margin: cosine similarity below which negatives have no loss.
        negative_ratio: number of hardest negatives per positive in the cosine similarity loss.
    """

    def __init__(
        self,
        channels: int,
        loss_weight: float = 0.25,
        aux_loss_weight: float = 1.0,
        negative_margin: float = 0.1,
        negative_ratio: int = 3,
    ) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(channels, channels, bias=False),
            nn.LayerNorm(channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
        )
        self.loss_track = MultiPosCrossEntropyLoss(loss_weight=loss_weight)
        self.loss_track_aux = L2Loss(
            neg_pos_ub=negative_ratio,
            neg_margin=negative_margin,
            hard_mining=True,
            loss_weight=aux_loss_weight,
        )

    def forward(self, queries: Tensor) -> Tensor:
        """Embed queries (..., Q, C)."""
        return self.embed(queries)

    def loss(self, embeddings: Sequence[Tensor], objects: Sequence[Tensor]) -> dict[str, Tensor]:
        """Compute the losses between the two tubes of B videos, averaged over the videos.

        Args:
            embeddings: of both tubes, (B, Q, C).
            objects: of both tubes, (B, Q) object index of each query in the video, -1 for none.

        Returns:
            `loss_track` and `loss_track_aux`; 0 for a video whose tubes share no object.
        """
        terms = [self._loss_of_video(*video) for video in zip(*embeddings, *objects, strict=True)]
        track, aux = (torch.stack(values).mean() for values in zip(*terms, strict=True))
        return {'loss_track': track, 'loss_track_aux': aux}

    def _loss_of_video(
        self, first: Tensor, second: Tensor, first_objects: Tensor, second_objects: Tensor
    ) -> tuple[Tensor, Tensor]:
        first, first_objects = first[first_objects >= 0], first_objects[first_objects >= 0]
        second, second_objects = second[second_objects >= 0], second_objects[second_objects >= 0]
        same = (first_objects[:, None] == second_objects).int()
        shared = same.any(1).float()
        if not shared.any():
            nothing = 0 * (first.sum() + second.sum())  # DDP needs gradients of all parameters
            return nothing, nothing
        cosines = nn.functional.normalize(first, dim=-1) @ nn.functional.normalize(second, dim=-1).T
        return (
            self.loss_track(first @ second.T, same, shared, avg_factor=shared.sum()),
            self.loss_track_aux(cosines, same),
        )


def split_tubes(targets: Sequence[InstanceData]) -> list[list[InstanceData]]:
    """Split the targets of clips into those of the first and second half of the frames.

    Args:
        targets: `labels` (n,) and `masks` (n, T, H, W) of each clip.

    Returns:
        For each half and clip the visible objects, with their index in the clip as `objects`.

    Raises:
        AxialVSError: if a clip has an odd number of frames.
    """
    num_frames = targets[0].masks.shape[1]
    if num_frames % 2:
        raise AxialVSError(
            f'a training sample has {num_frames} frames, but the contrastive loss needs two tubes '
            'of the same length; set an even num_frames of the training dataset'
        )
    halves = []
    for half in (slice(None, num_frames // 2), slice(num_frames // 2, None)):
        tubes = [
            InstanceData(
                labels=clip.labels,
                masks=clip.masks[:, half],
                objects=torch.arange(len(clip.labels), device=clip.labels.device),
            )
            for clip in targets
        ]
        halves.append([tube[tube.masks.flatten(1).any(1).bool()] for tube in tubes])
    return halves


@torch.no_grad()
def match_objects(
    assigner: BaseAssigner,
    num_points: int,
    class_logits: Tensor,
    mask_logits: Tensor,
    targets: InstanceData,
) -> Tensor:
    """Match the queries of a tube to its objects at random points, as for the mask losses.

    Args:
        assigner: Hungarian assigner.
        num_points: number of points.
        class_logits: (Q, N + 1).
        mask_logits: (Q, T, H, W).
        targets: from `split_tubes`.

    Returns:
        (Q,) object index of each query, -1 for none.
    """
    points = torch.rand((1, num_points, 2), device=mask_logits.device)
    predicted, true = (
        point_sample(
            masks.flatten(1, 2).unsqueeze(1).to(mask_logits), points.expand(len(masks), -1, -1)
        ).squeeze(1)
        for masks in (mask_logits, targets.masks)
    )
    assigned = assigner.assign(
        InstanceData(scores=class_logits, masks=predicted),
        InstanceData(labels=targets.labels, masks=true),
    )
    return nn.functional.pad(targets.objects, (1, 0), value=-1)[assigned.gt_inds]
