# One image for the payment worker, the sink, the reconciliation agent and every `twofold` command.
FROM python:3.12.12-slim-bookworm

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
# The packages first: they change less often than the code.
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY twofold twofold
COPY streams streams
COPY schemas schemas
COPY sinks sinks
COPY connectors connectors
COPY infra infra
RUN pip install --no-deps --no-build-isolation .

RUN useradd --uid 10001 --create-home twofold && mkdir /data && chown twofold /data
USER twofold
VOLUME /data
ENTRYPOINT ["twofold"]
CMD ["--help"]
