"""Written by hand: FastAPI, orjson both ways, NumPy; what one would do who knows all the tricks."""

from __future__ import annotations

import orjson
from fastapi import FastAPI, Request, Response
from logistic import scores

app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Response:
    rows = orjson.loads(await request.body())["rows"]
    answer = orjson.dumps({"predictions": scores(rows)}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(answer, media_type="application/json")
