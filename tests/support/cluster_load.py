"""Run in an app's container: asks the model all of the time, and writes how often each answer came."""

import collections
import http.client
import json
import os
import sys
import threading
import time

THREADS, BETWEEN_SECONDS = 8, 0.02

TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
BODY = json.dumps({"inputs": [TENSOR]})


def ask(address: str, until: float, answers: collections.Counter[str]) -> None:
    """Over one connection, for as long as it lasts."""
    connection = http.client.HTTPConnection(address, timeout=20)
    while time.monotonic() < until:
        try:
            connection.request("POST", "/v2/models/scale/infer", BODY, {"content-type": "application/json"})
            response = connection.getresponse()
            body = response.read()
            answers[_short(response.status, body)] += 1
        except (OSError, http.client.HTTPException) as error:
            answers[repr(error)] += 1
            connection.close()
        time.sleep(BETWEEN_SECONDS)


def _short(status: int, body: bytes) -> str:
    """The first element of what the model answered, or what went wrong."""
    return str(json.loads(body)["outputs"][0]["data"][0]) if status == 200 else f"{status}: {body[:200]!r}"


if __name__ == "__main__":
    ends = time.monotonic() + float(sys.argv[1])
    counted: collections.Counter[str] = collections.Counter()
    where = os.environ["INFERMESH_URL"].partition("//")[2]
    asking = [threading.Thread(target=ask, args=(where, ends, counted)) for _ in range(THREADS)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    print(json.dumps(counted))
