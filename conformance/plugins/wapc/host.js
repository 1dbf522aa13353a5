// Runs one case on @wapc/host, waPC's host for JavaScript: NODE_PATH=… node host.js <case.json >seen.json
//
// The case: {"file", "calls": [[operation, message in base64]], "host_calls": boolean}; what was seen:
// {"load": text of an error, or null, "calls": [[output in base64, error or null]], "log": [lines]}.
"use strict";

const fs = require("fs");
const { instantiate } = require("@wapc/host");

const log = [];
// Where the host writes what guests log.
console.log = (line) => log.push(line);

async function run(one) {
  const seen = { load: null, calls: [], log };
  const answer = (binding, namespace, operation, payload) =>
    Buffer.concat([Buffer.from(`${binding}/${namespace}/${operation}:`), payload]);
  let host;
  try {
    host = await instantiate(fs.readFileSync(one.file), one.host_calls ? answer : undefined);
  } catch (error) {
    seen.load = String(error);
    return seen;
  }
  for (const [operation, message] of one.calls) {
    try {
      const output = await host.invoke(operation, Buffer.from(message, "base64"));
      seen.calls.push([Buffer.from(output).toString("base64"), null]);
    } catch (error) {
      seen.calls.push(["", String(error)]);
    }
  }
  return seen;
}

run(JSON.parse(fs.readFileSync(0, "utf8"))).then((seen) => process.stdout.write(JSON.stringify(seen)));
