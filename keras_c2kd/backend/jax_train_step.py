"""One step of gradient descent with JAX: pure, with all state passed and returned."""

import jax
import keras
from keras import ops

from keras_c2kd.backend.finite import all_finite, gradients_to_check


def share_of_mean(value):
    """Means are over the global batch here: there are no replicas to add up."""
    return value


def mean_over_replicas(value):
    """The same: what is counted in a batch is counted in all of it."""
    return value


class JAXTrainStep:
    """`train_step` for a `keras.Model` whose algorithm is in `compute_loss`."""

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_state, metric_state = state
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)

        def scaled_loss(trainable):
            outputs, after_call, penalties = self.stateless_call(
                trainable, non_trainable, x, training=True, return_losses=True
            )
            # What layers added with `add_loss` during the call is kept for the loss.
            self._losses_override = penalties
            loss, (_, after_loss, metrics) = self.stateless_compute_loss(
                trainable,
                after_call,
                metric_state,
                x=x,
                y=y,
                y_pred=outputs,
                sample_weight=sample_weight,
                training=True,
            )
            self._losses_override = []
            optimizer = zip(self.optimizer.variables, optimizer_state, strict=True)
            with keras.StatelessScope(state_mapping=optimizer):
                scaled = self.optimizer.scale_loss(loss)
            return scaled, (loss, outputs, after_loss, metrics)

        gradients, (loss, outputs, non_trainable, metric_state) = jax.grad(
            scaled_loss, has_aux=True
        )(trainable)
        trainable, optimizer_state = self.optimizer.stateless_apply(
            optimizer_state, gradients, trainable
        )

        with self._metrics_in(metric_state) as scope:
            batch_size = jax.tree_util.tree_leaves(x)[0].shape[0]
            self._loss_tracker.update_state(loss, sample_weight=batch_size)
            logs = self.compute_metrics(x, y, outputs, sample_weight)
        metric_state = [scope.get_current_value(v) for v in self.metrics_variables]
        new = (trainable, non_trainable, optimizer_state, metric_state)
        if not self.guarded:
            return logs, new

        gradients = gradients_to_check(self.optimizer, gradients)
        finite = all_finite([loss, gradients, self.inputs_that_count(x)])
        new = jax.tree.map(lambda n, old: ops.where(finite, n, old), new, state)
        with self._metrics_in(new[3]) as scope:
            logs = self.count_left_out(finite)
        metric_state = [scope.get_current_value(v) for v in self.metrics_variables]
        return logs, (*new[:3], metric_state)

    def _metrics_in(self, state):
        values = zip(self.metrics_variables, state, strict=True)
        return keras.StatelessScope(state_mapping=values)
