"""An inference's answer over HTTP, as the message that gRPC has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infermesh.proto.inference import grpc_service_pb2 as pb

from infermesh_perf.target.tensors import to_raw
from infermesh_perf.target.values import from_values

#: Says, both ways, where the JSON ends and tensors begin.
HEADER_LENGTH = "inference-header-content-length"


def parse_answer(headers: Mapping[str, str], body: bytes) -> pb.ModelInferResponse:
    """The message, with raw contents for every output; empty for one that lies in shared memory.

    Raises ValueError, KeyError or TypeError if the body is no answer.
    """
    length = int(headers.get(HEADER_LENGTH, len(body)))
    header: Any = json.loads(body[:length])
    answer = pb.ModelInferResponse(
        model_name=header["model_name"],
        model_version=header.get("model_version") or "",
        id=header.get("id") or "",
    )
    at = length
    for output in header["outputs"]:
        name, datatype, shape = output["name"], output["datatype"], output["shape"]
        answer.outputs.add(name=name, datatype=datatype, shape=shape)
        size = (output.get("parameters") or {}).get("binary_data_size")
        if size is not None:
            if at + size > len(body):
                raise ValueError(f"output {name!r} is cut off")
            raw = body[at : at + size]
            at += size
        elif "data" in output:
            raw = to_raw(from_values(output["data"], datatype))
        else:
            raw = b""
        answer.raw_output_contents.append(raw)
    return answer
