"""One step of gradient descent with PyTorch."""

import keras
import torch


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
        self.zero_grad()
        outputs = self(x, training=True)
        loss = self.compute_loss(x, y, outputs, sample_weight, training=True)
        self.optimizer.scale_loss(loss).backward()
        variables = self.trainable_variables
        gradients = [variable.value.grad for variable in variables]
        with torch.no_grad():
            # `apply` undoes the scaling of the loss by itself.
            self.optimizer.apply(gradients, variables)

        batch_size = keras.tree.flatten(x)[0].shape[0]
        self._loss_tracker.update_state(loss.detach(), sample_weight=batch_size)
        return self.compute_metrics(x, y, outputs, sample_weight)
