# Two images of martsync. Both run as user 65532 on a root file system that may be read-only; what they write goes to
# /var/lib/martsync (where they begin, so martsync.yaml is looked for there) and /tmp. docs/places/container.md
#
#   docker build --target slim -t martsync:slim .     files and Snowflake; nothing but the program
#   docker build --target full -t martsync .          DuckDB as well, on Debian's C library
#
# --build-arg VERSION=1.2.3 is what `martsync version` says.

ARG GO_IMAGE=docker.io/library/golang:1.26.8-bookworm
ARG GLIBC_IMAGE=gcr.io/distroless/cc-debian12:nonroot

# Without cgo the compiler of this machine serves all architectures.
FROM --platform=${BUILDPLATFORM} ${GO_IMAGE} AS build-slim
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION
ENV GOCACHE=${GOCACHE:-/var/cache/go-build}
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/var/cache/go-build \
    CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false -tags minicore_disabled -ldflags "-s -w -buildid= -X main.version=${VERSION}" \
    -o /image/usr/bin/martsync ./cmd/martsync
# COPY --from takes along the modes of folders in what is copied, not their owners: --chown gives the one that is written to.
RUN mkdir -p /image/etc/ssl/certs /image/var/lib /image/tmp /owned/martsync && chmod 1777 /image/tmp && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/

# With cgo the compiler of the architecture is needed: another one than this machine's is emulated.
FROM ${GO_IMAGE} AS build-full
ARG VERSION
ENV GOCACHE=${GOCACHE:-/var/cache/go-build}
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/var/cache/go-build \
    CGO_ENABLED=1 \
    go build -trimpath -buildvcs=false -tags minicore_disabled -ldflags "-s -w -buildid= -X main.version=${VERSION}" \
    -o /image/usr/bin/martsync ./cmd/martsync
RUN mkdir -p /owned/martsync

# Certificates from the build image; the program has the time zones in it.
FROM scratch AS slim
COPY --from=build-slim /image/ /
COPY --from=build-slim --chown=65532:65532 /owned/ /var/lib/
ENV HOME=/var/lib/martsync
ENV PATH=/usr/bin
WORKDIR /var/lib/martsync
VOLUME /var/lib/martsync
USER 65532:65532
LABEL org.opencontainers.image.title="martsync" \
      org.opencontainers.image.description="Moves marketing data into a data mart; without DuckDB" \
      org.opencontainers.image.source="https://github.com/martsync/martsync" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/usr/bin/martsync"]
CMD ["--help"]

# The C and C++ libraries, certificates and time zones are those of the base; it has neither a shell nor a package manager.
FROM ${GLIBC_IMAGE} AS full
COPY --from=build-full /image/ /
COPY --from=build-full --chown=65532:65532 /owned/ /var/lib/
ENV HOME=/var/lib/martsync
WORKDIR /var/lib/martsync
VOLUME /var/lib/martsync
USER 65532:65532
LABEL org.opencontainers.image.title="martsync" \
      org.opencontainers.image.description="Moves marketing data into a data mart; with DuckDB" \
      org.opencontainers.image.source="https://github.com/martsync/martsync" \
      org.opencontainers.image.licenses="Apache-2.0"
ENTRYPOINT ["/usr/bin/martsync"]
CMD ["--help"]
