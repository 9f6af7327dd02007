"""``make quickstart``: two real models trained by jobs, hosted, and asked about unseen rows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.errors import Missing
from tidemill.sdk.connection import Connection, connect
from tidemill.sdk.endpoint import Endpoint, deploy
from tidemill.sdk.train import train

try:
    from sklearn.datasets import load_breast_cancer, load_digits
    from sklearn.metrics import normalized_mutual_info_score
except ImportError:
    raise Missing(
        "scikit-learn, whose data sets the quickstart uses",
        got=None,
        do="pip install 'tidemill[sklearn]'",
    ) from None

SEED = 7
HELD_OUT = 0.25
Split = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def main() -> None:
    """Start the platform if need be, train and deploy twice, print what came of it."""
    connection = connect()
    classifier = classify(connection)
    cluster(connection)
    go_on(connection, classifier)


def classify(connection: Connection) -> Endpoint:
    """Linear learner on the breast-cancer data: a binary classifier behind an endpoint."""
    say("1. linear-learner on 569 breast-cancer cases, a quarter held out")
    x, y, x_held, y_held = split(*load_breast_cancer(return_X_y=True))
    job = train(
        "linear-learner",
        (x, y),
        test=(x_held, y_held),
        predictor_type="binary_classifier",
        mini_batch_size=50,
        connection=connection,
    )
    endpoint = deploy(job.wait())
    right = endpoint.predict(x_held)["predicted_label"] == y_held
    say(f"   accuracy on {len(right)} held-out cases: {right.mean():.3f}")
    return endpoint


def cluster(connection: Connection) -> Endpoint:
    """k-means on the digits: ten clusters, compared with the digits that they never saw."""
    say("2. k-means on 1,797 images of digits, a quarter held out")
    x, _, x_held, digits = split(*load_digits(return_X_y=True))
    job = train("kmeans", x, test=x_held, k=10, epochs=10, connection=connection)
    endpoint = deploy(job.wait())
    clusters = endpoint.predict(x_held)["closest_cluster"]
    agreement = normalized_mutual_info_score(digits, clusters)
    say(f"   agreement of {len(digits)} held-out images' clusters with their digits: ", end="")
    say(f"{agreement:.3f} (normalized mutual information)")
    return endpoint


def go_on(connection: Connection, endpoint: Endpoint) -> None:
    """Lines to copy: the same endpoint through curl and through boto3."""
    row = ",".join(f"{v:g}" for v in load_breast_cancer().data[0])
    url = f"{connection.url}/endpoints/{endpoint.name}/invocations"
    say("\nThe platform goes on running. Ask the endpoint with curl:\n")
    print(f'  eval "$({_command()} env)"')
    print(f'  curl --aws-sigv4 "aws:amz:{connection.region}:sagemaker" \\')
    print('    --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" -H "Content-Type: text/csv" \\')
    print(f"    {url} \\\n    -d {row}")
    say("\nor with boto3, in the same shell:\n")
    print("  import boto3")
    print('  runtime = boto3.client("sagemaker-runtime")')
    print(f'  answer = runtime.invoke_endpoint(EndpointName="{endpoint.name}",')
    print(f'      ContentType="text/csv", Body="{row}")')
    print('  print(answer["Body"].read())')
    say(f"\nSee it all: {_command()} status, jobs, endpoints. Stop it: {_command()} down.")


def split(features: NDArray[Any], labels: NDArray[Any]) -> Split:
    """A seeded split: (train rows, train labels, held-out rows, held-out labels)."""
    order = np.random.Generator(np.random.Philox(SEED)).permutation(len(labels))
    cut = int(len(order) * HELD_OUT)
    held, kept = order[:cut], order[cut:]
    return features[kept], labels[kept], features[held], labels[held]


def _command() -> str:
    """How this shell can call the command line: by name, or in its virtual environment."""
    if shutil.which("tidemill"):
        return "tidemill"
    here = Path(sys.executable).parent / "tidemill"
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else str(here)


def say(text: str, end: str = "\n") -> None:
    """For people, in order with what is printed."""
    print(text, end=end, flush=True)


if __name__ == "__main__":
    main()
