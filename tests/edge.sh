#!/usr/bin/env bash
# The front door of the real binary: who is let in, with whose tenant, that no secret is said, and TLS.
#
#   tests/edge.sh           EDGE_PORT=19180
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/release
port=${EDGE_PORT:-19180}
. tests/scratch.sh

# account <name> <tenants> <roles>: makes a secret and adds its entry.
declare -A secrets=()
echo "accounts:" >"$work/credentials.yaml"
account() {
    local made
    made=$("$target/lamella" credentials new "$1" --tenants "$2" --roles "$3" --json)
    secrets[$1]=$(jq -r .secret <<<"$made")
    echo "  - $(jq -c .account <<<"$made")" >>"$work/credentials.yaml"
}
account sender shop write
account viewer shop read
account both shop,bank read,write
account operator '*' read,admin,metrics

# certificate <name>: for this machine, signed by itself.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$1" -addext "subjectAltName=IP:127.0.0.1" \
        -keyout "$work/$1.key" -out "$work/$1.crt" 2>/dev/null
}
certificate first
certificate second
cp "$work/first.key" "$work/server.key"
cp "$work/first.crt" "$work/server.crt"

url=https://127.0.0.1:$port
trusted=$work/first.crt
LAMELLA_LOG=debug "$target/lamella" serve --data-dir "$work/data" --listen "127.0.0.1:$port" --credentials-file "$work/credentials.yaml" \
    --tls-certificate "$work/server.crt" --tls-key "$work/server.key" 2>"$work/lamella.log" &
pids+=($!)
for _ in $(seq 100); do
    if curl -fs --cacert "$trusted" "$url/ready" >/dev/null 2>&1; then break; fi
    sleep 0.1
done

failed=0
# expect <status> <curl arguments…>
expect() {
    local want=$1 got
    shift
    # Without an answer curl fails, and says 000.
    got=$(curl -s -m 20 --cacert "$trusted" -o "$work/body" -w '%{http_code}' "$@") || true
    if [ "$got" != "$want" ]; then
        echo "status $got, expected $want: ${*//lamella_*/…}: $(head -c 200 "$work/body")" >&2
        failed=1
    fi
}
bearer() { echo "Authorization: Bearer ${secrets[$1]}"; }
now=$(date +%s)000000000
line='{"streams":[{"stream":{"app":"till"},"values":[["'$now'","sold"]]}]}'
push=(-H 'Content-Type: application/json' -d "$line" "$url/loki/api/v1/push")
labels=$url/loki/api/v1/labels

expect 200 "$url/ready"
expect 401 "${push[@]}"
expect 401 -H 'X-Scope-OrgID: shop' "${push[@]}"
expect 401 -H 'Authorization: Bearer guess' "${push[@]}"
expect 403 -H "$(bearer viewer)" "${push[@]}"
expect 204 -H "$(bearer sender)" "${push[@]}"
expect 204 -u "sender:${secrets[sender]}" "${push[@]}"
expect 401 -u "viewer:${secrets[sender]}" "${push[@]}"
expect 403 -H "$(bearer sender)" -H 'X-Scope-OrgID: bank' "${push[@]}"
expect 403 -H "$(bearer sender)" "$labels"
expect 200 -H "$(bearer viewer)" "$labels"
grep -q '"app"' "$work/body" || { echo "the viewer does not see what the sender sent" >&2; failed=1; }
expect 403 -H "$(bearer viewer)" -H 'X-Scope-OrgID: bank' "$labels"
expect 401 -H "$(bearer both)" "$labels" # which of the two?
expect 200 -H "$(bearer both)" -H 'X-Scope-OrgID: bank' "$labels"
! grep -q '"app"' "$work/body" || { echo "a tenant sees another's labels" >&2; failed=1; }
# Several tenants at once: who may read each of them may, and sees whose is what.
expect 204 -H "$(bearer both)" -H 'X-Scope-OrgID: bank' "${push[@]}"
lines=(-G "$url/loki/api/v1/query_range" --data-urlencode 'query={app="till"}' --data "start=$((now - 60000000000))" --data "end=$((now + 1))")
expect 200 -H "$(bearer both)" -H 'X-Scope-OrgID: shop|bank' "${lines[@]}"
[ "$(jq -c '[.data.result[] | [.stream.__tenant_id__, .values[0][1]]] | sort' "$work/body")" = '[["bank","sold"],["shop","sold"]]' ] ||
    { echo "two tenants' lines: $(head -c 300 "$work/body")" >&2; failed=1; }
