"""Building blocks of the cases of whole models: layers in JSON, and their weights."""

from conformance.catalogue.build import given


def layer(class_name, name, **config):
    """A layer in JSON."""
    return {"class_name": class_name, "config": {"name": name} | config}


def max_norm(**config):
    """A constraint in JSON."""
    return {"class_name": "MaxNorm", "config": config}


def model_of(model, weights):
    """The inputs of a case: the shape and the layers of a model, and its weights."""
    shape, layers = model
    return {"input_shape": list(shape), "layers": layers, "weights": [given(w) for w in weights]}
