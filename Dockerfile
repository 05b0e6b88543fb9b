# syntax=docker/dockerfile:1
# One static binary in an otherwise empty image. See docs/deploy.md.

FROM golang:1.26 AS build
ARG VERSION=""
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/barnabas ./cmd/barnabas
# An empty folder to copy: it gives the volume its owner.
RUN mkdir /out/data

FROM scratch
COPY --from=build /out/barnabas /barnabas
COPY --from=build --chown=65532:65532 /out/data /var/lib/barnabas
COPY packaging/container.properties /etc/barnabas/server.properties
USER 65532:65532
VOLUME /var/lib/barnabas
EXPOSE 9092 9644
STOPSIGNAL SIGTERM
ENTRYPOINT ["/barnabas"]
CMD ["serve", "--config", "/etc/barnabas/server.properties"]
