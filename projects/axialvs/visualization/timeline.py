"""Timeline of the tracks of a video as HTML rows."""

import html
from collections.abc import Sequence

from axialvs.structures import ClipResult
from axialvs.visualization.overlay import stuff_color, track_color

TIMELINE_CSS = """
.track { display: flex; align-items: center; gap: 8px; margin: 4px 0; font-size: 13px; }
.track .swatch { width: 12px; height: 12px; border-radius: 3px; flex: none; }
.track .name { width: 130px; flex: none; white-space: nowrap; overflow: hidden;
  text-overflow: ellipsis; font-variant-numeric: tabular-nums; }
.track .bar { position: relative; flex: 1; height: 12px; border-radius: 3px; overflow: hidden;
  background: rgba(128, 128, 128, .18); }
.track .bar i { position: absolute; top: 0; bottom: 0; }
"""


class Timeline:
    """Grows clip by clip."""

    def __init__(self) -> None:
        self._labels: dict[int, tuple[str, float, tuple[int, int, int]]] = {}  # of the last clip
        self._spans: dict[int, list[list[int]]] = {}  # first frame and the one after the last

    def add(self, clip: ClipResult, class_names: Sequence[str]) -> None:
        """Add a clip."""
        rows = zip(clip.ids, clip.labels, clip.scores, clip.masks, clip.is_thing, strict=True)
        for track, label, score, masks, is_thing in rows:
            visible = [i for i, mask in zip(clip.frame_indices, masks, strict=True) if mask.any()]
            if not visible:
                continue
            name = f'{class_names[label]} {track}' if is_thing else class_names[label]
            color = track_color(int(track)) if is_thing else stuff_color(int(label))
            self._labels[track] = name, float(score), color
            spans = self._spans.setdefault(track, [])
            for index in visible:
                if spans and spans[-1][1] == index:
                    spans[-1][1] += 1
                else:
                    spans.append([index, index + 1])

    def to_html(self, length: int) -> str:
        """Format a row per track.

        Args:
            length: number of frames of the whole width.
        """
        rows = []
        for track, (name, score, color) in self._labels.items():
            paint = 'background:rgb({},{},{})'.format(*color)
            bars = ''.join(
                f'<i style="{paint};left:{100 * first / length:.2f}%;'
                f'width:{100 * (end - first) / length:.2f}%"></i>'
                for first, end in self._spans[track]
            )
            rows.append(
                f'<div class="track"><span class="swatch" style="{paint}"></span>'
                f'<span class="name">{html.escape(name)}, {score:.2f}</span>'
                f'<span class="bar">{bars}</span></div>'
            )
        return ''.join(rows)
