import csv
import os
import signal
import struct
import subprocess
import sys
import time
import wave

import numpy as np
import pytest
from PIL import Image

from keras_c2kd.data.ave import read_ave
from keras_c2kd.data.cremad import read_cremad
from keras_c2kd.data.prepare import Prepared, prepare
from keras_c2kd.data.vggsound import read_vggsound
from keras_c2kd.data.video import read_frames, write_frames, write_wav
from tests.data.clip_files import cremad_stem, write_cremad_lists, youtube_id

av = pytest.importorskip("av")
from tests.data.videos import encode, grey, hertz  # noqa: E402

FLV = {"video": "flv", "audio": "libmp3lame"}


def greys(folder):
    """Second to grey, from the files of a folder."""
    files = sorted(folder.iterdir())
    assert all(file.suffix == ".jpg" for file in files)
    return {
        int(file.stem): float(np.asarray(Image.open(file))[20:, 20:].mean())
        for file in files
    }


def pitches(path, rate=16000):
    """The strongest frequency of the middle of every second."""
    with wave.open(str(path)) as file:
        assert file.getparams()[:3] == (1, 2, rate)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    found = []
    for start in range(0, len(samples) - rate + 1, rate):
        middle = samples[start + rate // 4 : start + 3 * rate // 4]
        found.append(2 * np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax())
    return found, len(samples)


def assert_seconds(folder, wav, seconds):
    seconds = list(seconds)
    found = greys(folder)
    assert list(found) == seconds
    assert all(abs(found[s] - grey(s)) < 4 for s in seconds)
    heard, _ = pitches(wav)
    assert np.abs(np.array(heard) - [hertz(s) for s in seconds]).max() <= 8


@pytest.mark.parametrize("suffix", [".mp4", ".flv"])
def test_frames_and_sound_are_those_of_their_second(tmp_path, suffix):
    video = tmp_path / f"a{suffix}"
    encode(video, **(FLV if suffix == ".flv" else {}))
    assert write_frames(video, tmp_path / "frames") == 4
    write_wav(video, tmp_path / "a.wav")
    assert_seconds(tmp_path / "frames", tmp_path / "a.wav", range(4))


@pytest.mark.parametrize("suffix", [".mp4", ".flv"])
@pytest.mark.parametrize("span", [(0.0, 1.0), (1.0, 3.0), (2.0, 10.0)])
def test_a_span_is_cut_out(tmp_path, suffix, span):
    video = tmp_path / f"a{suffix}"
    encode(video, **(FLV if suffix == ".flv" else {}))
    if span[1] > 4:  # the list says more than there is
        span = (span[0], 4.0)
    write_frames(video, tmp_path / "frames", span)
    count = write_wav(video, tmp_path / "a.wav", span)
    assert_seconds(
        tmp_path / "frames", tmp_path / "a.wav", range(int(span[0]), int(span[1]))
    )
    assert abs(count - 16000 * (span[1] - span[0])) < 1600


def test_an_event_that_ends_after_the_video_is_taken_as_far_as_it_goes(tmp_path):
    encode(tmp_path / "a.mp4")
    write_frames(tmp_path / "a.mp4", tmp_path / "frames", (2.0, 10.0))
    write_wav(tmp_path / "a.mp4", tmp_path / "a.wav", (2.0, 10.0))
    assert_seconds(tmp_path / "frames", tmp_path / "a.wav", range(2, 4))


def test_sound_that_sets_in_late_stays_in_time(tmp_path):
    encode(tmp_path / "a.mp4", sound_from=1.5)
    write_wav(tmp_path / "a.mp4", tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    loud = np.abs(samples.astype(int)) > 3000
    assert abs(loud.argmax() / 16000 - 1.5) < 0.1 and abs(len(samples) - 64000) < 3000
    heard, _ = pitches(tmp_path / "a.wav")
    assert np.abs(np.array(heard[2:4]) - [hertz(2), hertz(3)]).max() <= 8


def test_a_video_that_was_filmed_upright_is_turned(tmp_path):
    video = tmp_path / "a.mp4"
    encode(video, audio=None)
    one, unit = 1 << 16, 1 << 30
    plain = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, unit)
    # x' = -y, y' = x: a quarter turn clockwise, as phones write it.
    turned = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, unit)
    content = video.read_bytes()
    at = content.rindex(plain)  # the track's, after the movie's
    video.write_bytes(content[:at] + turned + content[at + len(plain) :])
    _, pixels = next(read_frames(video))
    assert pixels.shape == (64, 48, 3)
    corner = pixels[:8, -8:].mean()  # upper left went to the upper right
    assert corner > 200 and pixels[:8, :8].mean() < 100


def cut(share):
    return lambda path: path.write_bytes(
        path.read_bytes()[: int(share * path.stat().st_size)]
    )


