"""What a configuration says of ragged inputs: those whose shapes may differ between the requests of a batch.

They are laid end to end in one dimension, without their shapes, or padded to the largest of the batch.
"""

from infermesh.proto.inference.model_config_pb2 import ModelConfig

#: The parameter with the value to pad with, of every ragged input; with a dot and a name behind it, of one.
PADDING = "ragged_padding"


def padding_parameter(config: ModelConfig, name: str) -> str | None:
    """Return the parameter that says with what a ragged input is padded; None if it is not padded."""
    return next((key for key in (f"{PADDING}.{name}", PADDING) if key in config.parameters), None)


def end_to_end(config: ModelConfig) -> frozenset[str]:
    """Return the inputs whose requests are laid end to end: they have no rows."""
    return frozenset(
        tensor.name
        for tensor in config.input
        if tensor.allow_ragged_batch and padding_parameter(config, tensor.name) is None
    )


def without_rows(config: ModelConfig) -> frozenset[str]:
    """Return every input whose first dimension is not the batch's rows, those made for the batch included."""
    made = (target for entry in config.batch_input for target in entry.target_name)
    return end_to_end(config).union(made)


def divided_by_elements(config: ModelConfig) -> frozenset[str]:
    """Return the outputs that hold one request's share after another, in whatever shape."""
    flat = end_to_end(config)
    return frozenset(
        target
        for entry in config.batch_output
        if any(source in flat for source in entry.source_input)
        for target in entry.target_name
    )
