# nginx with the module, as `make install` lays it out.
#
#   docker build -t nginx-wasm .
#   docker run --rm -p 8080:8080 nginx-wasm
#
# With a configuration and filters of your own, each mounted by itself: a mount over conf/ as a whole would hide mime.types
# and the samples.
#
#   docker run --rm -p 8080:8080 -v "$PWD/nginx.conf:/opt/nginx-wasm/conf/nginx.conf:ro" \
#       -v "$PWD/filters:/opt/nginx-wasm/conf/filters:ro" nginx-wasm

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN make install PREFIX=/opt/nginx-wasm

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libpcre2-8-0 libssl3 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --home-dir /opt/nginx-wasm nginx
COPY --from=build --chown=nginx:nginx /opt/nginx-wasm /opt/nginx-wasm
# The samples listen on the loopback interface, which nobody outside the container reaches.
RUN sed -i 's/listen  127.0.0.1:8080;/listen  8080;/' /opt/nginx-wasm/conf/nginx.conf \
    && ln -sf /dev/stdout /opt/nginx-wasm/logs/access.log \
    && ln -sf /dev/stderr /opt/nginx-wasm/logs/error.log
USER nginx
EXPOSE 8080
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/opt/nginx-wasm/sbin/nginx"]
CMD ["-g", "daemon off;"]
