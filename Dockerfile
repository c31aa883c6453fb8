# `sightsound` on a CPU, with the versions of constraints.txt:
#   docker build -t sightsound .
#   docker run --rm sightsound demo
#   docker run --rm -v "$PWD":/work -v sightsound-cache:/cache --user "$(id -u):$(id -g)" sightsound train table.csv
ARG PYTHON=docker.io/library/python:3.12-slim
FROM ${PYTHON}

# The release that constraints.txt names, as a build without CUDA's libraries; all that it needs comes from PyPI, below.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# Extras to add: --build-arg EXTRAS="[video,pretrained]"
ARG EXTRAS=""

WORKDIR /source
COPY constraints.txt .
RUN pip install --no-cache-dir --no-deps --index-url "${TORCH_INDEX}" -c constraints.txt torch \
    && cd "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/torch" \
    && rm -rf bin/test_* include test

COPY . .
RUN pip install --no-cache-dir -c constraints.txt ".${EXTRAS}" \
    && find "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" -type d -name tests -prune -exec rm -rf {} + \
    && rm -rf build *.egg-info \
    && python -c "import sightsound.api"

# Anyone may write here, so that `--user` can be whoever owns the mounted folder.
RUN useradd --create-home sightsound && mkdir -p /work /cache && chmod 1777 /work /cache
ENV SIGHTSOUND_CACHE=/cache/sightsound MPLCONFIGDIR=/cache/matplotlib USER=sightsound
VOLUME /cache
WORKDIR /work
USER sightsound
ENTRYPOINT ["sightsound"]
CMD ["--help"]