expect 200 -H "$(bearer operator)" -H 'X-Scope-OrgID: bank|shop' "$url/api/v1/label/__tenant_id__/values"
[ "$(jq -c .data "$work/body")" = '["bank","shop"]' ] || { echo "tenants: $(cat "$work/body")" >&2; failed=1; }
volume_of() {
    expect 200 -H "$(bearer both)" -H "X-Scope-OrgID: $1" -G "$url/loki/api/v1/index/volume" --data-urlencode 'query={app="till"}' \
        --data "start=$((now - 60000000000))" --data "end=$((now + 60000000000))"
    jq -r '.data.result[] | select(.metric.app == "till") | .value[1]' "$work/body"
}
each=$(($(volume_of shop) + $(volume_of bank)))
[ "$each" -ge 8 ] && [ "$(volume_of 'shop|bank')" = "$each" ] || { echo "two tenants' volume: $(head -c 300 "$work/body")" >&2; failed=1; }
expect 403 -H "$(bearer viewer)" -H 'X-Scope-OrgID: shop|bank' "${lines[@]}"
expect 400 -H "$(bearer both)" -H 'X-Scope-OrgID: shop|bank' "${push[@]}"
expect 400 -H "$(bearer operator)" -H 'X-Scope-OrgID: shop|bank' "$url/api/v1/metadata"
expect 403 -H "$(bearer viewer)" "$url/metrics"
expect 200 -H "$(bearer operator)" "$url/metrics"
grep -q 'lamella_edge_requests_total{outcome="forbidden"}' "$work/body" || { echo "refusals are not counted" >&2; failed=1; }
expect 403 -H "$(bearer viewer)" -X POST "$url/loki/api/v1/delete?query=%7Bapp%3D%22till%22%7D&start=1"
expect 403 -H "$(bearer viewer)" "$url/config"
expect 200 -H "$(bearer operator)" "$url/config"
curl -s --cacert "$trusted" -o /dev/null -D "$work/head" "$labels"
grep -qi '^www-authenticate: bearer' "$work/head" || { echo "401 does not say how to authenticate" >&2; failed=1; }

# The version of HTTP, a tail over a WebSocket, and clients that do not finish what they begin.
spoken=$(curl -s -m 20 --cacert "$trusted" --http2 -o /dev/null -w '%{http_version}' "$url/ready")
[ "$spoken" = 2 ] || { echo "HTTP/$spoken in place of 2" >&2; failed=1; }
# A refusal is told before anybody reads the body: it arrives all the same, in either version.
head -c 3000000 /dev/zero >"$work/large"
for version in --http2 --http1.1; do
    expect 401 "$version" -H 'Expect:' --data-binary "@$work/large" "$url/loki/api/v1/push"
    expect 403 "$version" -H 'Expect:' -H "$(bearer viewer)" --data-binary "@$work/large" "$url/loki/api/v1/push"
    expect 204 "$version" -H "$(bearer sender)" "${push[@]}"
    expect 200 "$version" -H "$(bearer viewer)" "$labels"
done
python3 tests/tail_over_tls.py 127.0.0.1 "$port" "$trusted" "${secrets[viewer]}" "${secrets[sender]}" || failed=1
expect 000 "http://127.0.0.1:$port/ready"
# They stay longer than anybody else is ready to wait.
for _ in $(seq 20); do (exec 3<>"/dev/tcp/127.0.0.1/$port"; sleep 8) & done
sleep 0.5
expect 200 -m 4 "$url/ready"

# A key without its certificate changes nothing; once both are there, the next handshake uses them.
cp "$work/second.key" "$work/server.key"
for _ in $(seq 150); do
    if grep -q 'the one before stays' "$work/lamella.log"; then break; fi
    sleep 0.1
done
expect 200 "$url/ready"
cp "$work/second.crt" "$work/server.crt"
for _ in $(seq 150); do
    if grep -q 'certificate was read again' "$work/lamella.log"; then break; fi
    sleep 0.1
done
expect 000 "$url/ready"
trusted=$work/second.crt
expect 200 "$url/ready"

for secret in "${secrets[@]}"; do
    ! grep -rqF -- "$secret" "$work/lamella.log" || { echo "a secret is in the log" >&2; failed=1; }
done
grep -q 'authentication is on' "$work/lamella.log" || { echo "the start does not say that authentication is on" >&2; failed=1; }

# A file with a mistake ends the start, without saying what stands there.
printf 'accounts:\n- {name: a, tenants: [t], roles: [read], secrets: [hunter2]}\n' >"$work/broken.yaml"
if "$target/lamella" serve --data-dir "$work/other" --listen 127.0.0.1:0 --credentials-file "$work/broken.yaml" 2>"$work/broken"; then
    failed=1
fi
grep -q 'account "a", secret 1' "$work/broken" && ! grep -q hunter2 "$work/broken" || { cat "$work/broken" >&2; failed=1; }
[ "$failed" -eq 0 ] && echo "the edge lets in whom it should, and nobody else"
exit "$failed"
