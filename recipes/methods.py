"""The methods of a contest, each with its paper's settings, by the name of a flag.

A new one is one entry: the function that makes its distiller, whether its teacher is
frozen, and what --search may try. Nothing here imports a framework until it is used.
"""

import dataclasses
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

PAPER = "1x"  # the setting of a method that is its paper's


@dataclasses.dataclass(frozen=True)
class Pair:
    """A teacher and a student, as a method is given them.

    Attributes:
        teacher: pre-trained, logits `(B, ..., C)`.
        student: with the initial weights that all methods of a seed share.
        modalities: names in the batches, teacher's and student's.
        taps: layers in the middle of both, the paper's for its proxies.
        last: layers of the last features before the classifiers.
        steps: training steps there will be, for schedules.
        select: of dense logits, see `keras_c2kd.OFSD`.
    """

    teacher: Any
    student: Any
    modalities: tuple[str, str]
    taps: tuple[str, str]
    last: tuple[str, str]
    steps: int
    select: str = "position"

    def arguments(self, last: bool = False) -> dict[str, Any]:
        """What every `CrossModalDistiller` takes."""
        return {
            "teacher": self.teacher,
            "student": self.student,
            **by_role("modality", self.modalities),
            **by_role("features", self.last if last else self.taps),
        }


def by_role(name: str, both: tuple[str, str]) -> dict[str, str]:
    return dict(zip((f"teacher_{name}", f"student_{name}"), both, strict=True))


@dataclasses.dataclass(frozen=True)
class Method:
    """How a student is trained.

    Attributes:
        title: its name in tables and figures.
        build: `build(pair, **settings)`, an uncompiled distiller; None: on labels
            alone, without a teacher.
        frozen: the teacher stays as it was pre-trained.
        dense: whether it can be used with per-pixel logits.
        paired: False shows the teacher other samples than the student.
        search: what --search tries, by name, as the `settings` of `build`; the first
            is the paper's, and what is run without a search.
    """

    title: str
    build: Callable[..., Any] | None = None
    frozen: bool = True
    dense: bool = True
    paired: bool = True
    search: Mapping[str, Mapping[str, Any]] = dataclasses.field(
        default_factory=lambda: {PAPER: {}}
    )


def multiples(**settings: float) -> dict[str, dict[str, float]]:
    """The paper's weights first, then a third and three times of them."""
    return {
        f"{m:g}x": {name: m * value for name, value in settings.items()}
        for m in (1.0, 0.3, 3.0)
    }


def loss(
    name: str,
    last: bool = False,
    warmup: float = 0.0,
    ofsd: bool = False,
    **settings: Any,
):
    """`build` of a method that is one of `keras_c2kd.losses`, with its defaults.

    Args:
        name: the class.
        last: of features, it compares the last ones, not those in the middle.
        warmup: share of the training in which its weight grows from 0.
        ofsd: of samples that rank the classes alike alone, as in C2KD's Fig. 5.
        **settings: arguments of the class.
    """

    def build(pair, weight=1.0):
        from keras_c2kd import OFSD, CrossModalDistiller, losses

        found = getattr(losses, name)(**settings)
        return CrossModalDistiller(
            **pair.arguments(last),
            distillation_losses={
                name.lower(): OFSD(loss=found, select=pair.select) if ofsd else found
            },
            distillation_loss_weights=[growing(weight, warmup * pair.steps)],
        )

    return build


def growing(weight: float, steps: float):
    """A weight, or a threshold, that grows from 0 in a line, over so many steps."""
    import keras

    if not steps:
        return weight
    ramp = keras.optimizers.schedules.PolynomialDecay  # power 1, upwards
    return ramp(0.0, max(1, round(steps)), end_learning_rate=weight)


def distiller(module: str, name: str, last: bool = False):
    """`build` of a method that is a class of `keras_c2kd.distillers`."""

    def build(pair, **settings):
        found = getattr(import_module(f"keras_c2kd.distillers.{module}"), name)
        return found(**pair.arguments(last), **settings)

    return build


def c2kd(
    warmup: float = 0.0,
    rising: float | None = None,
    switches: Mapping[str, Any] | None = None,
    **selection: Any,
):
    """`build` of C2KD.

    Args:
        warmup: share of the training in which the cross-modal weight grows from 0.
        rising: what the selection's threshold grows to from 0, over the training.
        switches: other arguments of `keras_c2kd.C2KD`.
        **selection: arguments of `keras_c2kd.OFSD`.
    """

    def build(pair, cross_modal_weight=1.0):
        from keras_c2kd import C2KD, OFSD

        threshold = {} if rising is None else {"threshold": growing(rising, pair.steps)}
        return C2KD(
            **pair.arguments(),
            ofsd=OFSD(select=pair.select, **selection, **threshold),
            cross_modal_weight=growing(cross_modal_weight, warmup * pair.steps),
            **(switches or {}),
        )

    return build


