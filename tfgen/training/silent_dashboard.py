"""`SilentDashboard`: of a worker that writes nothing, since the first one does."""


class SilentDashboard:
    """Takes what a `Run` tells its `Dashboard`, and writes nothing."""

    def begin(self, step, hyperparameters):
        pass

    def graph(self, batch):
        pass

    def progress(
        self,
        step,
        loss,
        learning_rate,
        speed,
        waiting,
        gradient_norms,
        update_ratios,
        clip_norm,
        loss_scale=None,
    ):
        pass

    def validated(self, step, loss):
        pass

    def forecasts_validated(self, step, crps):
        pass

    def samples(self, step):
        pass

    def flush(self):
        pass

    def embeddings(self):
        pass

    def close(self, succeeded=False):
        pass
