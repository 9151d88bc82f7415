# syntax=docker/dockerfile:1
FROM python:3.12-slim-bookworm AS build
WORKDIR /app
RUN python -m venv /venv
COPY requirements/service.txt requirements/
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements/service.txt

FROM python:3.12-slim-bookworm
LABEL org.opencontainers.image.title="Tunegate"
# The user owns the data and nothing else; the root file system may be read-only.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin tunegate && install -d -o tunegate /data
COPY --from=build /venv /venv
COPY service /app/service
COPY migrations /app/migrations
WORKDIR /app
# once, instead of at every start
RUN /venv/bin/python -m compileall -q service migrations
USER tunegate
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    TUNEGATE_DATABASE_URL=sqlite:////data/tunegate.db TUNEGATE_DATA_DIR=/data HOME=/tmp HF_HOME=/tmp/hf
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8080"]
