"""Configuration of Filebeat: it reads the log where it is written, a JSON object a line."""

from infermesh.deploy.observability.rule import Object
from infermesh.description.read import Description

#: Where the log lies outside of Kubernetes; a variable of Filebeat's environment says otherwise.
PATHS = "${INFERMESH_LOGS:/var/log/infermesh/*.log}"
LOGSTASH = "${LOGSTASH_HOSTS:logstash:5044}"

_INPUT = {
    "type": "filestream",
    "id": "infermesh",
    # Files are told apart by how they begin. Unless it is said, that takes 1 KiB, which a quiet process is
    # long in writing.
    "file_identity": {"fingerprint": None},
    "prospector": {"scanner": {"fingerprint": {"enabled": True, "length": 256}, "symlinks": True}},
}

_PARSE = {
    "ndjson": {
        # Fields of ours take the place of what Filebeat would say, the time among them.
        "target": "",
        "overwrite_keys": True,
        "expand_keys": True,
        # Apps write what they like, as may whoever crashes.
        "ignore_decoding_error": True,
    }
}


def configuration(description: Description, namespace: str | None = None) -> Object:
    """Of one that runs on each node of a cluster, or, without a namespace, beside files."""
    return {
        "filebeat.inputs": [_pods(description, namespace) if namespace else _files()],
        # Templates are put there once, and not by whoever comes first.
        "setup.template.enabled": False,
        "setup.ilm.enabled": False,
        "output.logstash": {"hosts": [LOGSTASH]},
    }


def _files() -> Object:
    return {**_INPUT, "paths": [PATHS], "parsers": [_PARSE]}


def _pods(description: Description, namespace: str) -> Object:
    return {
        **_INPUT,
        # POD_NAMESPACE_CONTAINER-ID.log, where a Pod's name begins with its workload's.
        "paths": [f"/var/log/containers/{name}-*_{namespace}_*.log" for name in description.workloads],
        "parsers": [{"container": {"stream": "stdout"}}, _PARSE],
        "processors": [
            {
                "add_kubernetes_metadata": {
                    "host": "${NODE_NAME}",
                    "matchers": [{"logs_path": {"logs_path": "/var/log/containers/"}}],
                }
            }
        ],
    }
