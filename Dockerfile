# syntax=docker/dockerfile:1
FROM python:3.12-slim AS builder
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE ./
COPY shardproxy ./shardproxy
# A build without compiled leaves works and is slower; an image must not be that by accident.
ENV SHARDPROXY_REQUIRE_COMPILED=1
RUN python -m pip wheel --no-cache-dir --wheel-dir /wheels .

FROM python:3.12-slim
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN --mount=type=bind,from=builder,source=/wheels,target=/wheels \
    python -m pip install --no-cache-dir --no-index --find-links /wheels shardproxy
RUN python -c "from shardproxy.compiled import pure_leaves; raise SystemExit(', '.join(pure_leaves()) or 0)"
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin shardproxy
USER 10001:10001
WORKDIR /
EXPOSE 6432 9187
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9187/healthz', timeout=2)"]
ENTRYPOINT ["shardproxy"]
CMD ["serve", "-c", "/etc/shardproxy/shardproxy.yaml"]
