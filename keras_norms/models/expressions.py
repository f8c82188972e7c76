"""Expressions: Python that leads from `model` to a layer or a weight, by public names only."""

import collections
import json

import keras

from keras_norms.keras_internals import children_of, is_from_keras


def layer_expression(model, layer):
    """The expression for a layer of `model`; None if no public name leads to it."""
    expressions = {id(model): "model"}
    queue = collections.deque([model])
    while queue and id(layer) not in expressions:
        parent = queue.popleft()
        children = [each for each in children_of(parent) if id(each) not in expressions]
        steps = _steps(parent, children)
        for child in children:
            if id(child) in steps:
                expressions[id(child)] = expressions[id(parent)] + steps[id(child)]
                queue.append(child)
    return expressions.get(id(layer))


def _steps(parent, children):
    """What to append to a layer's expression to reach those that it encloses directly, by id.

    Each way is looked up once for all of them: a model may have a thousand layers.
    """
    steps: dict[int, str] = {}
    for find in (_by_layer_name, _by_attribute, _by_property):
        left = {id(child) for child in children} - set(steps)
        if left:
            steps |= {key: step for key, step in find(parent) if key in left}
    return steps


def _by_layer_name(parent):
    """Layers of a model by name. Of several with one name, `get_layer` gives the first."""
    if isinstance(parent, keras.Model):
        first = {each.name: each for each in reversed(parent.layers)}
        for name, each in first.items():
            yield id(each), f".get_layer({json.dumps(name)})"


def _by_attribute(parent):
    """What public attributes hold, and the lists and dicts in them; the first in order last."""
    for name in reversed(dir(parent)):  # PyTorch's modules do not hold layers in `vars`
        if name.startswith("_") or hasattr(type(parent), name):
            continue
        value = getattr(parent, name)
        if isinstance(value, (list, tuple, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in reversed(list(items)):
                yield id(each), f".{name}[{key!r}]"
        yield id(value), f".{name}"


def _by_property(parent):
    """What properties of a layer of Keras give, such as `query_dense`."""
    if not is_from_keras(parent):
        return
    for name in reversed(dir(type(parent))):
        if name.startswith("_") or not isinstance(getattr(type(parent), name), property):
            continue
        try:
            value = getattr(parent, name)
        except Exception:  # some properties, such as `input`, raise on some layers
            continue
        yield id(value), f".{name}"


def variable_expression(weight):
    """The expression for the variable of a `Weight`."""
    layer = layer_expression(weight.outermost, weight.layer)
    name = weight.name
    # Under LoRA, `kernel` is a sum, and no variable.
    is_there = name is not None and getattr(weight.layer, name, None) is weight.variable
    if layer is not None and is_there and not name.startswith("_"):
        return f"{layer}.{weight.name}"
    return any_variable_expression(weight)


def any_variable_expression(weight):
    """The expression by the place in `model.variables`, which every variable has."""
    variables = weight.outermost.variables
    place = next(i for i, each in enumerate(variables) if each is weight.variable)
    return f"model.variables[{place}]"
