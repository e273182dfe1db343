"""The tools that measure work, time and memory, in shapes of a few pixels."""

import json
from pathlib import Path

import pytest

from axialvs.apis import init_segmenter
from axialvs.profiling import attention_suite
from axialvs.profiling.model_costs import work_of_clip
from axialvs.profiling.tables import growth, markdown

TINY = 'configs/axialvs/axialvs-wc_tiny_1xb4-10k_movingshapes.py'
PLAIN = 'configs/tube_link/tube-link_tiny_1xb4-10k_movingshapes.py'


def test_two_configs_with_growth_and_files(run_tool, tmp_path, capsys):
    out, rows = tmp_path / 'costs.md', tmp_path / 'costs.json'
    options = ['--frames', 1, 2, '--sizes', '32x32', '32x64', '--lengths', 3, 6, '--rounds', 1]
    run_tool('analysis_tools/benchmark.py', PLAIN, TINY, *options, '--out', out, '--json', rows)
    printed = capsys.readouterr().out
    assert out.read_text().split('## ')[1].splitlines()[2] in printed
    tables = json.loads(rows.read_text())
    clips, videos, steps = tables.values()
    assert len(clips) == 2 * 2 * 2
    assert len(videos) == 2 * 2 * 2
    plain, tracked = clips[:2]
    assert plain['time_ratio'] == 1
    assert tracked['gflops_defined'] > plain['gflops_defined'] > 0
    assert tracked['training_mib'] > tracked['forward_mib'] > 0
    grows = {(step['what grows'], step['times']) for step in steps}
    assert grows == {('T', 2.0), ('pixels', 2.0), ('video', 2.0)}
    of_frames = [step for step in steps if step['what grows'] == 'T']
    assert all(1.5 < step['gflops_defined'] <= 2.5 for step in of_frames)


def test_flops_counted_without_running_are_those_of_a_run(run_tool, capsys):
    run_tool('analysis_tools/get_flops.py', TINY, PLAIN, '--shape', 2, 32, 64)
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith('| config | T | size | GFLOPs, as defined | GFLOPs, executed')
    ran = [work_of_clip(init_segmenter(config), 2, 32, 64) for config in (TINY, PLAIN)]
    names = [{'config': Path(config).stem} for config in (TINY, PLAIN)]
    assert table[2:] == markdown([a | b for a, b in zip(names, ran, strict=True)]).splitlines()[2:]
    assert ran[0]['gflops_defined'] > ran[1]['gflops_defined'] > 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'give one config'),
        ([TINY, '--sizes', '64'], "size is '64': it reads HxW"),
        ([TINY, '--frames', '0'], 'at least 1'),
        ([TINY, '--small'], '--small goes with --suite'),
        (
            ['--suite', 'attention', '--amp', '--compile', '--no-train'],
            '--suite attention has cases of its own and does not use --no-train, --amp, --compile',
        ),
        (['--suite', 'gpu', '--frames', 5, '--sizes', '8x8', '--lengths'], '--lengths'),
    ],
)
def test_wrong_options(run_tool, capsys, arguments, message):
    assert run_tool('analysis_tools/benchmark.py', *arguments) == 2
    assert message in capsys.readouterr().err


def test_length_that_an_offline_model_cannot_be_trained_on(run_tool, tmp_path, capsys):
    config = 'axialvs/axialvs-cc_tiny_1xb2-400_movingshapes'
    options = [config, '--sizes', '32x32', '--rounds', 1, '--frames', 3, 2]
    assert run_tool('analysis_tools/benchmark.py', *options) == 1
    message = f'--frames 2: {Path(config).name} trains on whole clips of 3 frames'
    assert message in capsys.readouterr().err
    out = tmp_path / 'new' / 'rows.json'
    options = [config, '--sizes', '32x32', '--rounds', 1, '--frames', 2, '--no-train']
    assert run_tool('analysis_tools/benchmark.py', *options, '--json', out) == 0
    assert [row['frames'] for row in json.loads(out.read_text())['clips']] == [2]


def test_suite_for_a_gpu_is_not_started_in_full_size_on_a_cpu(run_tool, capsys):
    assert run_tool('analysis_tools/benchmark.py', '--suite', 'gpu', '--device', 'cpu') == 1
    assert 'give --small to try it' in capsys.readouterr().err


