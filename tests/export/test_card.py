"""The model card says what is known, and what is not."""

from pathlib import Path

from keras_c2kd.export import ExportedFile, ExportReport, model_card
from keras_c2kd.export.card import FIELDS


def test_what_is_missing_is_said(tmp_path):
    text = model_card(tmp_path / "new", {"data": None, "seeds": []}).read_text()
    assert text.startswith("# Student\n")
    assert text.count("not recorded") == len(FIELDS)


def test_each_kind_of_field_and_own_ones(tmp_path):
    fields = {
        "name": "Rooms",
        "data": "SUN RGB-D",
        "seeds": [0, 1],
        "metrics": {"top-1": 0.53041, "by seed": [0.5, None], "a|b": {"krc": 0.1}},
        "command": "python recipes/sun_rgbd.py --seeds=2",
        "known_limits": "Rooms alone.",
    }
    report = ExportReport(
        {"onnx": ExportedFile(Path("a/student.onnx"), 314_796, 7.2e-7, 1.0, 0.31, 0.5)}
    )
    text = model_card(tmp_path, fields, report).read_text()
    for part in (
        "# Rooms\n",
        "## Data\n\nSUN RGB-D\n",
        "- 0\n- 1\n",
        "| top-1 | 0.5304 |",
        "| by seed | 0.5, not recorded |",
        "| a\\|b | krc: 0.1 |",
        "```bash\npython recipes/sun_rgbd.py --seeds=2\n```",
        "## Known limits\n\nRooms alone.\n",
        "| onnx | `student.onnx` | 315 | 7e-07 | 1.000 | 0.31 | 0.500 |",
        "## Teacher\n\nnot recorded\n",
    ):
        assert part in text, part
    assert [path.name for path in tmp_path.iterdir()] == ["student.md"]
