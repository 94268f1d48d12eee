"""Sources of model.py for the server's python backend."""

#: Answers its input. Before that it reports the batch to the test's gate, and waits there to be let through.
GATED = """
import json
import os


class Model:
    inputs = {"x": ("INT32", [-1])}
    outputs = {"y": ("INT32", [-1])}
    max_batch_size = 8

    def __init__(self, context):
        folder = context.parameters["gate"]
        self.instance = context.instance
        self.entered = os.open(os.path.join(folder, "entered"), os.O_RDWR)
        self.go = os.open(os.path.join(folder, "go"), os.O_RDWR)

    def infer(self, batch):
        rows = batch["x"].tolist()
        os.write(self.entered, json.dumps({"instance": self.instance, "rows": rows}).encode() + b"\\n")
        os.read(self.go, 1)
        return {"y": batch["x"]}

    def close(self):
        os.close(self.entered)
        os.close(self.go)
"""

#: Does what the first element of a row asks for: 0 answers, anything else goes wrong in its own way.
MOODY = """
import numpy as np


class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("INT32", [1])}
    max_batch_size = 1

    def infer(self, batch):
        match int(batch["x"][0, 0]):
            case 1:
                raise ValueError("seven is no answer")
            case 2:
                return {"y": np.zeros((2, 1), np.int32)}
            case 3:
                return {"y": np.zeros((1, 1), np.float64)}
            case 4:
                return {"z": batch["x"]}
            case 5:
                return [batch["x"]]
            case 6:
                return {"y": [[0]]}
            case _:
                return {"y": batch["x"]}
"""

#: The input, and its negative.
TWO_OUTPUTS = """
class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("INT32", [1]), "z": ("INT32", [1])}
    max_batch_size = 8

    def infer(self, batch):
        return {"y": batch["x"], "z": -batch["x"]}
"""

#: Answers its input, and logs each row.
TALKATIVE = """
import logging

log = logging.getLogger("mine")


class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("INT32", [1])}
    max_batch_size = 8

    def infer(self, batch):
        log.info("rows: %s", batch["x"].ravel().tolist(), extra={"ecs": {"event.action": "mine"}})
        return {"y": batch["x"]}
"""

#: One row in, text out: the reverse of it.
REVERSE = """
import numpy as np


class Model:
    inputs = {"x": ("BYTES", [1])}
    outputs = {"y": ("BYTES", [1])}
    max_batch_size = 8

    def infer(self, batch):
        return {"y": np.array([[row[0][::-1]] for row in batch["x"]], dtype=object)}
"""

#: Decoupled: an answer for each element of its row, until one is negative: -1 raises, -2 has the wrong
#: shape, -3 is no dict.
EACH = """
import numpy as np


class Model:
    inputs = {"x": ("INT32", [-1])}
    outputs = {"y": ("INT32", [1])}
    max_batch_size = 8
    decoupled = True

    def infer(self, batch):
        for column in batch["x"].T:
            match int(column[0]):
                case -1:
                    raise ValueError("seven is no answer")
                case -2:
                    yield {"y": np.zeros((1, 2), np.int32)}
                case -3:
                    yield [column]
                case _:
                    yield {"y": column.reshape(-1, 1)}
"""

#: Decoupled: counts without end, each number when the test's gate lets it. Reports each, and -1 when it is
#: told to stop.
ENDLESS = """
import itertools
import json
import os

import numpy as np


class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("INT32", [1])}
    decoupled = True

    def __init__(self, context):
        folder = context.parameters["gate"]
        self.instance = context.instance
        self.entered = os.open(os.path.join(folder, "entered"), os.O_RDWR)
        self.go = os.open(os.path.join(folder, "go"), os.O_RDWR)

    def report(self, number):
        os.write(self.entered, json.dumps({"instance": self.instance, "rows": [[number]]}).encode() + b"\\n")

    def infer(self, batch):
        try:
            for number in itertools.count():
                self.report(number)
                os.read(self.go, 1)
                yield {"y": np.array([number], np.int32)}
        finally:
            self.report(-1)
"""

#: Answers its input, until a 9 comes: then its device is lost, it says.
FRAGILE = """
from infermesh_servers.model import FatalError


class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("INT32", [1])}
    max_batch_size = 8

    def infer(self, batch):
        if 9 in batch["x"]:
            raise FatalError("the device is lost")
        return {"y": batch["x"]}
"""

#: Says how many rows each batch had.
COUNTING = """
import numpy as np


class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("INT32", [1]), "rows": ("INT32", [1])}
    max_batch_size = 8

    def infer(self, batch):
        return {"y": batch["x"], "rows": np.full_like(batch["x"], len(batch["x"]))}
"""

#: Answers the name of the sequence, and keeps its text in the server: what came before, and this.
NAMED = """
import numpy as np


class Model:
    def infer(self, batch):
        text = np.array([[was + now] for (was,), (now,) in zip(batch["was"], batch["x"])], dtype=object)
        return {"name": batch["ID"], "text": text}
"""

#: Adds up what each sequence sends, by its id, and reports each batch to the test's gate. -1 raises.
TALLY = """
import json
import os

import numpy as np


class Model:
    def __init__(self, context):
        self.sums = {}
        self.instance = context.instance
        folder = context.parameters.get("gate")
        self.entered = folder and os.open(os.path.join(folder, "entered"), os.O_RDWR)
        self.go = folder and os.open(os.path.join(folder, "go"), os.O_RDWR)

    def infer(self, batch):
        rows = np.hstack([batch["ID"].astype(np.int32), batch["x"], batch["READY"]]).tolist()
        if self.entered:
            os.write(self.entered, json.dumps({"instance": self.instance, "rows": rows}).encode() + b"\\n")
            os.read(self.go, 1)
        if (batch["x"] < 0).any():
            raise ValueError("seven is no answer")
        sums = np.zeros_like(batch["x"])
        for row in np.flatnonzero(batch["READY"]):
            of = int(batch["ID"][row, 0])
            if batch["START"][row, 0]:
                self.sums[of] = 0
            self.sums[of] += int(batch["x"][row, 0])
            sums[row] = self.sums[of]
            if batch["END"][row, 0]:
                del self.sums[of]
        return {"sum": sums}
"""

#: Takes as long for every batch, one row each, as its configuration says.
STEADY = """
import time


class Model:
    inputs = {"x": ("INT32", [1])}
    outputs = {"y": ("INT32", [1])}
    max_batch_size = 1

    def __init__(self, context):
        self.seconds = float(context.parameters["seconds"])

    def infer(self, batch):
        time.sleep(self.seconds)
        return {"y": batch["x"]}
"""

#: Answers whichever input comes first, and reports all of the batch to the test's gate.
SEEN = """
import json
import os


class Model:
    def __init__(self, context):
        folder = context.parameters["gate"]
        self.entered = os.open(os.path.join(folder, "entered"), os.O_RDWR)
        self.go = os.open(os.path.join(folder, "go"), os.O_RDWR)

    def infer(self, batch):
        rows = {name: array.tolist() for name, array in batch.items()}
        os.write(self.entered, json.dumps({"instance": 0, "rows": rows}).encode() + b"\\n")
        os.read(self.go, 1)
        return {"y": next(iter(batch.values()))}
"""
