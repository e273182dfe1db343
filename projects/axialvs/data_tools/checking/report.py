"""Report of a dataset check as text and as JSON, with dataset statistics."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from axialvs.data_tools.checking.rules import RULES, SEVERITIES, Findings
from axialvs.data_tools.checking.target import Target
from axialvs.datasets.annotations.youtube_vis import VideoAnnotations

# Mean mask area of an instance over visible frames, with the ranges of APs, APm and APl.
_SIZES = {'small': 128**2, 'medium': 256**2, 'large': float('inf')}
_MOST_SIZES = 6


@dataclass(frozen=True, slots=True)
class Report:
    """Result of a dataset check.

    Attributes:
        target: the annotation file and its settings.
        layout: 'YouTube-VIS', 'COCO' or 'VIPSeg'.
        annotations: the valid annotations.
        findings: the violations.
        mean_areas: mean mask area of each instance, see `check_masks`.
        opened: whether images were opened, or only their existence was checked.
    """

    target: Target
    layout: str
    annotations: VideoAnnotations
    findings: Findings
    mean_areas: Sequence[float]
    opened: bool

    def statistics(self) -> dict[str, Any]:
        """Count videos, instances, masks, sizes and classes."""
        videos, instances = self.annotations.videos, self.annotations.instances or ()
        per_video = Counter(instance.video_id for instance in instances)
        seen = [area for area in self.mean_areas if area]
        of_size = np.searchsorted(list(_SIZES.values()), seen, side='left')
        sizes = Counter(f'{video.width}x{video.height}' for video in videos)
        return {
            'videos': len(videos),
            'frames': sum(video.length for video in videos),
            'instances': len(instances),
            'masks': sum(int(instance.visible.sum()) for instance in instances),
            'frame_sizes': dict(sizes.most_common()),
            'lengths': _spread([video.length for video in videos]),
            'instances_per_video': _spread([per_video[video.id] for video in videos]),
            'instance_sizes': {
                name: int((of_size == index).sum()) for index, name in enumerate(_SIZES)
            },
            'classes': self._classes(),
        }

    def _classes(self) -> list[dict[str, Any]]:
        """Count instances, videos and masks of each category, the most frequent first."""
        owned = defaultdict(list)
        for instance in self.annotations.instances or ():
            owned[instance.category_id].append(instance)
        table = [
            {
                'id': category.id,
                'name': category.name,
                'instances': len(owned[category.id]),
                'videos': len({instance.video_id for instance in owned[category.id]}),
                'masks': sum(int(instance.visible.sum()) for instance in owned[category.id]),
            }
            for category in self.annotations.categories
        ]
        return sorted(table, key=lambda row: -row['instances'])

    def as_json(self) -> dict[str, Any]:
        """Convert all findings and statistics to JSON types."""
        return {
            'ann_file': self.target.ann_file,
            'layout': self.layout,
            'images': self._images(),
            'compared': self._comparison(),
            'errors': self.findings.count('error'),
            'warnings': self.findings.count('warning'),
            'findings': {
                rule: {
                    'severity': severity,
                    'title': RULES[rule].title,
                    'remedy': RULES[rule].remedy,
                    'count': len(found),
                    'found': [asdict(finding) for finding in found],
                }
                for severity in SEVERITIES
                for rule, found in self.findings.of(severity).items()
            },
            'statistics': self.statistics(),
        }

    def as_text(self, examples: int = 5) -> str:
        """Format the report for a terminal, with a few examples per rule."""
        lines = [self.target.ann_file, *self._statistics()]
        lines += [f'  images    {self._images()}', f'  compared  {self._comparison()}', '']
        for severity in SEVERITIES:
            rules = self.findings.of(severity)
            if rules:
                lines.append(f'{severity.upper()}S ({self.findings.count(severity)})')
            for rule, found in rules.items():
                remedy = RULES[rule].remedy and f'  ({RULES[rule].remedy})'
                lines.append(f'  {len(found)} x {RULES[rule].title}{remedy}')
                lines += [f'      {finding}' for finding in found[:examples] if str(finding)]
                if len(found) > examples > 0:
                    lines.append(f'      ... and {len(found) - examples} more')
            lines += [''] if rules else []
        return '\n'.join([*lines, self.verdict()])

    def verdict(self) -> str:
        """Format the numbers of errors and warnings, the last line of the report."""
        errors, warnings = (self.findings.count(s) for s in ('error', 'warning'))
        if not errors and not warnings:
            return f'{self.target.ann_file}: nothing wrong was found.'
        counts = [
            f'{n} {noun}{"s" * (n != 1)}' for n, noun in ((errors, 'error'), (warnings, 'warning'))
        ]
        return f'{self.target.ann_file}: {", ".join(counts)}.'

    def _images(self) -> str:
        if self.target.images is None:
            return 'not checked; set their folder with --images'
        return f'{self.target.images or "."}: ' + ('opened' if self.opened else 'not opened')

    def _comparison(self) -> str:
        classes = self.target.classes
        if classes is None:
            parts = ["the file's own classes"]
        else:
            named = not isinstance(classes, list | tuple)
            parts = [f'classes {classes!r}' if named else f'{len(classes)} classes']
        if self.target.num_frames and not self.annotations.are_images:
            parts.append(f'clips of {self.target.num_frames} frames')
        return ', '.join(parts + [f'from {self.target.source}'] * bool(self.target.source))

    def _statistics(self) -> list[str]:
        numbers = self.statistics()
        unit = 'images' if self.annotations.are_images else 'videos'
        names = ['instances', 'masks'] if unit == 'images' else ['frames', 'instances', 'masks']
        counts = [f'{numbers["videos"]} {unit}', *(f'{numbers[name]} {name}' for name in names)]
        lines = [f'  layout    {self.layout}: {", ".join(counts)}']
        if not numbers['videos']:
            return lines
        sizes = list(numbers['frame_sizes'].items())
        listed = ', '.join(f'{size} ({number})' for size, number in sizes[:_MOST_SIZES])
        lines.append(f'  sizes     {listed}' + ', ...' * (len(sizes) > _MOST_SIZES))
        if unit == 'videos':
            lines.append(f'  lengths   {_in_words(numbers["lengths"])} frames per video')
        if not numbers['instances']:
            return lines
        counts = ', '.join(f'{n} {name}' for name, n in numbers['instance_sizes'].items())
        lines += [
            f'  objects   {_in_words(numbers["instances_per_video"])} per {unit[:-1]}; by size '
            f'(mean mask, limits 128x128 and 256x256): {counts}',
            f'  classes   instances, {unit}, masks',
        ]
        rows = {f'{row["name"]} ({row["id"]})': row for row in numbers['classes']}
        width = max(map(len, rows), default=0)
        lines += [
            f'    {name:{width}} {row["instances"]:7d} {row["videos"]:7d} {row["masks"]:8d}'
            for name, row in rows.items()
        ]
        return lines


def _spread(values: Sequence[int]) -> dict[str, float]:
    if not values:
        return {}
    return {
        'min': min(values),
        'median': float(np.median(values)),
        'mean': round(float(np.mean(values)), 1),
        'max': max(values),
    }


def _in_words(spread: dict[str, float]) -> str:
    return '{min:g} to {max:g}, median {median:g}, mean {mean:g},'.format(**spread)
