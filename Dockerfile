# Plain instructions only, so that the classic builder, BuildKit and buildah all build it unchanged.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
COPY requirements.lock /build/requirements.lock
RUN /opt/venv/bin/python -m pip install --require-hashes -r /build/requirements.lock
COPY . /app
RUN /opt/venv/bin/python -m compileall -q /app

FROM python:3.11-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/tmp/numba
RUN useradd --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin trader
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# Places for volumes: the fallback journal, which survives the container, and the kill file, shared with the host.
RUN mkdir -p /app/var/fallback /app/var/switch && chown -R 10001 /app/var
WORKDIR /app
USER 10001
EXPOSE 9108
# The status server answers on the trading loop itself: a hung loop fails this check.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9108, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["python", "main.py", "run"]
