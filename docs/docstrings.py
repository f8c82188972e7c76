"""The site's extension of griffe, which reads our docstrings and classes without importing them."""

import re

import griffe

EXAMPLE = re.compile(r"^Example:\n", re.MULTILINE)
DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
# Markdown wants an empty line before a list.
LIST = re.compile(r"^(?!- |  ).+\n(?=- )", re.MULTILINE)
# Which argument of the function that makes a field is the field's default.
DEFAULTS = {"parameter": 1, "factor": 0}


class DocstringsForTheSite(griffe.Extension):
    """Doctests become code blocks, and a class is called with the arguments that its fields say."""

    def on_object(self, *, obj, **arguments):
        """Rewrite the docstring of a module, class or function as Markdown."""
        if obj.docstring:
            text = EXAMPLE.sub("**Example**\n\n", obj.docstring.value)
            text = DOCTEST.sub(r"```pycon\n\g<0>\n```", text)
            obj.docstring.value = LIST.sub(r"\g<0>\n", text)

    def on_attribute_instance(self, *, attr, **arguments):
        """A field's value is its default: 2 for `parameter(positive, 2)`."""
        call = attr.value
        if isinstance(call, griffe.ExprCall) and call.canonical_name in DEFAULTS:
            given = call.arguments[DEFAULTS[call.canonical_name] :]
            plain = [each for each in given if not isinstance(each, griffe.ExprKeyword)]
            attr.value = plain[0] if plain else None

    def on_class_members(self, *, cls, **arguments):
        """`Chain` and `Sum` are called with any number of what their field holds."""
        if any("init=False" in str(decorator.value) for decorator in cls.decorators):
            (field,) = [m for m in cls.members.values() if m.is_attribute and m.annotation]
            kinds = griffe.ParameterKind
            own = griffe.Parameter("self", kind=kinds.positional_or_keyword)
            several = griffe.Parameter(field.name, annotation="Any", kind=kinds.var_positional)
            init = griffe.Function("__init__", parameters=griffe.Parameters(own, several))
            cls.set_member("__init__", init)
