#!/bin/sh
# A certificate authority of one's own for one broker.
# Usage: certificates.sh CLIENT_DIR BROKER_DIR NAME    (NAME: DNS:host or IP:address)
#
# CLIENT_DIR gets ca.crt, for all who connect; BROKER_DIR gets server.crt and server.key. The
# authority's own key is thrown away: a stolen one could speak for the broker. To renew, delete
# ca.crt, run again, and copy the new ca.crt to all clients.
set -eu
umask 077

clients=$1 broker=$2 name=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 3650 \
    -subj '/CN=oneglance CA' -keyout "$work/ca.key" -out "$work/ca.crt" \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc \
    -subj '/CN=oneglance broker' -keyout "$work/server.key" -out "$work/server.csr" 2>/dev/null
cat >"$work/extensions" <<TEXT
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$name,DNS:localhost,IP:127.0.0.1
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
TEXT
openssl x509 -req -in "$work/server.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" \
    -CAcreateserial -days 3650 -extfile "$work/extensions" -out "$work/server.crt" 2>/dev/null

install -m 0644 "$work/server.crt" "$broker/server.crt"
install -m 0600 "$work/server.key" "$broker/server.key"
install -m 0644 "$work/ca.crt" "$clients/ca.crt"
