"""One step of gradient descent with PyTorch."""

import keras
import torch

from keras_c2kd.backend.finite import all_finite, gradients_to_check


def share_of_mean(value):
    """Means are over the global batch here: there are no replicas to add up."""
    return value


def mean_over_replicas(value):
    """The same: what is counted in a batch is counted in all of it."""
    return value


class TorchTrainStep:
    """`train_step` for a `keras.Model` whose algorithm is in `compute_loss`."""

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        others = [*self.non_trainable_variables, *self.metrics_variables]
        before = [v.value.detach().clone() for v in others] if self.guarded else []
        self.zero_grad()
        outputs = self(x, training=True)
        loss = self.compute_loss(x, y, outputs, sample_weight, training=True)
        self.optimizer.scale_loss(loss).backward()
        variables = self.trainable_variables
        gradients = [variable.value.grad for variable in variables]
        finite = True
        if self.guarded:
            checked = gradients_to_check(self.optimizer, gradients)
            finite = all_finite([loss, checked, self.inputs_that_count(x)])
        with torch.no_grad():
            if finite:
                # `apply` undoes the scaling of the loss by itself.
                self.optimizer.apply(gradients, variables)

        batch_size = keras.tree.flatten(x)[0].shape[0]
        self._loss_tracker.update_state(loss.detach(), sample_weight=batch_size)
        logs = self.compute_metrics(x, y, outputs, sample_weight)
        if not self.guarded:
            return logs
        if not finite:
            for variable, value in zip(others, before, strict=True):
                variable.assign(value)
        return self.count_left_out(finite)
