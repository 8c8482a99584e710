import keras
import numpy as np
import pytest
from keras import ops

from keras_c2kd.losses import c2kd_loss_terms
from tests.helpers import gradients, relative_error

CASES = (
    "ave cremad large_logits none_selected single threshold ties two_classes vggsound"
).split()
LOGITS = (
    "teacher_logits",
    "student_logits",
    "teacher_proxy_logits",
    "student_proxy_logits",
)
TERMS = {
    "teacher_to_teacher_proxy": "kl_teacher_to_teacher_proxy",
    "teacher_proxy_to_teacher": "kl_teacher_proxy_to_teacher",
    "student_to_student_proxy": "kl_student_to_student_proxy",
    "student_proxy_to_student": "kl_student_proxy_to_student",
    "teacher_proxy_to_student_proxy": "nt_teacher_proxy_to_student_proxy",
    "student_proxy_to_teacher_proxy": "nt_student_proxy_to_teacher_proxy",
}


def random_logits(rng, n=8, classes=5):
    return list(rng.normal(size=(4, n, classes)).astype("float32"))


def total(terms):
    return sum(terms[name] for name in TERMS)


@pytest.mark.parametrize("case", CASES)
def test_terms_and_mask_are_those_of_the_authors_code(golden, case):
    reference = golden(case)
    logits = [reference[name].astype("float32") for name in LOGITS]
    terms = c2kd_loss_terms(
        reference["labels"],
        *logits,
        threshold=float(reference["krc_threshold"]),
        non_target="zero_logit",
    )
    for name, theirs in TERMS.items():
        assert relative_error(terms[name], reference[theirs]) < 1e-5, name
    selected = ops.convert_to_numpy(terms["selected"])
    np.testing.assert_array_equal(selected, reference["mask"].astype(bool))
    krc = ops.convert_to_numpy(terms["krc"])
    np.testing.assert_allclose(krc, np.nan_to_num(reference["krc"]), atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_authors_code(golden, case):
    reference = golden(case)
    logits = [reference[name].astype("float32") for name in LOGITS]
    labels = reference["labels"]
    task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(*logits):
        terms = c2kd_loss_terms(
            labels,
            *logits,
            threshold=float(reference["krc_threshold"]),
            non_target="zero_logit",
        )
        return task(labels, logits[0]) + task(labels, logits[1]) + total(terms)

    inputs = [ops.convert_to_tensor(z) for z in logits]
    assert relative_error(loss(*inputs), reference["loss"]) < 1e-5
    for name, ours in zip(LOGITS, gradients(loss, logits), strict=True):
        assert relative_error(ours, reference[f"grad_{name}"]) < 1e-5, name


def test_nobody_selected_gives_exactly_zero(rng):
    logits = random_logits(rng)
    logits[3] = -logits[2]
    terms = c2kd_loss_terms(np.arange(8) % 5, *logits)
    assert not ops.convert_to_numpy(terms["selected"]).any()
    assert float(terms["teacher_proxy_to_student_proxy"]) == 0.0


def test_the_cross_modal_mean_is_over_the_whole_batch(rng):
    logits = [z[:1] for z in random_logits(rng)]
    logits[3] = logits[2] * 0.5
    alone = c2kd_loss_terms(np.array([1]), *logits)
    # Three more samples that are not selected: the term is a quarter of what it was.
    padded = [np.concatenate([z, np.zeros((3, 5), "float32")]) for z in logits]
    among_four = c2kd_loss_terms(np.array([1, 0, 0, 0]), *padded)
    name = "teacher_proxy_to_student_proxy"
    assert float(alone[name]) > 0
    np.testing.assert_allclose(
        float(alone[name]) / 4, float(among_four[name]), rtol=1e-6
    )


@pytest.mark.parametrize("name", TERMS)
def test_each_term_teaches_one_side_only(rng, name):
    logits = random_logits(rng)
    logits[3] = logits[2] + 0.1 * logits[3]  # alike, so that the sample crosses
    teaches, learns = name.split("_to_")
    grads = gradients(lambda *z: c2kd_loss_terms(np.arange(8) % 5, *z)[name], logits)
    moved = {key for key, g in zip(LOGITS, grads, strict=True) if g.any()}
    assert moved == {f"{learns}_logits"} and f"{teaches}_logits" not in moved


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_float32_whatever_comes_in(rng, dtype):
    logits = [ops.cast(z, dtype) for z in random_logits(rng)]
    terms = c2kd_loss_terms(np.arange(8) % 5, *logits)
    for name in (*TERMS, "krc"):
        assert keras.backend.standardize_dtype(terms[name].dtype) == "float32", name


def test_sample_weight_scales_a_samples_terms(rng):
    logits = random_logits(rng)
    labels = np.arange(8) % 5
    weight = np.array([1, 1, 1, 1, 0, 0, 0, 0], "float32")
    weighted = c2kd_loss_terms(labels, *logits, sample_weight=weight)
    half = c2kd_loss_terms(labels[:4], *[z[:4] for z in logits])
    for name in TERMS:
        np.testing.assert_allclose(
            float(weighted[name]), float(half[name]) / 2, rtol=1e-5, atol=1e-7
        )


def test_masked_positions_are_not_there_at_all(rng):
    logits = random_logits(rng)
    labels = np.arange(8) % 5
    mask = np.arange(8) < 4
    labels[4:] = 255
    masked = c2kd_loss_terms(labels, *logits, mask=mask)
    half = c2kd_loss_terms(labels[:4], *[z[:4] for z in logits])
    for name in TERMS:
        np.testing.assert_allclose(
            float(masked[name]), float(half[name]), rtol=1e-5, atol=1e-7
        )
    assert not ops.convert_to_numpy(masked["selected"])[4:].any()


def test_pixels_are_samples(rng):
    logits = random_logits(rng, n=12)
    labels = np.arange(12) % 5
    flat = c2kd_loss_terms(labels, *logits)
    dense = c2kd_loss_terms(
        labels.reshape(2, 3, 2), *[z.reshape(2, 3, 2, 5) for z in logits]
    )
    for name in TERMS:
        np.testing.assert_allclose(float(flat[name]), float(dense[name]), rtol=1e-5)
    assert tuple(dense["krc"].shape) == (2, 3, 2)


def test_selected_samples_give_the_terms_of_their_pixels(rng):
    logits = rng.normal(size=(4, 6, 2, 3, 5)).astype("float32")
    logits[3] += logits[2] * np.linspace(-2, 2, 6).reshape(6, 1, 1, 1)
    labels, mask = rng.integers(0, 5, (6, 2, 3)), rng.random((6, 2, 3)) < 0.7
    terms = c2kd_loss_terms(labels, *logits, mask=mask, select="sample")
    chosen = ops.convert_to_numpy(terms["selected"])
    crosses = chosen.any(axis=(1, 2))
    assert 0 < crosses.sum() < 6
    np.testing.assert_array_equal(chosen, crosses[:, None, None] & mask)
    # With the images that cross alone, and a threshold that lets all of them through.
    alike = [z[crosses] for z in logits]
    alone = c2kd_loss_terms(labels[crosses], *alike, threshold=-1.0, mask=mask[crosses])
    everywhere = ops.convert_to_numpy(alone["selected"])
    np.testing.assert_array_equal(everywhere, mask[crosses])
    share = mask[crosses].sum() / mask.sum()
    for name in ("teacher_proxy_to_student_proxy", "student_proxy_to_teacher_proxy"):
        np.testing.assert_allclose(
            float(terms[name]), share * float(alone[name]), rtol=1e-5
        )


@pytest.mark.parametrize("shape", ["column", "one_hot"])
def test_labels_in_other_shapes_mean_the_same(rng, shape):
    logits = random_logits(rng)
    labels = np.arange(8) % 5
    other = labels[:, None] if shape == "column" else np.eye(5, dtype="float32")[labels]
    one, two = (c2kd_loss_terms(y, *logits) for y in (labels, other))
    assert all(float(one[name]) == float(two[name]) for name in TERMS)


def test_temperature_divides_and_its_square_multiplies(rng):
    logits = random_logits(rng)
    labels = np.arange(8) % 5
    hot = c2kd_loss_terms(labels, *[3.0 * z for z in logits], temperature=3.0)
    plain = c2kd_loss_terms(labels, *logits)
    for name in TERMS:
        np.testing.assert_allclose(float(hot[name]), 9 * float(plain[name]), rtol=1e-4)


@pytest.mark.parametrize(
    ("shapes", "labels", "words"),
    [
        ([(4, 3), (4, 3), (4, 3), (4, 2)], (4,), r"student_proxy_logits\.shape=\(4, 2"),
        ([(4, 1)] * 4, (4,), "at least two classes"),
        ([(4, 3)] * 4, (4, 2), "one label per row"),
        ([(3,)] * 4, (), "same shape"),
    ],
)
def test_bad_input_is_refused(shapes, labels, words):
    logits = [np.zeros(shape, "float32") for shape in shapes]
    with pytest.raises(ValueError, match=words):
        c2kd_loss_terms(np.zeros(labels, "int32"), *logits)
