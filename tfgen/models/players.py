"""`Players`: an optimizer for a generator and one for its critic, as one."""

import keras
import tensorflow as tf

CRITIC = "critic/"  # what the paths of its weights begin with


@keras.saving.register_keras_serializable(package="tfgen")
class Players(keras.optimizers.Optimizer):
    """Updates the weights of a critic at each step, and all others at every few of them.

    Each of the two has its own state, and clips its gradients apart from the other's. A learning
    rate that is a schedule goes by the steps of the critic in both.

    Args:
        critic: A Keras optimizer, of the critic's weights.
        generator: Another one, of the others'.
        critic_steps: Steps of the critic for one of the generator.
        name: As in Keras.
    """

    def __init__(self, critic, generator, critic_steps=1, name=None):
        super().__init__(learning_rate=0.0, name=name)
        self.critic, self.generator, self.critic_steps = critic, generator, critic_steps

    @classmethod
    def of(cls, make, critic_steps):
        """Returns players with an optimizer each.

        Args:
            make: Function of nothing that gives an optimizer, which is not built: a new one each
                time. The average that it keeps of weights, if any, is of the generator's alone.
            critic_steps: As above.
        """
        critic, generator = make(), make()
        critic.use_ema = False
        schedule = generator.get_config().get("learning_rate")
        if critic_steps > 1 and isinstance(schedule, dict):
            schedule = keras.saving.deserialize_keras_object(schedule)
            generator.learning_rate = Every(schedule, critic_steps)
        return cls(critic, generator, critic_steps)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        for optimizer, _, own in self._sides(variables, variables):
            optimizer.build(own)

    @property
    def variables(self):
        return [*self._variables, *self.critic.variables, *self.generator.variables]

    @property
    def learning_rate(self):
        return self.critic.learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self.critic.learning_rate = self.generator.learning_rate = value

    def apply(self, grads, trainable_variables=None):
        variables = trainable_variables or self._trainable_variables
        self.build(variables)
        for optimizer, gradients, own in self._sides(grads, variables):
            if not own:
                continue
            if optimizer is self.critic or self.critic_steps == 1:
                optimizer.apply(gradients, own)
                continue
            due = tf.equal((self.iterations.value + 1) % self.critic_steps, 0)
            keras.ops.cond(due, lambda o=optimizer, g=gradients, v=own: o.apply(g, v), lambda: None)
        self._iterations.assign_add(1)

    def finalize_variable_values(self, var_list):
        for optimizer, _, own in self._sides(var_list, var_list):
            if own:
                optimizer.finalize_variable_values(own)

    def _sides(self, values, variables):
        """`(optimizer, its values, its variables)` of either player."""
        pairs = list(zip(values, variables, strict=True))
        for optimizer in (self.critic, self.generator):
            own = [
                pair for pair in pairs
                if pair[1].path.startswith(CRITIC) == (optimizer is self.critic)
            ]  # fmt: skip
            yield optimizer, [value for value, _ in own], [variable for _, variable in own]

    def get_config(self):
        return {
            "name": self.name,
            "critic": keras.saving.serialize_keras_object(self.critic),
            "generator": keras.saving.serialize_keras_object(self.generator),
            "critic_steps": self.critic_steps,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("critic", "generator")
        }
        return cls(**{**config, **parts})


@keras.saving.register_keras_serializable(package="tfgen")
class Every(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate by the steps of a whole, of an optimizer that takes one of so many.

    Args:
        schedule: A schedule by the steps of the whole.
        steps: How many of them there are for one of the optimizer's.
    """

    def __init__(self, schedule, steps):
        super().__init__()
        self.schedule, self.steps = schedule, steps

    def __call__(self, step):
        return self.schedule(step * self.steps)

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "steps": self.steps}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        schedule = keras.saving.deserialize_keras_object(config["schedule"], custom_objects)
        return cls(schedule, config["steps"])
