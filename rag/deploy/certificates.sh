#!/bin/sh
# An authority of your own, and what it signs, for compose.yaml and the Helm values.
#
#     sh certificates.sh FOLDER NAME       NAME: of the balancer, docs.example.org
#
# The authority's key (ca.key) signs whoever may run code on the Dask workers: take it off this machine afterwards.
set -eu
folder=$1 name=$2
mkdir -p "$folder" && cd "$folder" && umask 077

[ -f ca.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=rag authority" -addext "basicConstraints=critical,CA:TRUE" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -keyout ca.key -out ca.pem 2>/dev/null

sign() {  # FILE NAMES: one certificate, for these names
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n' "$2" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
    cat "$1.crt" "$1.key" > "$1.pem"
    rm "$1.csr" "$1.ext"
}
sign milvus DNS:milvus,DNS:milvus.default.svc,DNS:localhost
sign dask DNS:scheduler,DNS:dask-scheduler,DNS:localhost
sign web "DNS:$name"
chmod 644 ca.pem ./*.crt
