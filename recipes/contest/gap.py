"""How far apart teacher and student are, by `keras_c2kd.diagnostics`."""

from files import read_model
from recipe import FLAGS

from contest.folder import Cell
from keras_c2kd.diagnostics import measure_modality_gap


def gap_to(teacher, student, data, references=(None, None)) -> dict:
    """The figures, and what they say in words; on validation too, to find causes."""

    def on(batches):
        return measure_modality_gap(
            teacher,
            student,
            batches,
            teacher_modality=FLAGS.teacher,
            student_modality=FLAGS.student,
            references=references,
        )

    gap, validation = on(data.test), on(data.validation)
    return {
        "gap": gap.to_dict(),
        "words": str(gap),
        "gap_validation": validation.to_dict(),
        "words_validation": str(validation),
    }


def load_teacher(training, contest, cell):
    """The pre-trained one."""
    file = contest.teacher_file(cell)
    return training.load(file, "teacher", cell.teacher, cell.seed)


def within_modalities(training, contest, cell) -> dict:
    """The gap to the student alone, beside that of two nets of one modality.

    The setting of the cell names those of which there is a second one, trained from
    the next seed: the student alone, and for the teacher's modality the student alone
    of the other direction.
    """
    second = {
        "teacher": Cell(cell.student, cell.teacher, "alone", cell.seed + 1),
        "student": Cell(*cell.direction, "alone", cell.seed + 1),
    }
    teacher = load_teacher(training, contest, cell)
    training.build("teacher", cell.student)
    references = (
        load_student(contest, other) if role in cell.setting else None
        for role, other in second.items()
    )
    student = load_student(contest, Cell(*cell.direction, "alone", cell.seed))
    return gap_to(teacher, student, training.data, tuple(references))


def load_student(contest, cell):
    return read_model(contest.at(cell) / "student.keras")
