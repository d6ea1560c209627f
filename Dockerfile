# nearfar in a container. The base decides what it computes on: for a GPU, an image with NVIDIA's driver libraries, such as
#   docker build --build-arg BASE=nvidia/cuda:13.0.0-runtime-ubuntu24.04 -t nearfar .
# torch brings its own CUDA. No engine for containers was at hand: this file has not been built.
ARG BASE=python:3.13-slim
FROM ${BASE}

# Bases without a Python get the system's; every base gets an environment of its own.
RUN if ! command -v python3 >/dev/null || ! python3 -c "import venv, ensurepip" 2>/dev/null; then \
      apt-get update -qq \
      && apt-get install -y -qq --no-install-recommends python3 python3-venv \
      && rm -rf /var/lib/apt/lists/*; \
    fi

WORKDIR /nearfar
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
ARG EXTRAS=parquet,series,sweeps
RUN python3 -m venv /opt/nearfar \
    && /opt/nearfar/bin/pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"
ENV PATH=/opt/nearfar/bin:$PATH

# Runs and data are mounted here: docker run --rm -v "$PWD:/work" nearfar train pictures --out runs/pictures
WORKDIR /work
ENTRYPOINT ["nearfar"]
CMD ["--help"]
