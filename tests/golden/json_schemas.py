"""Makes json_schemas.json: the official JSON Schema Test Suite's cases of draft 2020-12, as jsonschema's
source distribution carries them.

    pip download --no-deps --no-binary jsonschema jsonschema==4.26.0 && tar xzf jsonschema-4.26.0.tar.gz
    python tests/golden/json_schemas.py jsonschema-4.26.0/json/tests/draft2020-12

License of the suite: MIT (Copyright (c) 2012 Julian Berman).
"""

import json
import pathlib
import sys


def main():
    suite = pathlib.Path(sys.argv[1])
    groups = []
    for path in sorted(suite.glob("*.json")):
        for group in json.loads(path.read_text()):
            schema = group["schema"]
            if isinstance(schema, dict):
                schema = {key: value for key, value in schema.items() if key != "$schema"}
            # A schema of another file makes no grammar; one such case shows that it is refused.
            text = json.dumps(schema)
            if "localhost:1234" in text and "$ref" in text and path.stem != "refRemote":
                continue
            tests = [[json.dumps(test["data"], ensure_ascii=False), test["valid"]]
                     for test in group["tests"] if len(json.dumps(test["data"])) < 2000]
            groups.append({"file": path.stem, "what": group["description"], "schema": schema,
                           "tests": tests})
    out = pathlib.Path(__file__).with_name("json_schemas.json")
    with out.open("w") as file:
        file.write("[\n" + ",\n".join(json.dumps(group, ensure_ascii=False, separators=(",", ":"))
                                      for group in groups) + "\n]\n")
    print(len(groups), "schemas", sum(len(group["tests"]) for group in groups), "values")


if __name__ == "__main__":
    main()