def slow_teacher(share: float):
    """`build` of C2KD whose teacher gets that share of its gradient.

    With SGD that is a learning rate of that share. Its proxy learns at full speed.
    """

    def build(pair, **settings):
        import keras

        def slowed(outputs):
            held = keras.ops.stop_gradient(outputs)
            return held + share * (outputs - held)

        features = pair.teacher.get_layer(pair.taps[0]).output
        outputs = {"logits": slowed(pair.teacher.output), "features": slowed(features)}
        teacher = keras.Model(pair.teacher.input, outputs, name=pair.teacher.name)
        taps = (None, pair.taps[1])
        return c2kd()(dataclasses.replace(pair, teacher=teacher, taps=taps), **settings)

    return build


def changed(how: str, **settings: Any) -> Method:
    """C2KD, but for what `c2kd` is told."""
    return Method(f"C2KD, {how}", c2kd(**settings), frozen=False)


WEIGHT = multiples(weight=1.0)

METHODS = {
    "alone": Method("student alone", search=WEIGHT),  # of its only loss
    "kd": Method("KD", loss("KD"), search=WEIGHT),
    # As in its paper, over the first 20 of 240 epochs.
    "dkd": Method("DKD", loss("DKD", warmup=20 / 240), search=WEIGHT),
    "dist": Method("DIST", loss("DIST"), search=WEIGHT),
    "nkd": Method("NKD", loss("NKD"), search=WEIGHT),
    "rkd": Method("RKD", loss("RKD", last=True), search=WEIGHT),
    "dml": Method("DML", loss("DML"), frozen=False, search=WEIGHT),
    "fitnets": Method("FitNets", loss("FitNets"), search=multiples(weight=100.0)),
    "shake": Method(
        "SHAKE", distiller("shake", "SHAKE"), search=multiples(mutual_weight=1.0)
    ),
    "fdcmkd": Method(
        "FD-CMKD",
        distiller("fd_cmkd", "FDCMKD", last=True),
        dense=False,
        search=multiples(low_weight=1.0, high_weight=1.0),
    ),
    "ucmkd": Method(
        "UCMKD",
        distiller("ucmkd", "UCMKD", last=True),
        dense=False,
        search=multiples(feature_weight=1.0, label_weight=1.0),
    ),
    "c2kd": Method(
        "C2KD", c2kd(), frozen=False, search=multiples(cross_modal_weight=1.0)
    ),
}

# C2KD with one thing changed: the ablations of its paper, then what its logic suggests
# where it does not help. They take part when they are named.
ABLATIONS = {
    "c2kd_frozen": Method("C2KD, teacher frozen", c2kd()),
    "c2kd_one_way": changed("one way", switches={"bidirectional": False}),
    "c2kd_no_proxies": changed("no proxies", switches={"proxies": False}),
    "c2kd_all_samples": changed("no selection", rule="all"),
    "c2kd_target": changed("target class alone", classes="target"),
    "c2kd_all_classes": changed("all classes", classes="all"),
    "c2kd_zero_logit": changed("zero logit", non_target="zero_logit"),
    "c2kd_tau_a": changed("tau-a", variant="a"),
    "c2kd_threshold": changed("KRC above 0.3", threshold=0.3),
    "c2kd_both_correct": changed("both right", rule="both_correct"),
    "c2kd_hot": changed("temperature 4", temperature=4.0),
    "c2kd_warmup": changed("warm-up over half", warmup=0.5),
    "c2kd_top_half": changed("top half by KRC", rule="top_fraction", fraction=0.5),
    "c2kd_rising": changed("rising threshold", rising=0.5),
    "c2kd_slow_teacher": Method("C2KD, slow teacher", slow_teacher(0.1), frozen=False),
}

# Two things changed, so that the teacher's side stays what it was; then of the others
# what their papers and C2KD's Fig. 5 do with them; when they are named.
VARIANTS = {
    "c2kd_one_way_frozen": Method(
        "C2KD, one way, teacher frozen", c2kd(switches={"bidirectional": False})
    ),
    "ofsd_kd": Method("OFSD of KD", loss("KD", ofsd=True), search=WEIGHT),
    "ofsd_dist": Method("OFSD of DIST", loss("DIST", ofsd=True), search=WEIGHT),
    "ucmkd_unpaired": dataclasses.replace(
        METHODS["ucmkd"], title="UCMKD, unpaired", paired=False
    ),
}
RIVALS = tuple(METHODS)
METHODS |= ABLATIONS | VARIANTS


def methods_of(named: list[str] | None, dense: bool) -> list[str]:
    """Those of a contest.

    Args:
        named: by the user; None: all rivals that can be used.
        dense: the task has per-pixel logits.

    Raises:
        ValueError: a method that does not exist or cannot be used, or one named twice.
    """
    usable = [name for name, method in METHODS.items() if method.dense or not dense]
    if named is None:
        return [name for name in RIVALS if name in usable]
    if not named or not set(named) <= set(usable) or len(set(named)) < len(named):
        why = ", which can be used with per-pixel logits" if dense else ""
        raise ValueError(
            f"Expected --methods to be different ones of {', '.join(usable)}{why}. "
            f"Received: --methods={','.join(named)}"
        )
    return list(named)
