"""Segment videos and write overlays, tracks, masks, boxes, cut-outs and HTML pages."""

import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING

from axialvs.checkpoints.hub import find_known
from axialvs.inference.batch import Job, OutputRecord, clear_images, describe_source
from axialvs.inference.segment_options import Options, parse_args
from axialvs.utils.cli import BAD_INPUT, error_message, run_command
from axialvs.utils.errors import AxialVSError

# Slow imports are deferred until the arguments are parsed.
if TYPE_CHECKING:
    from axialvs.apis import VideoResult
    from axialvs.inference.outputs import Output
    from axialvs.inference.readers import VideoReader
    from axialvs.inference.segmented_video import SegmentedVideo
    from axialvs.models.clip_segmenter import ClipSegmenter

MAX_LISTED = 12  # classes per line


def main() -> int | None:
    """Segment the videos and write the outputs."""
    options = parse_args(__doc__)
    signal.signal(signal.SIGTERM, _stop)
    jobs = options.jobs()
    from axialvs.inference.panoptic_files import JSON_NAME, join_parts, read_json
    from axialvs.utils.env import find_device

    # Wrong paths, suffixes and devices are reported before a model is built.
    find_device(options.device)
    failures: list[str] = []
    submission = None if options.panoptic is None else Path(options.panoptic)
    if submission is not None:
        read_json(submission / JSON_NAME)
    try:
        segment_all(jobs, options, failures)
    finally:
        if submission is not None:
            try:
                join_parts(submission)
            except (AxialVSError, OSError) as error:
                failures.append(error_message(error))
        for failure in failures:
            print(f'failed: {failure}', file=sys.stderr)
    return BAD_INPUT if failures else None


def segment_all(jobs: list[Job], options: Options, failures: list[str]) -> None:
    """Segment videos.

    Args:
        jobs: the videos.
        options: options of the command.
        failures: a line is added for each video that cannot be segmented.

    Raises:
        AxialVSError: if the only video cannot be segmented, or the options are invalid.
        OSError: if an output of the only video cannot be written.
    """
    model = None
    recorded = frozenset().union(*(job.recorded for job in jobs))
    records = {name: OutputRecord(Path(options.outputs()[name])) for name in sorted(recorded)}
    num_done = num_skipped = 0
    for number, job in enumerate(jobs, start=1):
        try:
            task = Task(job, options, records)
            if not task.targets:
                print(f'{job.display_name}: already finished, skipped; use --overwrite to redo it')
                num_skipped += 1
                continue
            task.open()
        except (AxialVSError, OSError) as error:
            _fail(job, error, failures, len(jobs))
            continue
        if model is None:
            print(f'{job.display_name}: {task.describe()}; loading the model', file=sys.stderr)
            model = load_model(options)
        try:
            task.run(model, 'segmenting' if len(jobs) == 1 else f'{number}/{len(jobs)} {job.name}')
            num_done += 1
        except Exception as error:
            _fail(job, error, failures, len(jobs))
    if len(jobs) > 1:
        print(f'{num_done} videos segmented, {num_skipped} skipped, {len(failures)} failed')


def _fail(job: Job, error: Exception, failures: list[str], num_jobs: int) -> None:
    """Record a failure and continue with the other videos; raise it if there are none."""
    if num_jobs == 1:
        raise error
    if not isinstance(error, AxialVSError | OSError):
        traceback.print_exception(error)
    failures.append(_named(error, job.display_name))
    print(f'failed: {failures[-1]}', file=sys.stderr)


def _named(error: Exception, name: str) -> str:
    message = error_message(error)
    return message if name in message else f'{name}: {message}'


def load_model(options: Options) -> 'ClipSegmenter':
    """Build the model, and check the options that depend on it.

    Raises:
        AxialVSError: if the model does not have the mode or a class.
    """
    from axialvs.apis import find_labels, init_segmenter
    from axialvs.engine.amp import precision_of_device
    from axialvs.utils.env import find_device

    device = find_device(options.device)
    model = init_segmenter(
        options.config,
        options.weights,
        device,
        precision_of_device(options.amp, device) if options.amp else None,
        options.compile,
        options.test_cfg(),
    )
    model.tracker(options.mode)
    find_labels(model, options.classes or ())
    print(describe_classes(model.class_names, options.weights))
    return model


def describe_classes(class_names: Sequence[str], checkpoint: str) -> str:
    """Describe the classes of the weights in one line."""
    names = ', '.join(class_names[:MAX_LISTED])
    more = ', ...' if len(class_names) > MAX_LISTED else ''
    known = find_known(checkpoint)
    where = '; trained on generated videos only' if known and known.shipped else ''
    return f'{checkpoint}: {len(class_names)} classes: {names}{more}{where}'


