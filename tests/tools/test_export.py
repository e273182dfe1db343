"""The command export.py: exported programs match the model."""

import sys

import pytest
import torch

from axialvs.apis import init_segmenter
from tiny_segmenter import randomize, tiny_config

MODEL = ('axialvs-wc_tiny_1xb4-10k_movingshapes', 'axialvs-wc_tiny_movingshapes')


def test_exported_program_matches_the_model(run_tool, tmp_path, capsys):
    config = tiny_config()
    config.model.panoptic_head.transformer_decoder.num_layers = 1
    config.dump(tmp_path / 'config.py')
    model = init_segmenter(config, device='cpu')
    randomize(model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'model.pth')
    out = tmp_path / 'model.pt2'
    options = ('--size', 64, 96, '--length', 2, '--out', out)
    files = (tmp_path / 'config.py', tmp_path / 'model.pth')
    assert run_tool('model_converters/export.py', *files, *options) == 0
    assert 'wrote' in capsys.readouterr().out
    frames = torch.randn(2, 3, 64, 96)
    expected = model.predict_clip(frames)
    class_logits, mask_logits, queries = torch.export.load(out).module()(frames)
    torch.testing.assert_close(class_logits, expected.class_logits, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(mask_logits, expected.mask_logits, atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(queries, expected.queries, atol=1e-3, rtol=1e-3)


def test_onnx_error_names_missing_packages(run_tool, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    options = ('--size', 64, 96, '--out', tmp_path / 'model.onnx')
    assert run_tool('model_converters/export.py', *MODEL, *options) == 2
    assert 'pip install onnx' in capsys.readouterr().err


@pytest.mark.parametrize(
    'options', [('--out', 'x.pth', '--size', 64, 96), ('--out', 'x.pt2', '--size', 0, 96)]
)
def test_wrong_options(run_tool, capsys, options):
    assert run_tool('model_converters/export.py', *MODEL, *options) == 2
    assert str(options[1] if options[1] == 'x.pth' else '--size') in capsys.readouterr().err
