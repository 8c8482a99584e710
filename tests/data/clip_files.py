"""Clips written by hand: a clip's number is in its frames and in its sound."""

import hashlib
import wave

import numpy as np

from tests.data.conftest import jpeg

RATE = 8000


def write_frames(folder, number, count=3, size=(12, 16)):
    """Frames of one grey: `10 * number + second`."""
    folder.mkdir(parents=True, exist_ok=True)
    for second in range(count):
        pixels = np.full((*size, 3), 10 * number + 2 * second, "uint8")
        (folder / f"{second:05d}.jpg").write_bytes(jpeg(pixels))


def write_wav(path, number, samples=400):
    """A constant of `number` hundredths."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(np.full(samples, number * 327, "<i2").tobytes())


def youtube_id(number):
    """Ids so different that no mutation makes one from another."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:10] + "-"


def cremad_stem(number):
    emotion = ("NEU", "HAP", "SAD", "FEA", "DIS", "ANG")[number % 6]
    letters = "".join(chr(65 + (7 * number + k * 11) % 26) for k in range(3))
    return f"{1001 + 97 * number % 8000}_{letters}_{emotion}_XX"


def write_cremad_lists(root, train, test):
    root.mkdir(exist_ok=True)
    for file, numbers in (("train.csv", train), ("test.csv", test)):
        stems = [cremad_stem(number) for number in numbers]
        lines = [f"{stem},{stem.split('_')[2]}\n" for stem in stems]
        (root / file).write_text("".join(lines), "utf-8")


def write_cremad(root, train=range(12), test=range(12, 18)):
    write_cremad_lists(root, train, test)
    for number in (*train, *test):
        stem = cremad_stem(number)
        write_frames(root / "Image-01-FPS" / stem, number)
        write_wav(root / "AudioWAV" / f"{stem}.wav", number)
    return root


AVE_NAMES = ("Bark", "Church bell", "Frying (food)")


def write_ave(root, train=range(6), val=range(6, 9), test=range(9, 12)):
    splits = (("trainSet.txt", train), ("valSet.txt", val), ("testSet.txt", test))
    for file, numbers in splits:
        lines = []
        for number in numbers:
            video = youtube_id(number)
            lines.append(f"{AVE_NAMES[number % 3]}&{video}&good&{number % 5}&10\n")
            write_frames(root / "Image-01-FPS-SE" / video, number)
            write_wav(root / "AudioWAV-SE" / f"{video}.wav", number)
        (root / file).write_text("".join(lines), "utf-8")
    return root


VGG_NAMES = ("dog barking", "female speech, woman speaking", "wind chime")


def vgg_name(number):
    return f"{youtube_id(number)}_{number * 37:06d}"


def write_vggsound(root, train=range(6), test=range(6, 12)):
    lines = []
    for split, numbers in (("train", train), ("test", test)):
        for number in numbers:
            label = VGG_NAMES[number % 3]
            label = f'"{label}"' if "," in label else label
            lines.append(f"{youtube_id(number)},{number * 37},{label},{split}\n")
            frames = f"{split}-videos/{split}-set-img/Image-01-FPS"
            write_frames(root / frames / f"{vgg_name(number)}.mp4", number)
            wav = f"{split}-audios/{split}-set/{vgg_name(number)}.wav"
            write_wav(root / wav, number)
    (root / "vggsound.csv").write_text("".join(lines), "utf-8")
    return root


def numbers_of(samples):
    """Each sample's number as its middle frame has it, and as its sound has it."""
    from PIL import Image

    images, sounds = [], []
    for position in range(len(samples)):
        paths = samples.source("image", position)
        pixels = np.asarray(Image.open(paths[len(paths) // 2]))
        images.append(round((pixels.mean() - 2) / 10))
        with wave.open(str(samples.source("audio", position)["path"])) as file:
            values = np.frombuffer(file.readframes(10), "<i2")
        sounds.append(round(values.mean() / 327))
    return images, sounds
