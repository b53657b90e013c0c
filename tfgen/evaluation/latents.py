"""What the latents of a model tell of held-out sequences."""

from tfgen.models.latents import has_posterior, posterior_graph, posterior_of_windows


def score_latents(model, windows):
    """`{"latents": ...}`: what `Posterior.told` says, if the model has an encoder; else nothing.

    Args:
        model: A model.
        windows: Function that gives windows of `tfgen.data`, in order.
    """
    if not has_posterior(model):
        return {}
    posterior = posterior_of_windows(posterior_graph(model), windows())
    found = posterior.told(model.engine.space.latent_prior)
    nats = [round(float(each), 4) for each in found["rate_by_dimension"]]
    return {"latents": {**found, "rate_by_dimension": nats}}