class Task:
    """A video to segment.

    Args:
        job: the video and its outputs.
        options: options of the command.
        records: which outputs are finished, by option.

    Raises:
        AxialVSError: if an output exists that was not written by this command.
    """

    def __init__(self, job: Job, options: Options, records: dict[str, OutputRecord]) -> None:
        self.job = job
        self.options = options
        self.settings = {
            **options.settings(),
            'video': describe_source(job.source),
            'weights': describe_source(options.weights),
        }
        self.records = {name: records[name] for name in sorted(job.recorded)}
        self.targets = {
            name: path for name, path in job.targets.items() if not self._is_whole(name, path)
        }

    def _is_whole(self, name: str, path: Path) -> bool:
        record = self.records.get(name)
        if record is None or self.options.overwrite:
            return False
        if Path(self.job.source).exists() and record.is_whole(path, self.settings):
            return True
        record.check_replaceable(path)
        return False

    def open(self) -> None:
        """Open the video and its outputs.

        Raises:
            AxialVSError: if the video cannot be read, or an output has a wrong suffix.
            OSError: if an output cannot be written.
        """
        from axialvs.inference.outputs import make_output
        from axialvs.inference.pipeline import open_video
        from axialvs.visualization.overlay import OverlayStyle

        self.reader = open_video(self.job.source, reconnect=self.options.reconnect)
        options = self.options
        style = OverlayStyle(options.labels, options.alpha, options.trail, options.draw_boxes)
        self.outputs = {
            name: make_output(name, path, self.reader, style, self.options.format)
            for name, path in self.targets.items()
        }

    def describe(self) -> str:
        """Describe size and length of the open video."""
        length = self._length()
        size = f'{self.reader.width}x{self.reader.height}'
        return size if length is None else f'{size}, {length} frames'

    def _length(self) -> int | None:
        return self.reader.expected_frames(self.options.stride, self.options.max_frames)

    def run(self, model: 'ClipSegmenter', title: str) -> None:
        """Segment the video and write its outputs.

        Args:
            model: the segmenter.
            title: title of the progress bar.

        Raises:
            AxialVSError: if the video cannot be segmented with these options.
            OSError: if an output cannot be written.
        """
        from tqdm import tqdm

        from axialvs.apis import segment_video
        from axialvs.inference.segmented_video import describe_run

        reader, options, outputs = self.reader, self.options, list(self.outputs.values())
        known_notes = print_notes(reader)
        with tqdm(unit=' frames', desc=title, file=sys.stderr) as bar:
            result = segment_video(
                model,
                reader,
                options.mode,
                options.protocol,
                options.score_thr,
                options.classes,
                options.max_frames,
                bar.update,
                stride=options.stride,
            )
            self._record(self.outputs, is_whole=False)
            for name in {'masks', 'mattes', 'crops', 'panoptic'} & self.targets.keys():
                clear_images(self.targets[name])
            bar.total = self._length()
            failures: dict[Output, OSError] = {}
            video = None
            try:
                for clip in result:
                    write_each(outputs, failures, methodcaller('add', clip, model.class_names))
            except KeyboardInterrupt:
                bar.close()
                print(f'{self.job.display_name}: stopped; the frames so far are written')
                raise
            finally:
                # Keep the tracks so far, even after an error.
                result.close()
                if result.num_frames:
                    video = describe_run(
                        result,
                        model,
                        self.job.display_name,
                        options.mode,
                        options.config,
                        options.weights,
                        options.score_thr,
                    )
                    write_each(outputs, failures, methodcaller('finish', video))
                write_each(outputs, failures, methodcaller('close'))
        print_notes(reader, known_notes)
        report(result, video, self.job.display_name, outputs, failures)
        written = [name for name, x in self.outputs.items() if x not in failures]
        errors = [_named(error, str(output.path)) for output, error in failures.items()]
        try:
            self._record(written, is_whole=True)
        except OSError as error:
            errors.append(error_message(error))
        if errors:
            raise OSError('; '.join(errors))

    def _record(self, names: Collection[str], is_whole: bool) -> None:
        for name, record in self.records.items():
            if name in names:
                record.set(self.targets[name], self.settings, is_whole)


def print_notes(reader: 'VideoReader', known: Collection[str] = ()) -> list[str]:
    """Print new notes of a reader on conversions and skipped frames; return all notes."""
    for note in reader.notes:
        if note not in known:
            print(f'{reader.source}: {note}')
    return list(reader.notes)


def _stop(*_: object) -> None:
    """Handle a signal like Ctrl-C, so that finished frames are kept."""
    raise KeyboardInterrupt


def write_each(
    outputs: list['Output'], failures: dict['Output', OSError], step: Callable[['Output'], None]
) -> None:
    """Write to all outputs, even if one fails, for example on a full disk."""
    for output in outputs:
        if output not in failures:
            try:
                step(output)
            except OSError as error:
                failures[output] = error
                with suppress(OSError):
                    output.close()


def report(
    result: 'VideoResult',
    video: 'SegmentedVideo | None',
    source: str,
    outputs: list['Output'],
    failures: dict['Output', OSError],
) -> None:
    """Print the tracks found and the output paths."""
    if result.truncated:
        print(f'{source}: {result.truncated}; the {result.num_frames} frames read are kept')
    print(f'{result.num_frames} frames, {summarize_tracks(video) if video else "no tracks"}')
    for output in outputs:
        for note in output.notes:
            print(note)
        if output not in failures:
            print(f'wrote {output.path}')


def summarize_tracks(video: 'SegmentedVideo') -> str:
    """Summarize the number of tracks by class."""
    counts = Counter(video.class_names[track.label] for track in video.shown).most_common()
    classes = ', '.join(f'{count} {name}' for name, count in counts[:MAX_LISTED])
    if len(counts) > MAX_LISTED:
        classes += ', ...'
    text = f'{len(video.shown)} tracks{": " if classes else ""}{classes}'
    if hidden := len(video.tracks) - len(video.shown):
        text += f'; {hidden} more below the score threshold'
    return text


if __name__ == '__main__':
    sys.exit(run_command(main))