def playlist(path):
    """A text that makes ffmpeg open another file, were it let."""
    other = path.with_name("other.mp4")
    encode(other)
    path.write_text(f"#EXTM3U\n#EXTINF:4,\n{other}\n#EXT-X-ENDLIST\n")


def concat(path):
    encode(path.with_name("other.mp4"))
    path.write_text("ffconcat version 1.0\nfile other.mp4\n")


BROKEN = {
    "truncated mp4": ({}, cut(0.7), "InvalidDataError"),
    "truncated mp4, header first": ({"faststart": True}, cut(0.5), "ends after"),
    "truncated flv": (FLV, cut(0.5), "ends after"),
    "nothing": ({}, cut(0), "InvalidDataError"),
    "text": ({}, lambda path: path.write_text("hello" * 100), "InvalidDataError"),
    "a playlist": ({}, playlist, "InvalidDataError"),
    "a list of files": ({}, concat, "ArgumentError"),
    "no picture": ({"video": None}, lambda path: None, "no video stream"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_cannot_be_decoded_is_named_and_leaves_nothing(tmp_path, case):
    options, damage, words = BROKEN[case]
    video = tmp_path / ("a.flv" if options is FLV else "a.mp4")
    encode(video, **options)
    damage(video)
    kinds = [(write_frames, tmp_path / "out" / "frames")]
    if case != "no picture":
        kinds.append((write_wav, tmp_path / "out" / "a.wav"))
    for write, target in kinds:
        with pytest.raises(ValueError, match=f"Received: .*{words}") as error:
            write(video, target)
        assert str(video) in str(error.value)
        assert not list((tmp_path / "out").iterdir())


def test_a_silent_video_has_frames_and_no_sound(tmp_path):
    encode(tmp_path / "a.mp4", audio=None)
    assert write_frames(tmp_path / "a.mp4", tmp_path / "frames") == 4
    with pytest.raises(ValueError, match="no audio stream"):
        write_wav(tmp_path / "a.mp4", tmp_path / "a.wav")


def test_a_span_after_the_end_is_refused(tmp_path):
    encode(tmp_path / "a.mp4")
    for write in (write_frames, write_wav):
        with pytest.raises(ValueError, match="ends after .* wanted from 6 s on"):
            write(tmp_path / "a.mp4", tmp_path / "out", (6.0, 8.0))


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    encode(tmp_path / "a.mp4")
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="a folder with other files"):
        write_frames(tmp_path / "a.mp4", tmp_path / "frames")
    assert os.listdir(tmp_path / "frames") == ["notes.txt"]


def cremad_videos(root, numbers, seconds=2):
    """The lists and videos of CREMA-D, as downloaded."""
    write_cremad_lists(root, train=numbers[:-2], test=numbers[-2:])
    for number in numbers:
        encode(root / "VideoFlash" / f"{cremad_stem(number)}.flv", seconds, **FLV)
    return root


def test_cremad_is_prepared_and_read(tmp_path):
    root = cremad_videos(tmp_path, range(6))
    seen = []
    done = prepare("cremad", root, progress=lambda *counts: seen.append(counts))
    assert done == Prepared(made=6, before=0, missing=0, failed=())
    assert seen == [(number, 6) for number in range(1, 7)]
    splits = read_cremad(root)
    assert len(splits["train"]) == 4 and len(splits["test"]) == 2
    for number in range(6):
        stem = cremad_stem(number)
        wav = root / "AudioWAV" / f"{stem}.wav"
        assert_seconds(root / "Image-01-FPS" / stem, wav, range(2))
    assert not (root / "prepare_failed.tsv").exists()


def test_wav_files_that_were_downloaded_stay(tmp_path):
    root = cremad_videos(tmp_path, range(3))
    wav = root / "AudioWAV" / f"{cremad_stem(1)}.wav"
    wav.parent.mkdir()
    wav.write_bytes(b"as downloaded")
    assert prepare("cremad", root).made == 3
    assert wav.read_bytes() == b"as downloaded"


def test_failures_are_listed_and_tried_again(tmp_path):
    root = cremad_videos(tmp_path, range(6))
    videos = [root / "VideoFlash" / f"{cremad_stem(n)}.flv" for n in range(6)]
    whole = videos[1].read_bytes()
    videos[1].write_bytes(b"not\ta\nvideo")
    videos[2].unlink()
    done = prepare("cremad", root, workers=1)
    assert (done.made, done.before, done.missing) == (4, 0, 1)
    assert "4 clips are ready" in str(done) and "prepare_failed.tsv" in str(done)
    with open(root / "prepare_failed.tsv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter="\t")
    assert header == ["video", "what", "reason"]
    assert [row[:2] for row in rows] == [
        [str(videos[1]), "frames"],
        [str(videos[1]), "wav"],
    ]
    assert all("Received: InvalidDataError" in row[2] for row in rows)

    videos[1].write_bytes(whole)
    again = prepare("cremad", root)
    assert again == Prepared(made=1, before=4, missing=1, failed=())
    assert not (root / "prepare_failed.tsv").exists()


def test_ave_is_prepared_and_read(tmp_path):
    """Two categories of one video are one folder; spans are those of the list."""
    videos = [youtube_id(number) for number in range(5)]
    spans = [(0, 2), (1, 3), (2, 4), (0, 0), (3, 4)]
    rows = [
        f"{name}&{video}&good&{start}&{end}\n"
        for name, video, (start, end) in zip(
            ("Bark", "Flute", "Bark", "Flute", "Bark"), videos, spans, strict=True
        )
    ]
    rows.append(f"Flute&{videos[0]}&good&0&2\n")
    for file, lines in (("train", rows[:3]), ("val", rows[3:4]), ("test", rows[4:])):
        (tmp_path / f"{file}Set.txt").write_text("".join(lines), "utf-8")
    for video in videos:
        encode(tmp_path / "AVE" / f"{video}.mp4")
    assert prepare("ave", tmp_path) == Prepared(5, 0, 0, ())
    for video, (start, end) in zip(videos, spans, strict=True):
        assert_seconds(
            tmp_path / "Image-01-FPS-SE" / video,
            tmp_path / "AudioWAV-SE" / f"{video}.wav",
            range(start, max(end, start + 1)),
        )
    splits = read_ave(tmp_path)
    assert [len(split) for split in splits.values()] == [3, 1, 2]


def test_vggsound_is_prepared_and_read(tmp_path):
    rows = []
    for number, split in enumerate(("train", "train", "test", "test")):
        video = f"{youtube_id(number)}_{30 * number:06d}.mp4"
        folder = "train-videos/train-set" if split == "train" else "test-videos/any"
        encode(tmp_path / folder / video)
        rows.append(f"{youtube_id(number)},{30 * number},{'ab'[number % 2]},{split}\n")
    (tmp_path / "vggsound.csv").write_text("".join(rows), "utf-8")
    assert prepare("vggsound", tmp_path) == Prepared(4, 0, 0, ())
    assert prepare("vggsound", tmp_path) == Prepared(0, 4, 0, ())
    splits = read_vggsound(tmp_path)
    for split in splits.values():
        assert split.sources["image"].shape == (2, 3)
        for paths in split.sources["image"]:
            values = [np.asarray(Image.open(path)).mean() for path in paths]
            assert values == sorted(values)
    name = f"{youtube_id(2)}_000060"
    assert_seconds(
        tmp_path / "test-videos/test-set-img/Image-01-FPS" / f"{name}.mp4",
        tmp_path / "test-audios/test-set" / f"{name}.wav",
        range(4),
    )


def test_what_a_killed_run_left_aside_is_no_clip(tmp_path):
    root = cremad_videos(tmp_path, range(3))
    aside = root / "Image-01-FPS" / f".{cremad_stem(0)}.writing"
    aside.mkdir(parents=True)
    (aside / "00007.jpg").write_bytes(b"half")
    assert prepare("cremad", root).made == 3
    assert list(greys(root / "Image-01-FPS" / cremad_stem(0))) == [0, 1]
    assert not aside.exists()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path):
    numbers = range(40)
    root = cremad_videos(tmp_path, numbers, seconds=3)
    command = [sys.executable, "-m", "keras_c2kd.data.prepare", "cremad"]
    command += [f"--data_dir={root}", "--workers=2"]

    def done():
        return set((root / "Image-01-FPS").glob("[!.]*"))

    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while len(done()) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in done()}
    assert 5 <= len(before) < 40
    # What is there is whole: no reader can take half a clip for a clip.
    assert all(list(greys(path)) == [0, 1, 2] for path in before)

    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "40/40" in output and "cremad: 40 clips are ready" in output
    for number in numbers:
        stem = cremad_stem(number)
        wav = root / "AudioWAV" / f"{stem}.wav"
        assert_seconds(root / "Image-01-FPS" / stem, wav, range(3))
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    assert not [path for path in root.rglob(".*")]


def test_links_that_lead_out_are_failures(tmp_path):
    root = cremad_videos(tmp_path / "root", range(4))
    outside = tmp_path / "outside.flv"
    video = root / "VideoFlash" / f"{cremad_stem(0)}.flv"
    video.rename(outside)
    video.symlink_to(outside)
    done = prepare("cremad", root)
    assert done.made == 3 and "symlink leads out" in done.failed[0][2]


def test_it_says_what_is_wrong(tmp_path, monkeypatch):
    with pytest.raises(
        ValueError, match="cremad, ave, vggsound. Received: dataset='x'"
    ):
        prepare("x", tmp_path)
    with pytest.raises(ValueError, match="looked for .*trainSet.txt"):
        prepare("ave", tmp_path)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImportError, match=r"pip install 'keras_c2kd\[video\]'"):
        prepare("ave", tmp_path)
