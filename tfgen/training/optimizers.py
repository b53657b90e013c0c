"""The optimizers that a recipe names."""

import keras


def make_optimizer(config):
    """Returns the Keras optimizer of a `TrainingConfig`.

    The learning rate warms up linearly and then decays as a cosine; biases and the gains of
    normalisations have no weight decay.
    """
    decay_steps = max(config.steps - config.warmup_steps, 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if config.warmup_steps else config.learning_rate,
        decay_steps=decay_steps,
        alpha=config.final_learning_rate / config.learning_rate,
        warmup_target=config.learning_rate if config.warmup_steps else None,
        warmup_steps=config.warmup_steps,
    )
    common = {
        "learning_rate": schedule,
        "weight_decay": config.weight_decay,
        "global_clipnorm": config.clip_norm or None,
        "use_ema": bool(config.ema),
        "ema_momentum": config.ema or 0.99,
    }
    if config.optimizer == "muon":
        # Keras scales Muon's update to the size of AdamW's (arXiv:2502.16982), so that both take
        # the same learning rates; embeddings, also of conditions, and what is no matrix inside the
        # network are left to AdamW.
        optimizer = keras.optimizers.Muon(
            adam_beta_2=config.beta_2,
            adam_weight_decay=config.weight_decay,
            exclude_layers=["head", "conv_kernel", "condition/"],
            **common,
        )
    else:
        optimizer = keras.optimizers.AdamW(beta_2=config.beta_2, **common)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "scale"])
    return optimizer
