# docker build -t kepipe .                                            (CPU)
# docker build -t kepipe --build-arg TORCH=cuda .                     (NVIDIA, CUDA 13; each file by its digest)
FROM python:3.11-slim-bookworm AS build
ARG TORCH=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/kepipe
WORKDIR /source
COPY constraints.txt constraints-torch.txt constraints-cuda.txt ./
RUN /opt/kepipe/bin/pip install --require-hashes --no-deps --requirement constraints.txt \
    && if [ "$TORCH" = cuda ]; then \
        /opt/kepipe/bin/pip install --require-hashes --no-deps --requirement constraints-cuda.txt; \
    else \
        /opt/kepipe/bin/pip install --constraint constraints-torch.txt --index-url "$TORCH_INDEX" torch; \
    fi
COPY pyproject.toml setup.py README.md LICENSE ./
COPY kepipe kepipe
COPY kg kg
COPY pipelines pipelines
COPY docs/example docs/example
RUN /opt/kepipe/bin/pip install --no-deps .

FROM python:3.11-slim-bookworm
# Debian keeps one version of a package: pinning it breaks the build at the next security fix.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 kepipe
COPY --from=build /opt/kepipe /opt/kepipe
ENV PATH=/opt/kepipe/bin:$PATH KEPIPE_WORKSPACE=/home/kepipe/workspace
USER 1000
WORKDIR /home/kepipe
ENTRYPOINT ["kepipe"]
CMD ["run", "quickstart"]
