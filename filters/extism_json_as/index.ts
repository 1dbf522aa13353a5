// A request comes as JSON, and a response goes as JSON: what `input=json` of `wasm_handler` does. It answers as
// extism_json does.
import "../as_plugins/abort";
import { Host, Memory } from "@extism/as-pdk/lib/pdk";
import { error_set } from "@extism/as-pdk/lib/env";
import { parse, Kind, Value } from "../as/json";
import { quoted } from "../as_plugins/json";
import { output } from "../as_plugins/output";

export function handle(): i32 {
  const request = parse(Host.input());
  if (request === null || request.kind != Kind.Object) {
    error_set(Memory.allocateString("the input is no JSON object").offset);
    return 1;
  }
  const path = text(request, "path");
  const status = path == "/teapot" ? 418 : path == "/none" ? 204 : 200;
  const method = text(request, "method");
  const headers =
    '{"content-type":["text/plain"],"x-method":[' + quoted(method) + '],"x-two":["1","2"]}';
  output(
    '{"status":' + status.toString() + ',"headers":' + headers +
      ',"body":' + quoted(status == 204 ? "" : body(request, method, path)) + "}",
  );
  return 0;
}

function body(request: Value, method: string, path: string): string {
  return method + " " + text(request, "uri") +
    "\npath " + path +
    "\nquery " + text(request, "query") +
    "\nfrom " + text(request, "remote_addr") +
    "\nx-name " + names(request).join(",") +
    "\nbody " + text(request, "body") + "\n";
}

// A member that is a string; empty if there is none.
function text(object: Value, name: string): string {
  return object.members.has(name) ? object.members.get(name).text : "";
}

// The values of the header x-name.
function names(request: Value): string[] {
  const values: string[] = [];
  if (!request.members.has("headers")) {
    return values;
  }
  const headers = request.members.get("headers").members;
  if (!headers.has("x-name")) {
    return values;
  }
  const elements = headers.get("x-name").elements;
  for (let i = 0; i < elements.length; i++) {
    values.push(elements[i].text);
  }
  return values;
}
