# syntax=docker/dockerfile:1

# Builder and final image are both Debian 12, because the binary links the C library of the image that it is built on.
# A release names both by digest, as it resolved them: --build-arg BUILDER=rust:1.95-slim-bookworm@sha256:...
ARG BUILDER=rust:1.95-slim-bookworm
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILDER} AS build

# OpenSSL, zlib, zstd and librdkafka are built from source with the crates: perl and make for OpenSSL, a C and C++
# compiler for the rest. Nothing else comes from the system.
# Versions are not pinned: Debian's stable archive keeps only the newest one, so a pinned version soon fails to build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ gcc libc6-dev make perl \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /src
COPY . .

# The cache mounts keep the dependencies' objects between builds, so that a changed line of ours does not build OpenSSL
# again (minutes). cargo decides by modification times what is stale; copied files may bear older ones than what is in
# the cache, hence the touch: a stale binary is the one thing that an audit image must never ship.
# The binary is copied out, because a cache mount is not part of the layer.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find src crates -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --bin audit-relay \
    && strip -o /usr/local/bin/audit-relay target/release/audit-relay

# distroless "cc" rather than debian:bookworm-slim: libc, libm and libgcc are what the binary links, CA certificates are
# there for TLS to the brokers, and there is no shell, package manager or other program to look after.
# "nonroot" is user 65532.
FROM ${BASE}

# What the build knows and this file does not:
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" \
#     --build-arg CREATED="$(date --utc +%Y-%m-%dT%H:%M:%SZ)" --build-arg SOURCE="$(git remote get-url origin)" .
ARG BASE
ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="audit-relay" \
      org.opencontainers.image.description="Infrastructure state changes on Kafka to Activity Tracker audit events, exactly once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${BASE}"

# The OpenSSL inside the binary looks for certificates where OpenSSL installs itself (/usr/local/ssl), and librdkafka
# does not search further in this kind of build. Without this no broker's certificate would be trusted.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt

COPY --from=build /usr/local/bin/audit-relay /usr/local/bin/audit-relay

# By number: an orchestrator that insists on a user other than root cannot resolve a name.
USER 65532:65532

# /metrics, /livez and /readyz, when admin.listen says 0.0.0.0:9464. The default is 127.0.0.1: no log-in guards it.
EXPOSE 9464

# Health is for the orchestrator to ask over HTTP (livenessProbe /livez, readinessProbe /readyz). There is no HEALTHCHECK:
# it would need a program inside the image that speaks HTTP.

# The relay handles SIGTERM itself and starts no children, so it can be process 1. Give it longer to stop than
# shutdown.deadline_ms (20 s): Docker's own default is 10 s.
ENTRYPOINT ["/usr/local/bin/audit-relay"]
CMD ["run", "--config", "/etc/audit-relay/relay.toml"]
