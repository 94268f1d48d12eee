"""Fields of the log, and how Elasticsearch keeps them.

A new field in a log record belongs here; what is not here is kept as it came, and cannot be searched for.
"""

#: Is found as a whole, and counted.
KEYWORD = "keyword"
#: Is found by its words, and takes no more space than that.
TEXT = "match_only_text"
#: A whole number: a count, bytes, nanoseconds.
LONG = "long"

#: ECS' own names, as ECS has them.
ECS = {
    "@timestamp": "date",
    "client.address": KEYWORD,
    "client.user.id": KEYWORD,
    "dns.question.name": KEYWORD,
    "ecs.version": KEYWORD,
    "error.message": TEXT,
    "error.stack_trace": "wildcard",
    "error.type": KEYWORD,
    "event.action": KEYWORD,
    "event.duration": LONG,
    "event.outcome": KEYWORD,
    "file.path": KEYWORD,
    "http.request.body.bytes": LONG,
    "http.request.method": KEYWORD,
    "http.response.body.bytes": LONG,
    "http.response.status_code": LONG,
    "log.level": KEYWORD,
    "log.logger": KEYWORD,
    "message": TEXT,
    "network.protocol": KEYWORD,
    "observer.ingress.interface.name": KEYWORD,
    "server.address": KEYWORD,
    "server.port": LONG,
    "service.name": KEYWORD,
    "service.target.address": KEYWORD,
    "service.target.name": KEYWORD,
    "service.version": KEYWORD,
    "span.id": KEYWORD,
    "tls.server.not_after": "date",
    "trace.id": KEYWORD,
    "url.path": "wildcard",
}

#: OpenTelemetry's, where ECS has none, and our own.
OTHERS = {
    "infermesh.attempts": LONG,
    "infermesh.capture.lost": LONG,
    "infermesh.cluster": KEYWORD,
    "infermesh.error.source": KEYWORD,
    "infermesh.listener": KEYWORD,
    "infermesh.log.skipped": LONG,
    "infermesh.log.withheld": LONG,
    "infermesh.model.backend": KEYWORD,
    "infermesh.model.instances": LONG,
    "infermesh.model.labels": KEYWORD,
    "infermesh.model.max_batch_size": LONG,
    "infermesh.model.name": KEYWORD,
    "infermesh.model.version": KEYWORD,
    "infermesh.repository": KEYWORD,
    "infermesh.request.id": KEYWORD,
    "infermesh.route": KEYWORD,
    "infermesh.rule.name": KEYWORD,
    "rpc.grpc.status_code": LONG,
    "rpc.method": KEYWORD,
    "rpc.service": KEYWORD,
    "rpc.system": KEYWORD,
    "trace.ids": KEYWORD,
}

#: What Filebeat adds of where a record was found, as far as one looks for it.
SHIPPERS = {
    "data_stream.dataset": "constant_keyword",
    "data_stream.namespace": "constant_keyword",
    "data_stream.type": "constant_keyword",
    "host.name": KEYWORD,
    "kubernetes.container.name": KEYWORD,
    "kubernetes.namespace": KEYWORD,
    "kubernetes.node.name": KEYWORD,
    "kubernetes.pod.name": KEYWORD,
    "log.file.path": KEYWORD,
}

FIELDS = {**ECS, **OTHERS}
