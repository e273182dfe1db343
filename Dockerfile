# axialvs on a CPU, for x86-64.
#
#   docker build --tag axialvs --build-arg TORCH_INDEX=ADDRESS .    ADDRESS: index of torch's CPU builds
#   docker run --rm --volume "$PWD:/videos" axialvs segment video.mp4 --out overlay.mp4
#
# Without TORCH_INDEX, pip installs torch with CUDA, several gigabytes. PIP_ARGS is passed to every `pip install`.
FROM python:3.11-slim

ARG TORCH_INDEX=
ARG PIP_ARGS=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

WORKDIR /src
COPY requirements requirements
RUN pip install $PIP_ARGS ${TORCH_INDEX:+--index-url $TORCH_INDEX} $(grep '^torch==' requirements/runtime.txt)
RUN pip install $PIP_ARGS -c requirements/constraints.txt -r requirements/runtime.txt
# Last: the OpenCV build that needs no display library, see requirements/opencv.txt.
RUN pip install $PIP_ARGS --no-deps --force-reinstall -r requirements/opencv.txt
COPY . .
RUN pip install $PIP_ARGS --no-deps .

# Downloaded weights stay in the mounted folder.
ENV AXIALVS_CACHE=/videos/.axialvs
WORKDIR /videos
ENTRYPOINT ["axialvs"]
CMD ["--help"]
