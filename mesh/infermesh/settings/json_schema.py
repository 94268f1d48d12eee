"""Describes a schema to editors: https://json-schema.org, draft 2020-12."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import SchemaSerializer, core_schema


class _Generator(GenerateJsonSchema):
    """Defaults as they are written, and no titles that only say the name again."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Show a default in the form in which it is read: ``16MiB``, not 16777216."""
        described = super().default_schema(schema)
        default = schema.get("default")
        if "default" in described and not isinstance(default, BaseModel | None | list | dict):
            described["default"] = SchemaSerializer(schema["schema"]).to_python(default)
        return described

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature of the base
        """Never."""
        return False


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The whole schema of a document."""
    described = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described}
