"""Text that has a form: names, paths, methods."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from infermesh.settings.forms import Form, Text

#: Of whatever has a name of its own elsewhere.
Name = Annotated[str, Field(min_length=1)]

#: As a host name may have it, since a service is found by it.
ServiceName = Annotated[str, Text("name", r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", "fraud")]

HttpPath = Annotated[str, Text("path", r"/.*", "/healthz")]

Method = Annotated[str, Text("method", r"[A-Z]+", "POST")]

#: Of a Python module, for what fields cannot say.
Function = Annotated[str, Text("function", r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", "package.module:function")]


def _digits(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


#: Of a model: a number, or a label.
Version = Annotated[
    str,
    Field(min_length=1),
    BeforeValidator(_digits),
    Form("version", {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}),
]
