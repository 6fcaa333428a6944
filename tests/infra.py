#!/usr/bin/env python3
"""What the templates say, checked.

    tests/infra.py lint
        SAM and Terraform grant each function the same calls to the stores, none of them a wildcard; what checks templates finds
        nothing: cfn-lint, sam, terraform; whichever is not installed is named
"""

import pathlib
import re
import shutil
import subprocess
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent


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


LINTERS = [
    (["cfn-lint", "infra/template.yaml"], "pip install cfn-lint"),
    (["sam", "validate", "--lint", "--region", "us-east-1", "--template", "infra/template.yaml"], "pip install aws-sam-cli"),
    (["terraform", "fmt", "-check", "-recursive", "infra/terraform"], "https://developer.hashicorp.com/terraform"),
]


def lint():
    if sam_grants() != terraform_grants():
        sys.exit("infra/template.yaml and infra/terraform/main.tf grant different things")
    for command, source in LINTERS:
        if not shutil.which(command[0]):
            print(f"not run: {command[0]} ({source})")
            continue
        subprocess.run(command, cwd=ROOT, check=True)
        print(f"{command[0]} finds nothing")


if __name__ == "__main__":
    if sys.argv[1:] != ["lint"]:
        sys.exit(__doc__)
    lint()
