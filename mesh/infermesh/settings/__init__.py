"""Configuration in YAML: read with the line of every field, validated whole, described to people and editors.

``document`` reads a file and knows its lines. ``section`` is what the models of a schema are made from,
``forms`` are the types of their fields, ``values`` what is written in them: durations, sizes, shares,
addresses. ``validate`` turns a document into such a model, or into one sentence for each mistake.
``json_schema`` describes a schema to editors, ``reference`` to people. It all needs the extra ``settings``.
"""
