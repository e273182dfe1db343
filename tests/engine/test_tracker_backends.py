"""Scalars and images in Weights & Biases and MLflow, where these are installed."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.visualization import Visualizer

CONFIG = Config(dict(work_dir='', model=dict(type='Model', classes=['a', 'b'])))
PICTURE = np.full((4, 6, 3), 128, np.uint8)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Log a training and a validation to a backend and return the open visualizer."""

    def send(backend: str, **options) -> Visualizer:
        monkeypatch.chdir(tmp_path)
        (tmp_path / 'elsewhere.py').write_text('secret = 1\n')
        folder = tmp_path / 'tiny' / 'today' / 'vis_data'
        settings = dict(type=f'mmdet.{backend}', save_dir=str(folder), **options)
        visualizer = Visualizer(name=tmp_path.name, vis_backends=[settings])
        visualizer.add_config(Config(CONFIG.to_dict() | dict(work_dir=str(tmp_path))))
        for iteration, loss in ((50, 3.0), (100, 2.0)):
            visualizer.add_scalars({'train/loss': loss, 'memory': 600}, step=iteration)
        visualizer.add_scalars({'val/AP': 0.25}, step=100)
        visualizer.add_image('overlay_video_1', PICTURE, 100)
        return visualizer

    return send


def test_wandb_logs_iterations_and_no_code(trained, tmp_path, monkeypatch):
    wandb = pytest.importorskip('wandb')
    monkeypatch.setenv('WANDB_DATA_DIR', str(tmp_path / 'staging'))
    visualizer = trained('ClipWandbVisBackend', init_kwargs=dict(mode='offline'))
    run = wandb.run
    assert run.step == 100
    assert run.config['model'] == CONFIG.model.to_dict()
    visualizer.add_scalars({'train/loss': 1.0}, step=150)  # sends what was there for 100
    assert (run.summary['train/loss'], run.summary['val/AP']) == (2.0, 0.25)
    visualizer.close()
    vis_data = tmp_path / 'tiny' / 'today' / 'vis_data'
    assert list(vis_data.glob('wandb/offline-run-*/*.wandb'))
    assert list(vis_data.glob('wandb/offline-run-*/files/media/images/*.png'))
    assert not list((tmp_path / 'staging').rglob('tmp*'))


def test_mlflow_stores_scalars_and_images_by_iteration(trained, tmp_path, monkeypatch):
    mlflow = pytest.importorskip('mlflow')
    monkeypatch.setenv('MLFLOW_TRACKING_URI', f'sqlite:///{tmp_path / "mlflow.db"}')
    trained('ClipMLflowVisBackend').close()
    client = mlflow.MlflowClient()
    (run,) = client.search_runs(['0'])
    assert run.info.run_name == 'tiny/today'
    history = client.get_metric_history(run.info.run_id, 'train/loss')
    assert [(x.step, x.value) for x in history] == [(50, 3.0), (100, 2.0)]
    assert [x.step for x in client.get_metric_history(run.info.run_id, 'val/AP')] == [100]
    assert run.data.params['model.type'] == 'Model'
    stored = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {'config.py', 'overlay_video_1_100.png'} <= stored
