# The fake alone, for those who have no Python: docker build -t fake-dashscope .
#   docker run --rm -p 8080:8080 -e FAKE_DASHSCOPE_ADMIN_TOKEN=some-secret fake-dashscope demo --speed 60
# It answers on every address of its container, so it wants a token for its admin pages, and does not start without.
# There was no Docker daemon where this was written: its steps were run by hand, with Python 3.12, and its command is run
# by a test; `docker build` itself was not.
FROM python:3.12-slim AS build
WORKDIR /source
RUN python -m venv /environment
COPY pyproject.toml README.md CHANGELOG.md LICENSE constraints.txt ./
COPY tools tools
COPY resilient_poll resilient_poll
COPY fake_server fake_server
COPY scenarios scenarios
RUN /environment/bin/pip install --no-cache-dir --constraint constraints.txt packaging '.[fake,tls]'
# The client and what only it needs stay behind.
RUN /environment/bin/python tools/build_fake.py --folder /opt/fake && python -m compileall -q /opt/fake

FROM python:3.12-slim
COPY --from=build /opt/fake /opt/fake
ENV PYTHONPATH=/opt/fake PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Nobody's: it writes nothing but the certificate of --tls, into /tmp.
USER 10001:10001
WORKDIR /scenarios
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8080), 2)"]
# Options given to `docker run` follow these; of two that are equal the last is used.
ENTRYPOINT ["python", "-m", "fake_server", "serve", "--host", "0.0.0.0", "--port", "8080", "--allow-remote"]
