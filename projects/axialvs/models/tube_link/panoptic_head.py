"""Tube-Link's head for video panoptic segmentation, with thing queries and stuff queries."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmdet.registry import MODELS
from mmdet.structures import TrackDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from axialvs.models.freezing import is_frozen
from axialvs.models.tube_link.clip_head import ClipMask2FormerHead
from axialvs.models.tube_link.tube_contrast import TubeContrast, match_objects, split_tubes
from axialvs.postprocess.panoptic_finisher import NewMemory, PanopticFinisher
from axialvs.postprocess.panoptic_fusion import FusionThresholds, fuse_panoptic
from axialvs.utils.errors import AxialVSError


@MODELS.register_module()
class ClipPanopticHead(ClipMask2FormerHead):
    """The clip head with one query per stuff class (Tube-Link on VIPSeg).

    The last `num_stuff_classes` queries are assigned to the stuff classes in label order, without
    matching; the other queries are matched to things. Losses of things and of stuff are normalized
    separately and added.

    Args:
        thing_labels: labels of the thing classes; by default the first `num_things_classes`.
        contrast: arguments of `TubeContrast` except its channels. The two halves of a training clip
            are then separate tubes, whose losses are summed, with a contrastive loss between them,
            and clips are linked by track embeddings. None disables the contrastive loss.
        args, kwargs: as in `ClipMask2FormerHead`.

    Raises:
        AxialVSError: if the labels or the number of queries do not match the numbers of classes.
    """

    def __init__(
        self,
        *args,
        thing_labels: Sequence[int] | None = None,
        contrast: dict | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.contrast = None
        if contrast is not None:
            self.contrast = TubeContrast(self.decoder_embed_dims, **contrast)
        self.thing_labels = sorted(thing_labels or range(self.num_things_classes))
        self.stuff_labels = sorted(set(range(self.num_classes)) - set(self.thing_labels))
        if (len(self.thing_labels), len(self.stuff_labels)) != (
            self.num_things_classes,
            self.num_stuff_classes,
        ):
            raise AxialVSError(
                f'thing_labels={self.thing_labels} are not {self.num_things_classes} distinct '
                f'labels below {self.num_classes}; check num_things_classes and num_stuff_classes'
            )
        self.num_thing_queries = self.num_queries - self.num_stuff_classes
        if self.num_thing_queries < 1:
            raise AxialVSError(
                f'num_queries={self.num_queries} must be greater than the number of stuff classes, '
                f'{self.num_stuff_classes}, which have one query each'
            )

    def collate_targets(self, sample: TrackDataSample, device: torch.device) -> InstanceData:
        """Collate a clip or video: things ordered by id, then one entry per stuff class."""
        targets = super().collate_targets(sample, device)
        is_thing = self._is_thing(targets.labels)
        stuff = targets.labels[~is_thing].unique()
        stuff_masks = [targets.masks[targets.labels == x].amax(0, keepdim=True) for x in stuff]
        return InstanceData(
            labels=torch.cat((targets.labels[is_thing], stuff)),
            masks=torch.cat((targets.masks[is_thing], *stuff_masks)),
        )

    def _is_thing(self, labels: Tensor) -> Tensor:
        return torch.isin(labels, torch.tensor(self.thing_labels, device=labels.device))

    def loss(
        self, feats: Sequence[Tensor], num_frames: int, targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Compute the clip head's losses; with `contrast`, sum both tubes and add its losses."""
        if self.contrast is None:
            return super().loss(feats, num_frames, targets)
        tubes = split_tubes(targets)
        decoding = self(feats, num_frames // 2)
        losses: dict[str, Tensor] = {}
        objects = []
        with torch.autocast(feats[0].device.type, enabled=False):
            class_logits = [x.float().unflatten(0, (-1, 2)) for x in decoding.class_logits]
            mask_logits = [x.float().unflatten(0, (-1, 2)) for x in decoding.mask_logits]
            for half, of_half in enumerate(tubes):
                logits = [x[:, half] for x in class_logits], [x[:, half] for x in mask_logits]
                for name, value in self.video_loss(*logits, of_half).items():
                    losses[name] = losses.get(name, 0) + value
                last = logits[0][-1], logits[1][-1], of_half
                objects.append(
                    torch.stack([self.match_objects(*tube) for tube in zip(*last, strict=True)])
                )
            embeddings = self.contrast(decoding.queries.float()).unflatten(0, (-1, 2))
            return losses | self.contrast.loss(embeddings.unbind(1), objects)

    def match_objects(
        self, class_logits: Tensor, mask_logits: Tensor, targets: InstanceData
    ) -> Tensor:
        """Match the queries of a tube to things: (Q,) thing index, -1 for none."""
        first_stuff = self.num_thing_queries
        things = targets[self._is_thing(targets.labels)]
        logits = class_logits[:first_stuff], mask_logits[:first_stuff]
        objects = match_objects(self.assigner, self.num_points, *logits, things)
        return F.pad(objects, (0, self.num_stuff_classes), value=-1)

    def video_loss(
        self, class_logits: list[Tensor], mask_logits: list[Tensor], targets: list[InstanceData]
    ) -> dict[str, Tensor]:
        """Sum the losses of things and of stuff; arguments and names as in the clip head."""
        things = [self._is_thing(clip.labels) for clip in targets]
        first_stuff = self.num_thing_queries
        of_things = self.loss_of_queries(
            [x[:, :first_stuff] for x in class_logits],
            [x[:, :first_stuff] for x in mask_logits],
            [clip[is_thing] for clip, is_thing in zip(targets, things, strict=True)],
        )
        of_stuff = self.loss_of_queries(
            [x[:, first_stuff:] for x in class_logits],
            [x[:, first_stuff:] for x in mask_logits],
            [clip[~is_thing] for clip, is_thing in zip(targets, things, strict=True)],
            {'is_stuff': True},
        )
        return {name: of_things[name] + of_stuff[name] for name in of_things}

    def get_targets(
        self,
        cls_scores_list: list[Tensor],
        mask_preds_list: list[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
    ) -> tuple:
        """Get targets as in the clip head for things; assign stuff to the query of its class."""
        if batch_img_metas[0].get('is_stuff'):
            return self._stuff_targets(batch_gt_instances)
        labels, label_weights, mask_targets, mask_weights, num_masks = super().get_targets(
            cls_scores_list, mask_preds_list, batch_gt_instances, batch_img_metas
        )
        # mmdet counts all queries of the head, including stuff queries without a target.
        per_query = ([x[: self.num_thing_queries] for x in y] for y in (labels, label_weights))
        mask_weights = [x[: self.num_thing_queries] for x in mask_weights]
        return *per_query, mask_targets, mask_weights, num_masks

    def _stuff_targets(self, targets: list[InstanceData]) -> tuple:
        labels, label_weights, mask_weights = [], [], []
        for clip in targets:
            order = torch.tensor(self.stuff_labels, device=clip.labels.device)
            is_present = torch.isin(order, clip.labels)
            labels.append(torch.where(is_present, order, self.num_classes))
            label_weights.append(torch.ones_like(order))
            mask_weights.append(is_present.float())
        masks = [clip.masks for clip in targets]
        return labels, label_weights, masks, mask_weights, sum(map(len, masks))

    def embed_tracks(self, queries: Tensor) -> Tensor:
        """Compute embeddings (B, Q, C') that link clips; a stuff query only matches itself."""
        learned = queries if self.contrast is None else self.contrast(queries)
        things = learned[:, : self.num_thing_queries]
        stuff = torch.eye(self.num_stuff_classes, dtype=things.dtype, device=things.device)
        stuff = F.pad(stuff, (things.shape[-1], 0)).expand(len(things), -1, -1)
        return torch.cat((F.pad(things, (0, self.num_stuff_classes)), stuff), dim=1)

    def unreached_parameters(self) -> list[str]:
        """Return names of trainable modules that get no gradient from the losses of a video."""
        names = super().unreached_parameters()
        if self.contrast is not None and not is_frozen([self.contrast]):
            names.append('contrast')
        return names

    def build_finisher(self, test_cfg: Mapping, new_memory: NewMemory) -> PanopticFinisher:
        """Build Mask2Former's panoptic fusion with the thresholds `test_cfg.panoptic`."""
        return PanopticFinisher(
            self.thing_labels,
            FusionThresholds(**test_cfg.get('panoptic', {})),
            fuse_panoptic,
            new_memory,
        )
