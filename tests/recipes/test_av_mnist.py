"""The recipe of digits, as a user runs it."""

import json

import keras
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("direction", [[], ["--teacher=image", "--student=audio"]])
def test_smoke_ends_with_a_table(tmp_path, run, direction):
    done = run("av_mnist", "--smoke", "--run_dir=run", *direction)
    teacher, student = ("image", "audio") if direction else ("audio", "image")
    for words in (f"teacher ({teacher})", f"{student} alone", f"{student} with C2KD"):
        assert words in done.stdout
    assert "images paired with" in done.stdout
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(results["results"]) == {"teacher", "student alone", "C2KD"}
    model = keras.models.load_model(tmp_path / "run" / "student.keras")
    assert model.input_shape[1] == (65 if direction else 28)
    assert model.input_shape[-1] == 1
    assert model.output_shape == (None, 10)


@pytest.mark.slow
def test_mistakes_end_in_one_sentence(tmp_path, run):
    (tmp_path / "empty").mkdir()
    for flags, words in [
        (["--teacher=depth"], "--teacher to be one of image, audio"),
        (["--data_dir=empty"], "mnist.npz"),
    ]:
        done = run("av_mnist", "--smoke", *flags, "--run_dir=run", expect=1)
        last = done.stderr.strip().splitlines()[-1]
        assert words in last and "Received: " in last
        assert not (tmp_path / "run").exists()
