# Spinforge on processors: the environment of requirements.lock, for Prefect's Docker work pool.
#
#   docker build -t spinforge:0.1.0 .
#   docker run --rm -v "$PWD/runs:/spinforge/runs" spinforge:0.1.0 \
#     spinforge study studies/quickstart.yaml
#
# For GPUs give another index of PyTorch's: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    DO_NOT_TRACK=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false

WORKDIR /spinforge

# PyTorch first, from its own index and in the locked version, so that it is not fetched again
# when our code changes.
COPY requirements.lock ./
RUN pip install --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.lock)"

COPY pyproject.toml README.md LICENSE ./
COPY simulation simulation
COPY datasets datasets
COPY models models
COPY evaluation evaluation
COPY flows flows
COPY src src
RUN pip install -c requirements.lock -e .
COPY studies studies
COPY prefect.yaml ./

# Nothing needs the rights of root; the folders that are mounted must be writable for this user.
RUN useradd --create-home spinforge && mkdir runs data && chown spinforge runs data
USER spinforge

# No ENTRYPOINT: Prefect's worker gives a whole command, `prefect flow-run execute`.
CMD ["spinforge", "--help"]
