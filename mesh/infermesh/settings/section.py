"""What the models of a schema are made from."""

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic.fields import FieldInfo

from infermesh.remarks import Path


class Section(BaseModel):
    """A mapping with known fields; nothing is taken for something else, and an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What nobody said and has no default is left out, so that what is written can be read again."""
        fields = named_fields(type(self))
        given = {name for name, field in self._fields() if field in self.model_fields_set}
        return {
            name: value
            for name, value in inner(self).items()
            if value is not None and (name in given or fields[name].default is not None)
        }

    @classmethod
    def _fields(cls) -> Iterator[tuple[str, str]]:
        """What each field is called in a document, and here."""
        return ((field.alias or name, name) for name, field in cls.model_fields.items())


def named_fields(section: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields of a section by what they are called in a document."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def fields_at(root: type[BaseModel], path: Path) -> Mapping[str, FieldInfo]:
    """The fields that a schema has at a place; none if there is no section."""
    annotation: Any = root
    for step in path:
        annotation = _below(annotation, step)
    return named_fields(section) if (section := section_of(annotation)) else {}


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a field's type is, or may be; none if it may not."""
    return next(
        (it for it in alternatives(annotation) if isinstance(it, type) and issubclass(it, BaseModel)), None
    )


def alternatives(annotation: Any) -> Iterator[Any]:
    """The types that a type stands for: the members of a union, without what annotates them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from alternatives(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from alternatives(member)
    else:
        yield annotation


def _below(annotation: Any, step: str | int) -> Any:
    for it in alternatives(annotation):
        if get_origin(it) in (list, dict):
            return get_args(it)[-1]
        if isinstance(it, type) and issubclass(it, BaseModel) and step in (fields := named_fields(it)):
            return fields[str(step)].annotation
    return None
