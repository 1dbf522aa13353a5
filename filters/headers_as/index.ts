// Removes, sets and adds request and response headers; takes the same
// configuration as the C++ version: one change a line.
export * from "@solo-io/proxy-runtime/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  LogLevelValues,
  RootContext,
  log,
  registerRootContext,
  stream_context,
} from "@solo-io/proxy-runtime";

import { configuration } from "../as/configuration";
import { Change, Operation, parse } from "./changes";

class Root extends RootContext {
  changes: Change[] = [];

  onConfigure(size: u32): bool {
    const parsed = parse(String.UTF8.decode(configuration(size).buffer));
    if (parsed.problem.length > 0) {
      log(LogLevelValues.error, "invalid configuration: " + parsed.problem);
      return false;
    }
    this.changes = parsed.changes;
    return true;
  }

  createContext(id: u32): Context {
    return new Stream(id, this);
  }
}

class Stream extends Context {
  constructor(id: u32, private root: Root) {
    super(id, root);
  }

  onRequestHeaders(count: u32, end_of_stream: bool): FilterHeadersStatusValues {
    this.apply(true);
    return FilterHeadersStatusValues.Continue;
  }

  onResponseHeaders(count: u32, end_of_stream: bool): FilterHeadersStatusValues {
    this.apply(false);
    return FilterHeadersStatusValues.Continue;
  }

  private apply(request: bool): void {
    const headers = request ? stream_context.headers.request : stream_context.headers.response;
    const changes = this.root.changes;
    for (let i = 0; i < changes.length; i++) {
      const change = changes[i];
      if (change.request != request) continue;
      if (change.operation == Operation.Remove) headers.remove(change.name);
      else if (change.operation == Operation.Set) headers.replace(change.name, change.value);
      else headers.add(change.name, change.value);
    }
  }
}

registerRootContext((id: u32) => new Root(id), "");
