import keras
import numpy as np
import pytest

from tests.helpers import distiller, pairs

SPARSE = keras.losses.SparseCategoricalCrossentropy
ONE_HOT = keras.losses.CategoricalCrossentropy


@pytest.mark.parametrize(
    "loss",
    [
        SPARSE(),
        ONE_HOT(),
        "sparse_categorical_crossentropy",
        keras.losses.categorical_crossentropy,
        keras.losses.KLDivergence(),
    ],
)
def test_a_loss_on_probabilities_is_refused(loss):
    with pytest.raises(ValueError, match="silently wrong"):
        distiller().compile("sgd", loss=loss)


@pytest.mark.parametrize(
    "loss", ["binary_crossentropy", keras.losses.BinaryCrossentropy(from_logits=True)]
)
def test_a_multi_label_loss_is_refused(loss):
    with pytest.raises(ValueError, match="multi-label"):
        distiller().compile("sgd", loss=loss)


def test_two_losses_are_refused():
    with pytest.raises(ValueError, match="one task loss"):
        distiller().compile("sgd", loss=[SPARSE(from_logits=True)] * 2)


@pytest.mark.parametrize(
    "loss",
    [
        None,
        SPARSE(from_logits=True),
        ONE_HOT(from_logits=True, label_smoothing=0.1),
        lambda y, p: keras.ops.mean(p, axis=-1),
    ],
)
def test_a_loss_on_logits_is_taken(loss):
    distiller().compile("sgd", loss=loss)


BAD_DATA = {
    "unknown modality": (lambda x, y: ({"deep": x["depth"], "rgb2": x["rgb"]}, y),
        r"keys 'depth' \(teacher\).*Received: keys \['deep', 'rgb2'\]"),
    "student missing": (lambda x, y: ({"depth": x["depth"]}, y), "keys 'depth'"),
    "three inputs": (lambda x, y: ((x["rgb"],) * 3, y), "a tuple of 3"),
    "out of range": (lambda x, y: (x, y + 1), "labels from 1 to 3"),
    "negative": (lambda x, y: (x, y - 1), "labels from -1 to 1"),
    "float": (lambda x, y: (x, y.astype("float32")), "labels of dtype float32"),
    "one-hot": (lambda x, y: (x, np.eye(3, dtype="int32")[y]), "one-hot labels go"),
    "empty": (lambda x, y: ({k: v[:0] for k, v in x.items()}, y[:0]), "at least one"),
    "wide labels": (lambda x, y: (x, np.zeros((24, 2, 2), "int32")), r"2, 2\)"),
    "words": (lambda x, y: (x, y.astype(str)), "labels of dtype <U"),
    "no labels": (lambda x, y: (x, None), "Expected labels"),
    "student alone": (lambda x, y: (x["rgb"], y), "modality alone"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_arrays_are_refused_before_training(case):
    change, words = BAD_DATA[case]
    model = distiller()
    before = model.student.get_weights()
    with pytest.raises(ValueError, match=words) as error:
        model.fit(*change(*pairs()), verbose=0)
    assert "Received: " in str(error.value)
    for a, b in zip(before, model.student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_validation_data_is_refused_before_training():
    x, y = pairs()
    with pytest.raises(ValueError, match="labels from 1 to 3"):
        distiller().fit(x, y, validation_data=(x, y + 1), verbose=0)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (lambda y: y, "one-hot labels with 3 classes"),
        (lambda y: np.eye(3)[y] + np.eye(3)[(y + 1) % 3], "multi-label"),
    ],
)
def test_bad_labels_for_a_categorical_loss(labels, words):
    x, y = pairs()
    model = distiller()
    model.compile("sgd", loss=ONE_HOT(from_logits=True))
    with pytest.raises(ValueError, match=words):
        model.fit(x, labels(y), verbose=0)


def test_an_empty_pydataset_is_refused():
    class Empty(keras.utils.PyDataset):
        def __len__(self):
            return 0

        def __getitem__(self, index):
            raise IndexError

    with pytest.raises(ValueError, match="at least one batch"):
        distiller().fit(Empty(), verbose=0)


@pytest.mark.parametrize("case", ["unknown modality", "one-hot", "wide labels"])
def test_a_bad_stream_is_refused_and_nothing_is_lost(case):
    change, words = BAD_DATA[case]
    model = distiller()
    before = model.student.get_weights()
    with pytest.raises(ValueError, match=words):
        model.fit((change(*pairs()) for _ in range(2)), steps_per_epoch=2, verbose=0)
    for a, b in zip(before, model.student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", ["unknown modality", "float", "one-hot", "empty"])
def test_bad_tf_data_is_refused(case):
    tf = pytest.importorskip("tensorflow")
    change, words = BAD_DATA[case]
    x, y = change(*pairs())
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
    with pytest.raises(ValueError, match=words.replace("one$", "one batch")):
        distiller().fit(dataset, verbose=0)


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="the other backends raise an error"
)
def test_labels_out_of_range_in_a_stream_are_nan_not_silence():
    x, y = pairs()
    batches = ((x, y + 1) for _ in range(2))
    history = distiller().fit(batches, steps_per_epoch=2, verbose=0).history
    assert np.isnan(history["loss"][0])


@pytest.mark.skipif(
    keras.config.backend() == "jax",
    reason="NaN instead: no errors inside a jitted step",
)
def test_labels_out_of_range_in_a_stream_raise():
    x, y = pairs()
    with pytest.raises(Exception, match="(?i)range|out of bounds"):
        distiller().fit(((x, y + 1) for _ in range(2)), steps_per_epoch=2, verbose=0)
