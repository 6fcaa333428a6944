#!/usr/bin/env python3
"""What each function may do, against what it does.

    tests/infra.py proxy FUNCTION S3_PORT=S3_URL DYNAMODB_PORT=DYNAMODB_URL OUT
        stands between a function and its stores, and appends each call, as the IAM action it needs, to OUT
    tests/infra.py check OUT...
        every call is granted, and every grant is used, in infra/template.yaml and in infra/terraform/main.tf
    tests/infra.py lint
        what checks templates finds nothing: cfn-lint, sam, terraform; whichever is not installed is named
    tests/infra.py bill MODEL.json SECONDS OUT...
        the calls at list prices are what the model, `lamella cost --json`, says of the same load in that many seconds, within 10 %

tests/functions.sh runs the first two, tests/cost.sh the last. A proxy reads the calls from requests, not from our code: method and query
of S3's API, the target header of DynamoDB's. Grants that a run of two minutes cannot use are listed below, each with the reason and the
test that does use it.
"""

import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Calls that LAMELLA_CREATE=true adds: on AWS the stack makes bucket and table.
MADE_BY_THE_STACK = {"s3:CreateBucket", "dynamodb:CreateTable", "dynamodb:DescribeTable"}
# Granted, and not seen in a short run.
RARE = {
    ("compact", "s3:DeleteObject"): "an hour after a merge: shared/compactor/tests",
    ("compact", "s3:AbortMultipartUpload"): "where an upload fails half-way: shared/store/tests",
    ("compact", "s3:ListBucket"): "the inventory of a finished day, and 404 in place of 403",
    ("query", "s3:ListBucket"): "no call of its own: makes S3 answer 404 in place of 403 for an object that is gone",
}


def s3_action(method, path, query):
    """Returns the action that a request to S3 needs (Service Authorization Reference, Amazon S3)."""
    in_bucket = path.strip("/").count("/") > 0
    if method == "DELETE" and "uploadId" in query:
        return "s3:AbortMultipartUpload"
    if method == "DELETE" or "delete" in query:
        return "s3:DeleteObject"
    if method in ("PUT", "POST"):
        return "s3:PutObject" if in_bucket else "s3:CreateBucket"
    return "s3:GetObject" if in_bucket else "s3:ListBucket"


