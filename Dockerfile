# Both programs in one small image. Not run on the machines that test Signet, which have no container engine.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package ca-server --package ca-client --bins --features ca-server/jemalloc

FROM debian:bookworm-slim
RUN install -d -o 65532 -g 65532 -m 0700 /var/lib/signet && install -d -o 65532 -g 65532 /run/token /out
COPY --from=build /src/target/release/ca-server /src/target/release/ca-client /usr/local/bin/
USER 65532:65532
EXPOSE 15012 15014
ENTRYPOINT ["ca-server"]
CMD ["serve"]
