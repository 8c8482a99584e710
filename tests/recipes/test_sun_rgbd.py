"""The recipe as a user runs it: a process of its own, from another folder."""

import csv
import json
import shutil

import keras
import pytest

from keras_c2kd.data import write_sun_rgbd


@pytest.mark.slow
@pytest.mark.parametrize(
    ("direction", "formats"),
    [
        ([], ["--export=keras,savedmodel,onnx,litert"]),
        (["--teacher=rgb", "--student=depth"], ["--export=litert", "--int8"]),
    ],
)
def test_smoke_leaves_a_complete_run(tmp_path, run, direction, formats):
    done = run("sun_rgbd", "--smoke", "--run_dir=run", *formats, *direction)
    teacher, student = ("rgb", "depth") if direction else ("depth", "rgb")
    for words in (f"teacher ({teacher})", f"{student} alone", f"{student} with C2KD"):
        assert words in done.stdout
    folder = tmp_path / "run"
    assert sorted(p.name for p in folder.iterdir()) == [
        ".lock",
        "alone.keras",
        "config.json",
        "curves.png",
        "done.json",
        "exported",
        "log.csv",
        "results.json",
        "student.keras",
        "teacher.keras",
    ]
    assert json.loads((folder / "config.json").read_text())["teacher"] == teacher
    results = json.loads((folder / "results.json").read_text())
    assert set(results["results"]) == {"teacher", "student alone", "C2KD"}
    made = results["provenance"]
    assert made["settings"]["epochs"] == 1 and made["seed"] == 0
    assert made["versions"]["keras"] == keras.__version__
    assert made["device"] and len(made["data"]) == 64 and "revision" in made
    assert made["flags"]["run_dir"] == "run" and "--smoke" in made["command"]
    assert made["versions"].keys() > {"tensorflow", "numpy", "scipy", "keras-hub"}
    assert {"teacher, seed 0", "C2KD, seed 0"} < made["trainings"].keys()
    assert made["trainings"]["C2KD, seed 0"][0]["revision"] == made["revision"]
    rows = list(csv.DictReader((folder / "log.csv").open()))
    assert [row["model"] for row in rows] == ["teacher", "student alone", "C2KD"]
    student_model = keras.models.load_model(folder / "student.keras")
    assert student_model.input_shape[-1] == (1 if direction else 3)
    files = {"student.keras", "student_savedmodel", "student.onnx", "student.tflite"}
    if direction:
        files = {"student.tflite", "student_int8.tflite"}
    assert {p.name for p in (folder / "exported").iterdir()} == files | {"student.md"}
    card = (folder / "exported" / "student.md").read_text("utf-8")
    assert " ".join(formats) in card and "KERAS_BACKEND=tensorflow python" in card
    assert results["provenance"]["data"] in card and "not recorded" not in card
    assert "| ai_edge_litert | " in card and "OFSD" in card and "\n- 0\n" in card


@pytest.mark.slow
def test_mistakes_end_in_one_sentence_and_write_nothing(tmp_path, run):
    (tmp_path / "empty").mkdir()
    for flags, words in [
        (["--teacher=sound"], "--teacher to be one of rgb, depth"),
        (["--teacher=rgb"], "two different modalities"),
        (["--data_dir=empty"], "SUNRGBD"),
    ]:
        done = run("sun_rgbd", "--smoke", *flags, "--run_dir=run", expect=1)
        last = done.stderr.strip().splitlines()[-1]
        assert words in last and "Received: " in last
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_scenes_without_depth_may_stay_and_a_cache_is_written(tmp_path, run, home):
    miniature = home / "datasets" / "keras_c2kd" / "sun_rgbd_miniature_80"
    data = shutil.copytree(write_sun_rgbd(miniature, 80), tmp_path / "data")
    folders = sorted(data.glob("SUNRGBD/**/depth*"))
    for folder in folders[:40:2]:  # ten scenes lose depth and depth_bfx, or one of both
        shutil.rmtree(folder)
        (sibling,) = [f for f in folder.parent.glob("depth*")]
        shutil.rmtree(sibling)
    flags = ["--smoke", "--data_dir=data", "--run_dir=kept", "--cache_dir=cache"]
    flags += ["--teacher=rgb", "--student=depth", "--export=keras"]
    done = run("sun_rgbd", *flags, "--keep_incomplete")
    assert "incomplete samples were kept" in done.stdout
    results = json.loads((tmp_path / "kept" / "results.json").read_text())
    assert sum(results["samples"].values()) == 80
    # The file is judged on the depth that is there, as the student was.
    (row,) = [row for row in done.stdout.splitlines() if row.endswith("student.keras")]
    assert f" {results['results']['C2KD'][0]['top1']:.3f} " in row
    assert (tmp_path / "cache" / "train" / "cache.json").exists()
    again = run("sun_rgbd", "--smoke", "--data_dir=data", "--run_dir=again", expect=1)
    assert "Expected a file depth_bfx" in again.stderr
