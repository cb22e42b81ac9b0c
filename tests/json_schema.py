"""A validator for a JSON Schema, loaded when a test asks for it.

jsonschema compiles grammars when it is imported, which takes a second. Each worker of pytest-xdist
imports all tests, and only one or two of them run those that validate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


def validator_of(schema: dict[str, Any]) -> Draft202012Validator:
    """What checks documents by `schema`, which is itself a schema."""
    from jsonschema import Draft202012Validator

    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
