"""The recipe of texts and pictures, as a user runs it."""

import json

import keras
import numpy as np
import pytest

from keras_c2kd.data import load_tokens

pytest.importorskip("keras_hub", reason="keras-hub is not installed")


@pytest.mark.slow
def test_smoke_leaves_a_student_of_pictures(tmp_path, run):
    done = run("crisismmd", "--smoke", "--run_dir=run")
    for words in ("teacher (text)", "image alone", "image with C2KD"):
        assert words in done.stdout
    assert "78 of 78 listed train pictures are on disk" in done.stdout
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert set(results["results"]) == {"teacher", "student alone", "C2KD"}
    student = keras.models.load_model(tmp_path / "run" / "student.keras")
    assert student.input_shape == (None, 32, 32, 3) and student.output_shape[1] == 8


@pytest.mark.slow
def test_a_student_of_texts_reads_strings_by_what_its_run_folder_keeps(tmp_path, run):
    flags = ("--teacher=image", "--student=text", "--task=damage")
    run("crisismmd", "--smoke", "--run_dir=run", *flags)
    tokens = load_tokens(tmp_path / "run")
    student = keras.models.load_model(tmp_path / "run" / "student.keras")
    logits = student.predict(tokens(["a bridge has collapsed 😢", ""]), verbose=0)
    assert logits.shape == (2, 3) and np.isfinite(logits).all()


@pytest.mark.slow
def test_a_preset_brings_tokenizer_and_encoder(tmp_path, run):
    from keras_hub import models

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "storm", "##s"]
    models.BertTokenizer(words, lowercase=True).save_to_preset(tmp_path / "bert")
    models.BertBackbone(8, 1, 2, 8, 16, max_sequence_length=32).save_to_preset(
        tmp_path / "bert"
    )
    run("crisismmd", "--smoke", "--run_dir=run", f"--text_preset={tmp_path / 'bert'}")
    ids = load_tokens(tmp_path / "run")(["The storms"])
    assert ids[0, :6].tolist() == [2, 5, 6, 7, 3, 0]
    flags = (f"--text_preset={tmp_path / 'bert'}", "--text_length=40")
    done = run("crisismmd", "--smoke", "--run_dir=other", *flags, expect=1)
    assert "at most 32" in done.stderr and "Traceback" not in done.stderr
