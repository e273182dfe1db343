"""The result of a check as plain text and as values for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from axialvs.data_tools.checking.findings import KINDS, Finding, Findings, Severity

_BAR = 40  # characters of the longest bar
_HEADINGS: dict[Severity, str] = {'error': 'ERRORS', 'warning': 'WARNINGS', 'note': 'NOTES'}


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, what was found, and what the data are like.

    Attributes:
        ann_file: The file.
        layout: 'YouTube-VIS' or 'COCO'.
        images: What was done about image files, in words.
        compared: What classes and clips were compared with, in words.
        findings: The faults.
        statistics: See `statistics`.
    """

    ann_file: str
    layout: str
    images: str
    compared: str
    findings: Findings
    statistics: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """All findings and statistics as plain values."""
        return {
            'ann_file': self.ann_file,
            'layout': self.layout,
            'images': self.images,
            'compared': self.compared,
            'errors': self.findings.count('error'),
            'warnings': self.findings.count('warning'),
            'findings': {
                kind: {
                    'severity': severity,
                    'title': KINDS[kind].title,
                    'remedy': KINDS[kind].remedy,
                    'count': len(found),
                    'found': [asdict(finding) for finding in found],
                }
                for severity in _HEADINGS
                for kind, found in self.findings.of(severity).items()
            },
            'statistics': self.statistics,
        }

    def as_text(self, examples: int = 5) -> str:
        """The report for a terminal.

        Args:
            examples: How many findings of a kind are shown.
        """
        lines = [self.ann_file, *self._head(), '']
        for severity, heading in _HEADINGS.items():
            found = self.findings.of(severity)
            if found:
                total = self.findings.count(severity)
                lines += [f'{heading} ({total})', *_kinds(found, examples), '']
        if numbers := _numbers(self.statistics, self._unit):
            lines += ['STATISTICS', *numbers, '']
        return '\n'.join([*lines, self.verdict()])

    @property
    def _unit(self) -> str:
        return 'image' if self.layout == 'COCO' else 'video'

    def _head(self) -> list[str]:
        numbers = self.statistics
        unit = f'{self._unit}s'
        parts = [f'{numbers["videos"]} {unit}']
        if unit == 'videos':
            parts.append(f'{numbers["frames"]} frames')
        parts += [f'{numbers["instances"]} instances', f'{numbers["masks"]} masks']
        parts.append(f'{len(numbers["classes"])} categories')
        return [
            f'  layout    {self.layout}: {", ".join(parts)}',
            f'  images    {self.images}',
            f'  compared  {self.compared}',
        ]

    def verdict(self) -> str:
        """The last line: how many faults there are."""
        errors, warnings = (self.findings.count(s) for s in ('error', 'warning'))
        if not errors and not warnings:
            return f'{self.ann_file}: nothing wrong was found.'
        return f'{self.ann_file}: {_plural(errors, "error")}, {_plural(warnings, "warning")}.'


def _kinds(found: Mapping[str, Sequence[Finding]], examples: int) -> list[str]:
    lines = []
    for kind, findings in found.items():
        remedy = KINDS[kind].remedy
        lines.append(f'  {len(findings)} x {KINDS[kind].title}' + f'  ({remedy})' * bool(remedy))
        lines += [f'      {finding}' for finding in findings[:examples] if str(finding)]
        if len(findings) > examples > 0:
            lines.append(f'      ... and {len(findings) - examples} more')
    return lines


def _numbers(numbers: Mapping[str, Any], unit: str) -> list[str]:
    lengths = numbers['lengths']
    lines = []
    if lengths.get('max', 0) > 1:
        lines.append(
            f'  frames of a video: {lengths["min"]} to {lengths["max"]}, median '
            f'{lengths["median"]:g}, mean {lengths["mean"]:g}'
        )
        lines += _bars(lengths['histogram'])
    if numbers['frame_sizes']:
        lines += ['  frame sizes (width x height)', *_bars(numbers['frame_sizes'], at_most=6)]
    if not numbers['instances']:
        return lines
    lines += [
        f'  instances in {"an" * (unit == "image") or "a"} {unit}',
        *_bars(numbers['instances_per_video']),
    ]
    lines += [
        '  sizes of instances (mean mask: small below 128x128 pixels, large above 256x256)',
        *_bars(numbers['instance_sizes']),
        f'  classes: instances, {unit}s, masks',
    ]
    names = {f'{row["name"]} ({row["id"]})': row for row in numbers['classes']}
    lines += _bars(
        {name: row['instances'] for name, row in names.items()},
        more={name: f'{row["videos"]:7d} {row["masks"]:8d}' for name, row in names.items()},
    )
    return lines


def _bars(
    counts: Mapping[str, int], at_most: int | None = None, more: Mapping[str, str] | None = None
) -> list[str]:
    """A row a count, with a bar."""
    rows = list(counts.items())[:at_most]
    if not rows:
        return []
    width = max(len(name) for name, _ in rows)
    longest = max(max(count for _, count in rows), 1)
    lines = [
        f'    {name.ljust(width)} {count:7d} {(more or {}).get(name, "")} '
        f'{"#" * -(-_BAR * count // longest)}'.rstrip()
        for name, count in rows
    ]
    if len(counts) > len(rows):
        lines.append(f'    ... and {len(counts) - len(rows)} more')
    return lines


def _plural(number: int, noun: str) -> str:
    return f'{number} {noun}' + 's' * (number != 1)
