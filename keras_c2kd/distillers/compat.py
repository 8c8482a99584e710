"""Small things that Keras leaves to a model with two models inside."""

import keras


def policy_of(*models):
    """float16 in either model needs loss scaling, which follows from the policy."""
    policies = [model.dtype_policy for model in reversed(models)]
    return next((p for p in policies if p.name == "mixed_float16"), policies[0])


def copies(metrics):
    """The same metrics with state of their own."""
    return metrics and [
        type(metric).from_config(metric.get_config())
        if isinstance(metric, keras.metrics.Metric)
        else metric
        for metric in metrics
    ]


def without_backend(config):
    """On torch, Keras writes optimizers under a name that no other backend can open."""
    if isinstance(config, dict):
        config = {name: without_backend(value) for name, value in config.items()}
        if str(config.get("module")).startswith("keras.src.backend.torch.optimizers"):
            config["module"] = "keras.optimizers"
    return config


def results(compiled_metrics):
    """Values by name; none where no metrics were asked for."""
    return {} if compiled_metrics is None else compiled_metrics.result()
