"""Expressions: Python that leads from `model` to a layer or a weight, by public names only."""

import collections

import keras

from keras_norms.keras_internals import children_of, is_from_keras


def layer_expression(model, layer):
    """The expression for a layer of `model`; None if no public name leads to it."""
    expressions = {id(model): "model"}
    queue = collections.deque([model])
    while queue and id(layer) not in expressions:
        parent = queue.popleft()
        for child in children_of(parent):
            step = None if id(child) in expressions else _step(parent, child)
            if step is not None:
                expressions[id(child)] = expressions[id(parent)] + step
                queue.append(child)
    return expressions.get(id(layer))


def _step(parent, child):
    """What to append to the expression of a layer to reach one that it encloses directly."""
    if isinstance(parent, keras.Model):
        named = [each for each in parent.layers if each.name == child.name]
        if named and named[0] is child:  # of several with one name, `get_layer` gives the first
            return f'.get_layer("{child.name}")'
    for name in dir(parent):  # PyTorch's modules do not hold layers in `vars`
        if name.startswith("_") or hasattr(type(parent), name):
            continue
        value = getattr(parent, name)
        if value is child:
            return f".{name}"
        if isinstance(value, (list, tuple, dict)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in items:
                if each is child:
                    return f".{name}[{key!r}]"
    return _property_step(parent, child) if is_from_keras(parent) else None


def _property_step(parent, child):
    """A property of a layer of Keras that gives the child, such as `query_dense`."""
    for name in dir(type(parent)):
        if name.startswith("_") or not isinstance(getattr(type(parent), name), property):
            continue
        try:
            if getattr(parent, name) is child:
                return f".{name}"
        except Exception:  # some properties, such as `input`, raise on some layers
            continue
    return None


def variable_expression(weight):
    """The expression for the variable of a `Weight`."""
    model = weight.enclosing[0] if weight.enclosing else weight.layer
    layer = layer_expression(model, weight.layer)
    if layer is not None and weight.name is not None and not weight.name.startswith("_"):
        return f"{layer}.{weight.name}"
    return any_variable_expression(weight)


def any_variable_expression(weight):
    """The expression by the place in `model.variables`, which every variable has."""
    model = weight.enclosing[0] if weight.enclosing else weight.layer
    place = next(i for i, each in enumerate(model.variables) if each is weight.variable)
    return f"model.variables[{place}]"