def test_rows_are_there_as_soon_as_they_are_measured(run_tool, tmp_path, capsys, monkeypatch):
    """What a run has measured before it is stopped is printed and written."""

    def stopped(*args, **options):
        yield {'shape': '2x3x4', 'ms': 1.5}
        assert '| 2x3x4 | 1.50 |' in capsys.readouterr().out
        raise KeyboardInterrupt

    monkeypatch.setattr(attention_suite, 'attention_suite', stopped)
    rows = tmp_path / 'rows.json'
    options = ['--suite', 'attention', '--small', '--threads', 1, '--json', rows]
    assert run_tool('analysis_tools/benchmark.py', *options) == 130
    assert json.loads(rows.read_text()) == {'attention': [{'shape': '2x3x4', 'ms': 1.5}]}


def test_attention_suite_shows_how_far_it_is(run_tool, capsys):
    options = ['--suite', 'attention', '--small', '--threads', 1, '--rounds', 1]
    assert run_tool('analysis_tools/benchmark.py', *options) == 0
    printed = capsys.readouterr()
    assert printed.out.count('| 2x3x4 | float32 |') == 2
    assert '4/4' in printed.err


@pytest.mark.parametrize(
    ('suite', 'cells', 'rows'),
    [('sampling', '| 1x2x4 | 4 | forward', 2), ('finishing', '| 3 | 48x90 |', 1)],
)
def test_suites_of_functions(run_tool, capsys, suite, cells, rows):
    options = ['--suite', suite, '--small', '--threads', 1, '--rounds', 1]
    assert run_tool('analysis_tools/benchmark.py', *options) == 0
    printed = capsys.readouterr()
    assert printed.out.count(cells) == rows
    assert f'{rows}/{rows}' in printed.err


def test_growth_compares_what_is_alike():
    rows = [
        {'config': 'a', 'frames': 2, 'size': 'small', 'work': 3.0, 'room': 0.0},
        {'config': 'a', 'frames': 6, 'size': 'small', 'work': 12.0, 'room': 5.0},
        {'config': 'b', 'frames': 2, 'size': 'small', 'work': 1.0},
        {'config': 'a', 'frames': 2, 'size': 'large', 'work': 9.0},
    ]
    (step,) = growth(rows, 'T', 'frames', {2: 2, 6: 6}, ['work', 'room'])
    assert step == {
        'config': 'a', 'frames': '', 'size': 'small', 'what grows': 'T', 'from': 2, 'to': 6,
        'times': 3.0, 'work': 4.0,
    }  # fmt: skip
    headings = markdown([step, *growth(rows, 'size', 'size', {'small': 1, 'large': 2}, ['work'])])
    assert headings.startswith('| config | T | size | what grows |')


def test_table_in_markdown():
    rows = [{'config': 'a', 'frames': 2, 'ms': 0.00123}, {'config': 'b', 'ms': 12345.6}]
    assert markdown(rows).splitlines() == [
        '| config | T | ms |',
        '| --- | --- | --- |',
        '| a | 2 | 0.0012 |',
        '| b |  | 12,346 |',
    ]


def test_gpu_suite_in_its_small_form(run_tool, tmp_path, capsys):
    rows = tmp_path / 'rows.json'
    options = ['--small', '--device', 'cpu', '--rounds', 1, '--threads', 1, '--json', rows]
    assert run_tool('analysis_tools/benchmark.py', '--suite', 'gpu', *options) == 0
    tables = json.loads(rows.read_text())
    printed = capsys.readouterr().out
    assert all(f'## {title}\n' in printed for title in tables)
    assert not any('warnings' in title for title in tables)
    attention = [row for title, each in tables.items() if 'attention' in title for row in each]
    assert {row['dtype'] for row in attention} == {'bfloat16', 'float16', 'float32'}
    assert {row['pass'] for row in attention} == {'forward', 'forward + backward'}
    assert all(row['speedup'] > 0 and row['memory_ratio'] > 0 for row in attention)
    (clips,) = (
        rows for title, rows in tables.items() if title.endswith('compiled') and 'clip' in title
    )
    plain, tracked = clips
    assert plain['time_ratio'] == plain['memory_ratio'] == plain['all_memory_ratio'] == 1
    assert tracked['all_mib'] > tracked['extra_mib'] > 0
    assert tracked['all_memory_ratio'] > 1  # it has more weights
    operations = [rows for title, rows in tables.items() if 'operations of' in title]
    assert len(operations) == 2
    (video,) = tables[next(title for title in tables if 'file to masks' in title)]
    assert video['frames_a_second'] > 0
    assert video['tracks'] > 0
