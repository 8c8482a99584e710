"""One step of gradient descent with TensorFlow."""

import keras
import tensorflow as tf

from keras_c2kd.backend.finite import all_finite, gradients_to_check


def share_of_mean(value):
    """What a replica adds to a mean over the global batch, given its own mean."""
    return value / tf.distribute.get_strategy().num_replicas_in_sync


def mean_over_replicas(value):
    """Of a number that each replica has counted in its part of the batch."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return value
    return replica.all_reduce(tf.distribute.ReduceOp.MEAN, value)


class TensorFlowTrainStep:
    """`train_step` for a `keras.Model` whose algorithm is in `compute_loss`."""

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        others = [*self.non_trainable_variables, *self.metrics_variables]
        before = [tf.identity(v.value) for v in others] if self.guarded else []
        with tf.GradientTape() as tape:
            outputs = self(x, training=True)
            loss = self.compute_loss(x, y, outputs, sample_weight, training=True)
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        # `apply` undoes the scaling of the loss by itself.
        if not self.guarded:
            self.optimizer.apply(gradients, variables)

        # Under tf.distribute each replica holds its share of the mean over all.
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        batch_size = tf.shape(tf.nest.flatten(x)[0])[0]
        self._loss_tracker.update_state(loss * replicas, sample_weight=batch_size)
        logs = self.compute_metrics(x, y, outputs, sample_weight)
        if not self.guarded:
            return logs

        def take_it():
            self.optimizer.apply(gradients, variables)

        def leave_it_out():
            for variable, value in zip(others, before, strict=True):
                variable.assign(value)

        checked = gradients_to_check(self.optimizer, gradients)
        finite = all_finite([loss, checked, self.inputs_that_count(x)])
        tf.cond(finite, take_it, leave_it_out)
        return self.count_left_out(finite)
