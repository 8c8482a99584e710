import json

import keras
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("select", ["position", "sample"])
def test_smoke_reports_the_figures_of_segmentation(tmp_path, run, select):
    done = run("nyu_depth_v2", "--smoke", "--run_dir=run", f"--select={select}")
    for words in ("mIoU", "pixel acc.", "mean acc.", "rgb with C2KD"):
        assert words in done.stdout
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(results["results"]) == {"teacher", "student alone", "C2KD"}
    assert len(results["classes"]) == 40
    student = keras.models.load_model(tmp_path / "run" / "student.keras")
    assert student.output_shape == (None, 32, 43, 40)