def dynamodb_action(headers, body):
    """Returns the action, the partition where a key or an item names one, and the units that a write of this is."""
    operation = headers.get("X-Amz-Target", "").split(".")[-1]
    request = json.loads(body or b"{}")
    key = request.get("Key") or request.get("Item") or {}
    partition = key.get("pk", {}).get("S", "")
    written = {**key, **request.get("ExpressionAttributeValues", {})}
    return f"dynamodb:{operation}", partition, max(1, -(-item_bytes(written) // 1024))


def item_bytes(item):
    """Returns what DynamoDB counts of an item: names and values as text, binary ones not as the base64 that they travel in."""
    size = lambda kind, value: len(value) * 3 // 4 if kind == "B" else len(str(value))
    return sum(len(name) + size(kind, value) for name, attribute in item.items() for kind, value in attribute.items())


def read_units(payload):
    """Returns the units of a consistent read: 4 KB each, of all items together."""
    answer = json.loads(payload or b"{}")
    items = answer.get("Items", [answer["Item"]] if "Item" in answer else [])
    return max(1, -(-sum(item_bytes(item) for item in items) // 4096))


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def relay(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        if self.server.kind == "s3":
            action = s3_action(self.command, url.path, urllib.parse.parse_qs(url.query, keep_blank_values=True))
            partition, units = "", 1
        else:
            action, partition, units = dynamodb_action(self.headers, body)
        # The signature covers the host that the client named.
        request = urllib.request.Request(self.server.upstream + self.path, data=body or None, method=self.command)
        for name, value in self.headers.items():
            if name.lower() not in ("connection", "content-length"):
                request.add_header(name, value)
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        payload = answer.read()
        if action in ("dynamodb:GetItem", "dynamodb:Query"):
            units = read_units(payload)
        with self.server.lock, open(self.server.out, "a", encoding="utf-8") as out:
            out.write(f"{self.server.function}\t{action}\t{partition[:2]}\t{units}\n")
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else len(payload)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(payload)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = relay

    def log_message(self, *_):
        pass


def proxy(function, ports, out):
    lock = threading.Lock()
    for kind, port in zip(("s3", "dynamodb"), ports):
        own, upstream = port.split("=", 1)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(own)), Proxy)
        server.kind, server.upstream, server.function, server.out, server.lock = kind, upstream, function, out, lock
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


class Template(yaml.SafeLoader):
    """CloudFormation's short forms: what they mean does not matter here, that they parse does."""


Template.add_multi_constructor(
    "!",
    lambda loader, _, node: loader.construct_scalar(node)
    if isinstance(node, yaml.ScalarNode)
    else loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.SequenceNode)
    else loader.construct_mapping(node, deep=True),
)


def sam_grants():
    """Returns {function: {action: leading keys or None}} of the stores, as the template says."""
    resources = yaml.load((ROOT / "infra/template.yaml").read_text(encoding="utf-8"), Template)["Resources"]
    grants = {}
    for name in ("Ingest", "Query", "Compact"):
        grants[name.lower()] = found = {}
        for policy in resources[name]["Properties"]["Policies"]:
            for statement in policy["Statement"]:
                if isinstance(statement, list):  # !If: what a parameter adds is not the stores'
                    continue
                keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys")
                for action in statement["Action"]:
                    assert "*" not in action, f"{name}: {action}"
                    found[action] = keys
                assert statement["Resource"] != "*", f"{name}: any resource"
    return grants


def terraform_grants():
    """The same of infra/terraform/main.tf, whose map of functions is plain enough to be read line by line."""
    text = (ROOT / "infra/terraform/main.tf").read_text(encoding="utf-8")
    grants = {}
    for function in ("ingest", "query", "compact"):
        block = re.search(rf"^    {function} = {{$(.*?)^    }}$", text, re.S | re.M).group(1)
        listed = lambda name, block=block: re.findall(r'"([^"]+)"', re.search(rf"^ *{name} *= \[(.*?)\]", block, re.M).group(1))
        found = dict.fromkeys(listed("s3") + listed("dynamodb"))
        found.update(dict.fromkeys(listed("marks"), ["C#*"]))
        if re.search(r"^ *list *= true", block, re.M):
            found["s3:ListBucket"] = None
        grants[function] = found
    return grants


def check(paths):
    seen = {"ingest": {}, "query": {}, "compact": {}}
    for path in paths:
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            function, action, partition, _ = line.split("\t")
            seen[function].setdefault(action, set()).add(partition)
    wrong = []
    for where, grants in (("infra/template.yaml", sam_grants()), ("infra/terraform/main.tf", terraform_grants())):
        for function, calls in seen.items():
            granted = grants[function]
            for action, partitions in calls.items():
                keys = granted.get(action)
                if action not in granted and action not in MADE_BY_THE_STACK:
                    wrong.append(f"{where}: {function} calls {action}, which nobody grants")
                elif keys and not all(any(partition.startswith(key.rstrip("*")) for key in keys) for partition in partitions):
                    wrong.append(f"{where}: {function} calls {action} on {sorted(partitions)}, granted for {keys} only")
            for action in granted:
                if action not in calls and (function, action) not in RARE:
                    wrong.append(f"{where}: {function} may call {action} and never does")
    if sam_grants() != terraform_grants():
        wrong.append("infra/template.yaml and infra/terraform/main.tf grant different things")
    for function, calls in seen.items():
        print(f"{function}: {', '.join(sorted(calls))}")
        if not calls:
            wrong.append(f"{function} made no call at all")
    sys.exit("\n".join(wrong) if wrong else 0)


LINTERS = [
    # The one beside this Python, not whichever is on the PATH: 1.51 still refuses an `!If` where a capacity provider stands.
    ([str(pathlib.Path(sys.executable).with_name("cfn-lint")), "infra/template.yaml"], "pip install cfn-lint"),
    (["sam", "validate", "--lint", "--region", "us-east-1", "--template", "infra/template.yaml"], "pip install aws-sam-cli"),
    (["terraform", "fmt", "-check", "-recursive", "infra/terraform"], "https://developer.hashicorp.com/terraform"),
]


def lint():
    if sam_grants() != terraform_grants():
        sys.exit("infra/template.yaml and infra/terraform/main.tf grant different things")
    for command, source in LINTERS:
        name = pathlib.Path(command[0]).name
        if not shutil.which(command[0]):
            print(f"not run: {name} ({source})")
            continue
        subprocess.run(command, cwd=ROOT, check=True)
        print(f"{name} finds nothing")


def price(name):
    text = (ROOT / "shared/model/src/prices.rs").read_text(encoding="utf-8")
    return float(re.search(rf"^    {name}: ([0-9_.e-]+),$", text, re.M).group(1).replace("_", ""))


# Item of the bill: unit price, the calls that make it.
BILLED = {
    "S3 PUT": ("s3_put", {"s3:PutObject", "s3:ListBucket"}),
    "S3 GET": ("s3_get", {"s3:GetObject"}),
    "DynamoDB writes": ("dynamodb_write_unit", {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}),
    "DynamoDB reads": ("dynamodb_read_unit", {"dynamodb:GetItem", "dynamodb:Query"}),
}


def bill(model, seconds, paths):
    month = 30.4 * 86400
    said = json.loads(pathlib.Path(model).read_text(encoding="utf-8"))
    modelled = {item["name"]: item["quantity"] / month * seconds for item in said["items"]}
    counted = dict.fromkeys(BILLED, 0)
    for path in paths:
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            _, action, _, units = line.split("\t")
            for item, (_, actions) in BILLED.items():
                counted[item] += int(units) if action in actions else 0
    sums = [0.0, 0.0]
    for item, (name, _) in BILLED.items():
        dollars = [price(name) * quantity for quantity in (counted[item], modelled[item])]
        sums = [one + other for one, other in zip(sums, dollars)]
        print(f"{item:16} counted {counted[item]:8} ${dollars[0]:.6f}   modelled {modelled[item]:9.0f} ${dollars[1]:.6f}")
    ratio = sums[0] / sums[1]
    millions = said["rates"]["samples"] * seconds / 1e6
    print(f"all: counted ${sums[0]:.6f}, modelled ${sums[1]:.6f}: {ratio:.3f} of the model; ${sums[0] / millions:.6f} a million samples")
    sys.exit(0 if abs(ratio - 1) <= 0.1 else "the bill is not what the model says")


def main():
    match sys.argv[1:]:
        case ["proxy", function, s3, dynamodb, out]:
            proxy(function, (s3, dynamodb), out)
        case ["lint"]:
            lint()
        case ["bill", model, seconds, *paths] if paths:
            bill(model, float(seconds), paths)
        case ["check", *paths] if paths:
            check(paths)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
