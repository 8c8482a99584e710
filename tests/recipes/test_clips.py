"""The recipes of clips, as a user runs them."""

import json

import keras
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cremad", "ave", "vggsound"])
def test_smoke_leaves_a_student_of_pictures(tmp_path, run, name):
    done = run(name, "--smoke", "--run_dir=run")
    for words in ("teacher (audio)", "image alone", "image with C2KD"):
        assert words in done.stdout
    assert "listed train clips are on disk" in done.stdout
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(results["results"]) == {"teacher", "student alone", "C2KD"}
    student = keras.models.load_model(tmp_path / "run" / "student.keras")
    frames = (3,) if name == "vggsound" else ()
    assert student.input_shape == (None, *frames, 32, 32, 3)


@pytest.mark.slow
def test_data_of_ones_own_is_heard_as_in_the_released_code(tmp_path, run, home):
    run("cremad", "--smoke", "--run_dir=run")
    data = home / "datasets" / "keras_c2kd" / "cremad_miniature_60"
    flags = ("--teacher=image", "--student=audio", f"--data_dir={data}")
    run("cremad", "--smoke", "--run_dir=own", *flags)
    student = keras.models.load_model(tmp_path / "own" / "student.keras")
    assert student.input_shape == (None, 257, 188, 1)
