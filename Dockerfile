# One image for every process of Nexus: `nexus run ticket|seatmap|checkout|gateway|...`, `nexus cluster ...`.
# `--target test` adds the test suite, the charts, kubectl, helm and grpcurl. `make images` builds both.
#
# Everything from a registry of packages is checked against the hashes in requirements/ (Go: its own checksum
# database). Layers go from what changes least to the code itself, so that a changed line rebuilds in seconds.

ARG BASE=docker.io/library/python:3.11-slim
ARG HELM_VERSION=v3.19.5
ARG GRPCURL_VERSION=v1.9.4

# --- dependencies: a virtual environment without pip -------------------------------------------------
FROM ${BASE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv --without-pip /opt/nexus
COPY requirements/runtime.txt /build/
# Compiled here, because nothing can be written where it runs; unchecked, because nothing changes there either.
RUN python3 -m pip --python /opt/nexus/bin/python3 install --quiet --require-hashes --no-deps --no-compile \
      --only-binary :all: -r /build/runtime.txt \
 && /opt/nexus/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/nexus/lib

# --- package: the code itself, in a folder of its own ------------------------------------------------
FROM ${BASE} AS package
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/build.txt /build/
RUN python3 -m venv --without-pip /opt/nexus \
 && python3 -m pip --python /opt/nexus/bin/python3 install --quiet --require-hashes -r /build/build.txt
WORKDIR /build/nexus
COPY pyproject.toml README.md LICENSE ./
COPY services services
COPY simulators simulators
# The interpreter is that of the final image's environment: the `nexus` script names it in its first line.
RUN python3 -m pip --python /opt/nexus/bin/python3 install --quiet --no-deps --no-index --no-build-isolation \
      --no-compile --target /app . \
 && /opt/nexus/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /app

# --- tools: what the test image needs and no Python package brings for amd64 and arm64 ------------------
FROM ${BASE} AS tools
ARG HELM_VERSION
ARG GRPCURL_VERSION
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/tools.txt /build/
RUN python3 -m venv --without-pip /opt/go \
 && python3 -m pip --python /opt/go/bin/python3 install --quiet --require-hashes -r /build/tools.txt
# helm has no official package of its own in PyPI, npm or Debian; its Go module is what its authors publish.
RUN export PATH="/opt/go/bin:$PATH" CGO_ENABLED=0 GOBIN=/tools GOPATH=/tmp/go GOCACHE=/tmp/gocache GOTOOLCHAIN=local \
 && go install -trimpath -ldflags "-s -w" "github.com/fullstorydev/grpcurl/cmd/grpcurl@${GRPCURL_VERSION}" \
 && go install -trimpath -ldflags "-s -w -X helm.sh/helm/v3/internal/version.version=${HELM_VERSION}" \
      "helm.sh/helm/v3/cmd/helm@${HELM_VERSION}" \
 && rm -rf /tmp/go /tmp/gocache

# --- bill: what is in the image, read from the very folders that go into it --------------------------------
FROM ${BASE} AS bill
ARG VERSION=0.0.0
COPY .ci/sbom.py /build/
COPY --from=dependencies /opt/nexus /opt/nexus
RUN python3 -I /build/sbom.py nexus "${VERSION}" /opt/nexus/lib/python3.*/site-packages >/build/sbom.cdx.json

# --- nexus: what runs ----------------------------------------------------------------------------------
FROM ${BASE} AS nexus
LABEL org.opencontainers.image.title="nexus" \
      org.opencontainers.image.description="A booking engine for reserved seats that never sells a seat twice" \
      org.opencontainers.image.licenses="Apache-2.0"
# Unbuffered, so that the last line of a process that dies is in its log; /tmp is all that may be written.
ENV PATH=/app/bin:/opt/nexus/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NEXUS_HOME=/tmp/nexus \
    NEXUS_HOST=0.0.0.0
COPY --from=dependencies /opt/nexus /opt/nexus
COPY --from=package /app /app
COPY --from=bill /build/sbom.cdx.json /usr/share/nexus/sbom.cdx.json
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /tmp
USER 65532:65532
# No shell in between: SIGTERM reaches the process that drains.
ENTRYPOINT ["nexus"]

# --- test dependencies -----------------------------------------------------------------------------------
FROM ${BASE} AS test-dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv --without-pip /opt/nexus
COPY requirements/test.txt /build/
RUN python3 -m pip --python /opt/nexus/bin/python3 install --quiet --require-hashes --no-deps --no-compile \
      --only-binary :all: -r /build/test.txt \
 && /opt/nexus/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/nexus/lib

# --- test bill ------------------------------------------------------------------------------------------
FROM ${BASE} AS test-bill
ARG HELM_VERSION
ARG GRPCURL_VERSION
ARG VERSION=0.0.0
COPY .ci/sbom.py /build/
COPY --from=test-dependencies /opt/nexus /opt/nexus
RUN python3 -I /build/sbom.py nexus-test "${VERSION}" /opt/nexus/lib/python3.*/site-packages \
      "helm.sh/helm/v3@${HELM_VERSION}" "github.com/fullstorydev/grpcurl@${GRPCURL_VERSION}" >/build/sbom.cdx.json

# --- test: the same, with the test suite -----------------------------------------------------------------
FROM ${BASE} AS test
LABEL org.opencontainers.image.title="nexus-test" \
      org.opencontainers.image.description="Nexus with its test suite, charts, kubectl, helm and grpcurl" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/app/bin:/opt/nexus/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    NEXUS_HOME=/tmp/nexus \
    NEXUS_HOST=0.0.0.0
COPY --from=test-dependencies /opt/nexus /opt/nexus
COPY --from=tools /tools /usr/local/bin
COPY --from=package /app /app
COPY --from=test-bill /build/sbom.cdx.json /usr/share/nexus/sbom.cdx.json
WORKDIR /nexus
COPY Makefile pyproject.toml README.md CHANGELOG.md LICENSE buf.yaml Dockerfile ./
COPY .ci .ci
COPY requirements requirements
COPY proto proto
COPY docs docs
COPY examples examples
COPY charts charts
COPY simulators simulators
COPY services services
COPY tests tests
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 65532:65532
# Given a kubeconfig (mounted, in KUBECONFIG): the cluster tests; any other command in its place.
CMD ["python3", "-m", "pytest", "-p", "no:cacheprovider", "tests/e2e"]
