# One image for all services; docker-compose.yml says which command runs in which container.

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
# The libraries first, with an empty package in our place: a change of our own code then does not install them anew.
RUN mkdir -p app_common/sagas_framework \
    && touch app_common/sagas_framework/__init__.py \
    && /opt/venv/bin/pip install --constraint constraints.txt ".[asyncapi,postgres,web]"
COPY app_common/sagas_framework app_common/sagas_framework
RUN /opt/venv/bin/pip install --no-deps --force-reinstall .

FROM python:3.12-slim-bookworm
# The services are not installed but run from /app; the framework is installed, as it would be for anybody else.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app:/app/app_common \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sagas
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY app_common/messaging app_common/messaging
COPY order_service order_service
COPY consumer_service consumer_service
COPY restaurant_service restaurant_service
COPY accounting_service accounting_service
USER 10001:10001
CMD ["sagas", "--help"]
