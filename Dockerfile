# Two images: `web` serves pages, runs the worker and beat, and has no TensorFlow; `trainer` adds it.
FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    VAR_DIR=/data STATIC_ROOT=/app/staticfiles CELERY_SKIP_CHECKS=true
WORKDIR /app
RUN useradd --system --uid 10001 --home-dir /data cryptopredict && install -d -o cryptopredict /data /data/models
COPY requirements-web.txt constraints.txt ./
RUN pip install -r requirements-web.txt

FROM base AS web
COPY manage.py ./
COPY cryptopredict cryptopredict
COPY accounts accounts
COPY markets markets
COPY predictions predictions
COPY portfolios portfolios
COPY templates templates
COPY static static
COPY locale locale
# The key that this step draws stays in /tmp of the build; the containers get theirs from the environment.
RUN VAR_DIR=/tmp/build python manage.py collectstatic --no-input --verbosity 0 --skip-checks && rm -rf /tmp/build
USER cryptopredict
EXPOSE 8000
CMD ["env", "MALLOC_ARENA_MAX=2", "gunicorn", "cryptopredict.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--worker-class", "gthread", "--threads", "20", "--limit-request-line", "8190", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]

FROM web AS trainer
USER root
COPY requirements.txt ./
RUN pip install -r requirements.txt
USER cryptopredict
CMD ["nice", "-n", "10", "celery", "-A", "cryptopredict", "worker", "-n", "trainer@%h", "-Q", "training", "-c", "1", "--max-tasks-per-child", "1", "-l", "INFO"]
